"""Delivers stream records to a function as its event source mapping would: `refire replay` and `refire redrive`.

A source reads records, shard by shard, and puts them into a sink (`sink.py`). The dispatcher is that sink: it keeps
each record's order per primary key in lanes, makes batches, writes a ledger line before each invocation, invokes the
target, and acts on the answer as the mapping does (Lambda Developer Guide: Using Lambda with DynamoDB).
"""

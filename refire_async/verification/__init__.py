"""Verifies from the table's stream that every item which a run touched emitted exactly one record.

`reconcile` compares, by key, what the checkpoint expects (`expected`) with what the stream contains (`observed`).
Both go through partitions on disk (`spill`), so that 10,000,000 items need no more memory than 100,000.
"""

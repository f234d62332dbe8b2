"""Answers of the data plane, held against what DynamoDB sends: anything else is no answer.

Pure. What is accepted here can be used without further checks, and does what it says: no item comes twice or unasked
for, and no read goes on where it began. A misshapen answer counts as a lost one (`lost_answer`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from refire_async.aws.data_plane import parse_reply
from refire_async.aws.errors import AwsError, lost_answer
from refire_async.model.capacity import Consumed, parse_consumed
from refire_async.model.keys import Cursor, IndexKeys, Item, Key, KeySchema, identity
from refire_async.model.shapes import are_items, is_position, key_columns


def misshapen(operation: str) -> AwsError:
    """The error of an answer that DynamoDB does not send."""
    return lost_answer("UnreadableAnswer", f"the answer to {operation} is not what DynamoDB sends")


@dataclass(frozen=True, slots=True)
class ReadPage:
    """Items of a Scan or Query, where it goes on (None: nowhere), how many were looked at, and units consumed."""

    items: list[Item]
    last: Cursor | None
    scanned: int
    rcu: float


def parse_page(
    body: bytes,
    operation: str,
    keys: KeySchema,
    after: Cursor | None = None,
    index_keys: IndexKeys | None = None,
) -> ReadPage:
    """The answer to a Scan or Query that began `after` a position.

    `keys` are the table's; `index_keys` those of the index that was read, from which the same item can come twice.

    Raises AwsError: it is something else.
    """
    reply = parse_reply(body, "Items")
    items, last = reply["Items"], reply.get("LastEvaluatedKey")
    scanned: Any = reply.get("ScannedCount")
    columns = key_columns(items, keys)
    fits = (
        columns is not None
        and reply.get("Count") == len(items)
        and type(scanned) is int
        and scanned >= len(items)
        and (last is None or (last != after and is_position(last, keys, index_keys)))
        and (index_keys is not None or len(set(zip(*columns, strict=True))) == len(items))
    )
    if not fits:
        raise misshapen(operation)
    consumed = parse_units(reply.get("ConsumedCapacity"), operation)
    return ReadPage(items, last, scanned, 0.0 if consumed is None else consumed.total)


@dataclass(frozen=True, slots=True)
class Found:
    """`items` that are there, and the keys that the service had no capacity for. `rcu` as reported."""

    items: list[Item]
    unprocessed: list[Key]
    rcu: float | None


def parse_found(body: bytes, table: str, keys: KeySchema, wanted: Sequence[Key]) -> Found:
    """The answer to a BatchGetItem for the keys `wanted` of one table. Raises AwsError: it is something else."""
    reply = parse_reply(body, "Responses")
    items = _of_table(reply["Responses"], table)
    left = _of_table(reply.get("UnprocessedKeys") or {}, table)
    unprocessed: Any = [] if left is None else None
    if isinstance(left, dict):
        unprocessed = left.get("Keys")
    if not (are_items(items or [], keys) and are_items(unprocessed, keys)):
        raise misshapen("BatchGetItem")
    answered = {identity(keys.names, item) for item in (*(items or ()), *unprocessed)}
    fits = (
        len(answered) == len(items or ()) + len(unprocessed)
        and answered <= {identity(keys.names, key) for key in wanted}
        # A table that is not even named was not looked into.
        and (items is not None or len(unprocessed) == len(wanted))
    )
    if not fits:
        raise misshapen("BatchGetItem")
    entries = reply.get("ConsumedCapacity") or []
    if not isinstance(entries, list):
        raise misshapen("BatchGetItem")
    consumed = [parse_units(entry, "BatchGetItem") for entry in entries]
    return Found(
        items or [], unprocessed, sum(units.total for units in consumed if units) if consumed else None
    )


def _of_table(by_table: Any, table: str) -> Any:
    """What a BatchGetItem says of the one table that it asked about, None where it does not name it."""
    if not isinstance(by_table, dict) or not by_table.keys() <= {table}:
        raise misshapen("BatchGetItem")
    return by_table.get(table)


def parse_units(entry: Any, operation: str) -> Consumed | None:
    """A ConsumedCapacity object, None where there is none. Raises AwsError: it is something else."""
    if entry is None:
        return None
    try:
        return parse_consumed(entry)
    except ValueError:
        raise misshapen(operation) from None

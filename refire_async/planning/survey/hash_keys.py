"""Counts the hash keys of a table if they are few, with one read for each.

A Scan can start after a key that no item has. So starting after the largest possible sort key skips all items of a hash
key.
"""

from functools import partial

from refire_async.aws.errors import AwsError, Disposition
from refire_async.model.keys import AttributeValue, Cursor, KeySchema
from refire_async.pacing.budget import ReadBudget
from refire_async.planning.survey.retry import with_retries
from refire_async.sources.base import Source

MOST_COUNTED = 500
"""Maximum number of hash keys to count; with more, none is hot merely because there are few."""

READ_RCU = 0.5
"""Reserved read units of one read. An item of more than 4 KB costs more, which is settled afterwards."""

LAST_SORT_KEYS: dict[str, AttributeValue] = {
    "S": {"S": "\U0010ffff" * 256},
    "N": {"N": "9.9999999999999999999999999999999999999E+125"},
    "B": {"B": "/" * 1364 + "/w=="},
}
"""The last sort key of each type: 1,024 bytes, 38 digits (DynamoDB Developer Guide: Quotas)."""


async def count_hash_keys(source: Source, keys: KeySchema, budget: ReadBudget) -> int | None:
    """The number of hash keys of a table with a sort key; `source` is a scan of it in one segment.

    None if there are more than `MOST_COUNTED`, or if a read cannot start at a key that no item has.

    Raises:
        AwsError: the table cannot be read.
    """
    if keys.range_name is None or keys.range_type is None:
        return None
    last = LAST_SORT_KEYS[keys.range_type]
    cursor: Cursor | None = None
    for found in range(MOST_COUNTED + 1):
        while True:
            await budget.reserve(READ_RCU)
            try:
                page = await with_retries(partial(source.read, 0, cursor, 1))
            except AwsError as error:
                if error.disposition is Disposition.ITEM:  # ValidationException
                    return None
                raise
            budget.correct(READ_RCU, page.rcu)
            if page.items:
                break
            if page.cursor is None:
                return found
            cursor = page.cursor
        cursor = {keys.hash_name: page.items[0][keys.hash_name], keys.range_name: last}
    return None

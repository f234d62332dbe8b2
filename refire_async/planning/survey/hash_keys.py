"""How many hash keys a table has, if they are few: one read for each, however many items it has.

A Scan that starts after a key need not find an item there. So the items of a hash key are passed over by starting
after the largest sort key that there can be.
"""

from functools import partial

from refire_async.aws.errors import AwsError, Disposition
from refire_async.model.keys import AttributeValue, Cursor, KeySchema
from refire_async.pacing.budget import ReadBudget
from refire_async.planning.survey.retry import with_retries
from refire_async.sources.base import Source

MOST_COUNTED = 500
"""Hash keys; where there are more, none has much of the table merely because they are few."""

READ_RCU = 0.5
"""What one read is taken to cost; that of an item of more than 4 KB costs more, and is settled."""

LAST_SORT_KEYS: dict[str, AttributeValue] = {
    "S": {"S": "\U0010ffff" * 256},
    "N": {"N": "9.9999999999999999999999999999999999999E+125"},
    "B": {"B": "/" * 1364 + "/w=="},
}
"""The last sort key of each type: 1,024 bytes, 38 digits (DynamoDB Developer Guide: Quotas)."""


async def count_hash_keys(source: Source, keys: KeySchema, budget: ReadBudget) -> int | None:
    """The hash keys of a table with a sort key, of which `source` is a scan in one segment.

    None if there are more than `MOST_COUNTED`, or a read cannot start where no item is.

    Raises:
        WireError: the table cannot be read.
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

"""Touch items one by one with UpdateItem: for names that PartiQL cannot quote, or with `--writer update`.

UpdateItem creates missing items, so every condition also requires that the hash key exists.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from refire_async.aws.answers import parse_units
from refire_async.aws.data_plane import DataPlane, parse_reply
from refire_async.aws.errors import AwsError, Disposition
from refire_async.model.keys import Item, KeySchema
from refire_async.model.marker import Marker
from refire_async.pipeline.writers.base import MemberError, WriteReply


class UpdateWriter:
    """Conditional updates of one marker attribute of one table, one item per call."""

    largest = 1

    def __init__(self, data: DataPlane, table: str, keys: KeySchema, marker: Marker) -> None:
        self._data = data
        self._table = table
        self._keys = keys
        self._marker = marker

    def encode(self, item: Item) -> bytes:
        """The request body for one item."""
        old = item.get(self._marker.attribute)
        values: dict[str, Any] = {":new": self._marker.next(old)}
        condition = "attribute_not_exists(#m)"
        if old is not None:
            condition = "#m = :old"
            values[":old"] = old
        return orjson.dumps(
            {
                "TableName": self._table,
                "Key": self._keys.key_of(item),
                "UpdateExpression": "SET #m = :new",
                "ConditionExpression": f"attribute_exists(#k) AND {condition}",
                "ExpressionAttributeNames": {"#m": self._marker.attribute, "#k": self._keys.hash_name},
                "ExpressionAttributeValues": values,
                "ReturnConsumedCapacity": "INDEXES",
            }
        )

    async def write(self, items: Sequence[Item]) -> WriteReply:
        """See `Writer.write`; `items` holds one item."""
        (item,) = items
        try:
            body = await self._data.call("UpdateItem", self.encode(item))
        except AwsError as error:
            if error.disposition in (Disposition.CONDITION, Disposition.ITEM):
                # A failed condition consumes capacity, but the reply does not report it.
                return WriteReply(None, {0: MemberError(error.code, error.disposition, error.detail)})
            raise
        return WriteReply(parse_units(parse_reply(body).get("ConsumedCapacity"), "UpdateItem"))

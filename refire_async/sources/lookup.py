"""Reads the present markers of given items from the table, by BatchGetItem.

Used if a source does not carry the marker, if a write found its item changed, and for pages that were open when an
earlier attempt ended.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from refire_async.aws.answers import Found, parse_found
from refire_async.aws.data_plane import DataPlane
from refire_async.model.keys import Key, KeySchema
from refire_async.sources.lazy_items import LazyItems

MAX_BATCH_KEYS = 100
"""Most keys of one BatchGetItem (DynamoDB Developer Guide: Quotas)."""

ITEM_RCU = 1.0
"""A strongly consistent read of an item of up to 4 KB, present or not; an eventually consistent one costs half
(DynamoDB Developer Guide: Read consistency)."""


class Lookup:
    """Reads `attributes`, which include the keys, of items of `table` (None: whole items)."""

    def __init__(
        self, data: DataPlane, table: str, keys: KeySchema, attributes: tuple[str, ...] | None
    ) -> None:
        self._data = data
        self._table = table
        self._keys = keys
        self._request: dict[str, Any] = {}
        if attributes is None:
            return
        names = {f"#rf{n}": name for n, name in enumerate(attributes)}
        self._request = {
            "ProjectionExpression": ", ".join(names),
            "ExpressionAttributeNames": names,
        }

    async def read(self, keys: Sequence[Key], *, consistent: bool = True) -> Found:
        """One request for at most `MAX_BATCH_KEYS` distinct keys. Raises AwsError."""
        wanted = keys.as_json() if isinstance(keys, LazyItems) else keys
        body = {
            "RequestItems": {self._table: {**self._request, "ConsistentRead": consistent, "Keys": wanted}},
            "ReturnConsumedCapacity": "TOTAL",
        }
        answer = await self._data.call("BatchGetItem", orjson.dumps(body))
        return parse_found(answer, self._table, self._keys, keys)

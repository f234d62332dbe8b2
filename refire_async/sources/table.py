"""Reads the items of a table or an index, by parallel Scan or by Query of hash keys.

Reads are eventually consistent, which costs half and is all that a global index offers: if a marker is stale, the
condition of its write fails and the item is looked up. Only keys, marker and TTL attribute are projected; a read
consumes the capacity of whole items nevertheless (DynamoDB Developer Guide: Scan).
"""

from collections.abc import Callable
from typing import Any

import orjson

from refire_async.aws.answers import parse_page
from refire_async.aws.data_plane import DataPlane
from refire_async.model.keys import AttributeValue, Cursor, IndexKeys, KeySchema
from refire_async.model.selection import Selection
from refire_async.model.units import RCU_BYTES
from refire_async.sources.base import SourcePage
from refire_async.sources.sort_key import sort_key_conditions

MIN_ITEMS = 20
"""With fewer items in a page, its rounded capacity units are no estimate of the item size."""


class TableSource:
    """A Scan in segments, or a Query per hash key, of a table or an index. See `scan_source` and `query_source`.

    `of_segment` returns the request members of a segment.
    """

    def __init__(
        self,
        data: DataPlane,
        operation: str,
        request: dict[str, Any],
        of_segment: Callable[[int], dict[str, Any]],
        *,
        table_keys: KeySchema,
        index_keys: IndexKeys | None,
        total_segments: int,
        carries_marker: bool,
    ) -> None:
        self._data = data
        self._operation = operation
        self._request = request
        self._of_segment = of_segment
        self._keys, self._index_keys = table_keys, index_keys
        self._of_index = "IndexName" in request
        self.total_segments = total_segments
        self.carries_marker = carries_marker
        # An item whose index key changes meanwhile moves within the index and can be read again.
        self.may_repeat = self._of_index

    async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
        """See `Source.read`."""
        request = {**self._request, "Limit": limit, **self._of_segment(segment)}
        if cursor is not None:
            request["ExclusiveStartKey"] = cursor
        answer = await self._data.call(self._operation, orjson.dumps(request))
        page = parse_page(answer, self._operation, self._keys, cursor, self._index_keys)
        item_bytes = None
        if page.rcu and not self._of_index and page.scanned >= MIN_ITEMS:
            item_bytes = page.rcu * 2 * RCU_BYTES / page.scanned
        return SourcePage(page.items, page.last, page.rcu, item_bytes)


def scan_source(
    data: DataPlane,
    table: str,
    selection: Selection,
    attributes: tuple[str, ...] | None,
    *,
    table_keys: KeySchema,
    index_keys: IndexKeys | None = None,
    total_segments: int,
    carries_marker: bool,
) -> TableSource:
    """All items of a table or index, in `total_segments` ranges of the key hash. `attributes` None: whole items."""
    request = _request(table, selection, attributes)

    def of_segment(segment: int) -> dict[str, Any]:
        return {"Segment": segment, "TotalSegments": total_segments}

    return TableSource(
        data,
        "Scan",
        request,
        of_segment,
        table_keys=table_keys,
        index_keys=index_keys,
        total_segments=total_segments,
        carries_marker=carries_marker,
    )


def query_source(
    data: DataPlane,
    table: str,
    selection: Selection,
    attributes: tuple[str, ...] | None,
    keys: KeySchema | IndexKeys,
    *,
    table_keys: KeySchema,
    carries_marker: bool,
) -> TableSource:
    """The items of each hash key of the selection, of a table or index with the key schema `keys`.

    Every hash key (with all hash attributes of an index that has several) is a segment, read in the order of the sort
    key. `attributes` None: whole items.
    """
    request = _request(table, selection, attributes)
    names: dict[str, str] = request.setdefault("ExpressionAttributeNames", {})
    values: dict[str, AttributeValue] = dict(request.get("ExpressionAttributeValues", {}))
    own = _own_prefix(selection)
    condition, hash_names = hash_key_condition(selection, own)
    names |= hash_names
    if selection.sort_key_condition is not None:
        part, sort_names, sort_values = sort_key_conditions(
            selection.sort_key_condition, keys.ranges, f"#{own}s", f":{own}"
        )
        condition += f" AND {part}"
        names |= sort_names
        values |= sort_values
    request["KeyConditionExpression"] = condition

    def of_segment(segment: int) -> dict[str, Any]:
        return {"ExpressionAttributeValues": {**values, **hash_key_values(selection, own, segment)}}

    return TableSource(
        data,
        "Query",
        request,
        of_segment,
        table_keys=table_keys,
        index_keys=keys if isinstance(keys, IndexKeys) else None,
        total_segments=len(selection.key_values),
        carries_marker=carries_marker,
    )


def hash_key_condition(selection: Selection, prefix: str) -> tuple[str, dict[str, str]]:
    """A KeyConditionExpression that every hash attribute of a query's selection equals its value, and its names.

    The values are those of `hash_key_values` with the same prefix.
    """
    names = {f"#{prefix}h{n}": name for n, name in enumerate(selection.hash_names)}
    return " AND ".join(f"{name} = :{name[1:]}" for name in names), names


def hash_key_values(selection: Selection, prefix: str, segment: int) -> dict[str, AttributeValue]:
    """The values of a segment by their placeholders in `hash_key_condition`."""
    return {f":{prefix}h{n}": value for n, value in enumerate(selection.hash_key(segment).values())}


def _request(table: str, selection: Selection, attributes: tuple[str, ...] | None) -> dict[str, Any]:
    """The members that Scan and Query requests have in common."""
    own = _own_prefix(selection)
    names = dict(selection.names)
    request: dict[str, Any] = {"TableName": table, "ReturnConsumedCapacity": "TOTAL"}
    if attributes is not None:
        projected = {f"#{own}{n}": name for n, name in enumerate(attributes)}
        request["ProjectionExpression"] = ", ".join(projected)
        names |= projected
    if names:
        request["ExpressionAttributeNames"] = names
    if selection.index is not None:
        request["IndexName"] = selection.index
    if selection.filter is not None:
        request["FilterExpression"] = selection.filter
        if selection.values:
            request["ExpressionAttributeValues"] = dict(selection.values)
    return request


def _own_prefix(selection: Selection) -> str:
    """A prefix for own placeholders that no placeholder of the user has, so that they cannot be mixed up."""
    prefix = "rf"
    while any(name[1:].startswith(prefix) for name, _ in (*selection.names, *selection.values)):
        prefix += "x"
    return prefix

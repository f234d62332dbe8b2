"""ItemCollectionMetrics: how large the items of one hash key are, with their entries in local secondary indexes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from refire_async.sandbox.store.keys import ABOVE
from refire_async.sandbox.store.table import Table
from refire_async.sandbox.values import AttributeValue

METRICS = "ReturnItemCollectionMetrics"
_GB = 1 << 30


def collection_metrics(table: Table, key: Mapping[str, AttributeValue]) -> dict[str, Any] | None:
    """The collection that a key belongs to, None where a table has no local index (API Reference: PutItem).

    SizeEstimateRangeGB is a lower and an upper bound, one apart.
    """
    local = [index for index in table.indexes.values() if not index.is_global]
    if not local:
        return None
    size = 0
    for schema, rows in [(table.schema, table.rows), *((index.schema, index.rows) for index in local)]:
        position = schema.hash_position(key)
        size += sum(row[1] for _, row in rows.between((position,), (position, ABOVE)))
    (name,) = table.schema.hash_names
    lower = float(size // _GB)
    return {"ItemCollectionKey": {name: key[name]}, "SizeEstimateRangeGB": [lower, lower + 1]}


def metrics_by_table(
    written: Iterable[tuple[Table, Mapping[str, AttributeValue]]],
) -> dict[str, list[dict[str, Any]]]:
    """Those of all collections that a request has written to, each once."""
    found: dict[str, dict[Any, dict[str, Any]]] = {}
    for table, key in written:
        metrics = collection_metrics(table, key)
        if metrics is not None:
            found.setdefault(table.name, {})[table.schema.hash_position(key)] = metrics
    return {name: list(collections.values()) for name, collections in found.items()}

"""Tables that sandboxes are started with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refire_async.sandbox import SandboxConfig

TABLE = "items"
NEVER_S = 86_400.0


def one_kb() -> int:
    """Bytes of an item "of 1 KB": with the marker that a touch adds it must still fit in one write unit."""
    return 1_000


def table_spec(
    items: int,
    item_bytes: Any,
    *,
    wcu: int,
    rcu: int | None = None,
    hash_keys: int | None = None,
    skew: Any = "uniform",
    indexes: Mapping[str, tuple[int, str]] | None = None,
) -> dict[str, Any]:
    """A provisioned table of generated items, with a stream of keys.

    `item_bytes` is a number or a distribution of the sandbox's. With `hash_keys` the table has a sort key, and items
    fall to hash keys as `skew` says (see docs/sandbox.md for both). `indexes` are global indexes from sort key to
    hash key: their write units and their projection type by name. Read capacity that is not given is enough for a
    scan that keeps up with the writes.
    """
    keys = [("pk", "HASH")] if hash_keys is None else [("pk", "HASH"), ("sk", "RANGE")]
    read_units = rcu or max(1_000, wcu)
    generate: dict[str, Any] = {"Count": items, "ItemBytes": item_bytes, "HashPrefix": "customer-"}
    if hash_keys is not None:
        generate |= {"HashKeys": hash_keys, "Skew": skew, "RangePrefix": "order-"}
    spec: dict[str, Any] = {
        "TableName": TABLE,
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        "KeySchema": [{"AttributeName": name, "KeyType": role} for name, role in keys],
        "ProvisionedThroughput": {"ReadCapacityUnits": read_units, "WriteCapacityUnits": wcu},
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        "Generate": generate,
    }
    if indexes:
        spec["GlobalSecondaryIndexes"] = [
            {
                "IndexName": name,
                "KeySchema": [
                    {"AttributeName": "sk", "KeyType": "HASH"},
                    {"AttributeName": "pk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": projection},
                "ProvisionedThroughput": {"ReadCapacityUnits": 1_000, "WriteCapacityUnits": units},
            }
            for name, (units, projection) in indexes.items()
        ]
    return spec


def config(spec: Mapping[str, Any], *, latency: str | None = None) -> SandboxConfig:
    """A sandbox with one table and without burst or splits, so that capacity is the same from start to end."""
    return SandboxConfig(tables=(spec,), burst_seconds=0.0, split_after=NEVER_S, latency=latency)

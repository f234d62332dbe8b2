"""Capacity: what a call consumed, by resource, and how much a partition serves. Pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MOST_UNITS = 1e6
"""Units of one call, many times what the largest consumes: 25 items of 400 KB with entries in 25 indexes."""

TABLE = ""
"""The name of the table among resources; every other name is that of an index."""

PARTITION_WCU = 1_000.0
PARTITION_RCU = 3_000.0
"""Units per second of one partition, and so of one hash key (DynamoDB Developer Guide: Key range throughput
exceeded)."""

PARTITION_BYTES = 10 << 30
"""A partition holds about 10 GB (DynamoDB Developer Guide: Partitions and data distribution)."""


@dataclass(frozen=True, slots=True)
class Consumed:
    """Units of one call: `total`, and `reported` by resource (`TABLE` or index name) if the answer contains them."""

    total: float
    reported: dict[str, float] = field(default_factory=dict)

    def by_resource(self, indexes: Iterable[str]) -> dict[str, float]:
        """Units of the table (`TABLE`) and of each of `indexes`, the global indexes with a capacity of their own.

        The units of failed batch members are in the total only, and local indexes consume the table's units, so the
        table's share is the total minus that of the global indexes.
        """
        found = {name: self.reported.get(name, 0.0) for name in indexes}
        found[TABLE] = max(0.0, self.total - sum(found.values()))
        return found


def parse_consumed(entry: dict[str, Any]) -> Consumed:
    """One ConsumedCapacity object (INDEXES or TOTAL form) as units by resource. Raises ValueError: it is none."""
    total = _units(entry)
    reported: dict[str, float] = {}
    table = entry.get("Table")
    if table is not None:
        reported[TABLE] = _units(table)
    for member in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        indexes = entry.get(member) or {}
        if not isinstance(indexes, dict):
            raise ValueError(f"{member} is not an object")  # noqa: TRY004 - bad data, not a bad call
        for name, units in indexes.items():
            reported[name] = _units(units)
    return Consumed(total, reported)


def _units(entry: Any) -> float:
    units = entry.get("CapacityUnits", 0.0) if isinstance(entry, dict) else None
    if not isinstance(units, int | float) or isinstance(units, bool) or not 0 <= units <= MOST_UNITS:
        raise ValueError("CapacityUnits is not a number of units")
    return float(units)


def partitions_needed(write: float, read: float = 0.0, size_bytes: float = 0.0) -> int:
    """The fewest partitions that serve `write` and `read` units per second and hold `size_bytes`.

    A table may have more: partitions that were split for an earlier peak are never merged.
    """
    return max(
        1,
        math.ceil(write / PARTITION_WCU),
        math.ceil(read / PARTITION_RCU),
        math.ceil(size_bytes / PARTITION_BYTES),
    )

"""What a call consumed, by resource."""

from dataclasses import dataclass, field
from typing import Any

TABLE = ""
"""The table's own name among resources; every other name is that of an index."""


@dataclass(frozen=True, slots=True)
class Consumed:
    """Units of one call: `total`, and `arms` by resource (`TABLE` or index name) where the reply tells them."""

    total: float
    arms: dict[str, float] = field(default_factory=dict)


def parse_consumed(entry: dict[str, Any]) -> Consumed:
    """One ConsumedCapacity object (INDEXES or TOTAL form) as units by resource."""
    arms: dict[str, float] = {}
    table = entry.get("Table")
    if table is not None:
        arms[TABLE] = float(table.get("CapacityUnits", 0.0))
    for member in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        for name, arm in (entry.get(member) or {}).items():
            arms[name] = float(arm.get("CapacityUnits", 0.0))
    return Consumed(float(entry.get("CapacityUnits", 0.0)), arms)

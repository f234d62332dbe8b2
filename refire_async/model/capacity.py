"""What a call consumed, by resource."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

TABLE = ""
"""The table's own name among resources; every other name is that of an index."""


@dataclass(frozen=True, slots=True)
class Consumed:
    """Units of one call: `total`, and `arms` by resource (`TABLE` or index name) where the reply tells them."""

    total: float
    arms: dict[str, float] = field(default_factory=dict)

    def by_resource(self, indexes: Iterable[str]) -> dict[str, float]:
        """Units of the table (`TABLE`) and of each of `indexes`, global ones with a capacity of their own.

        What failed members cost is in the total and in no arm, and local indexes spend the table's units: so the
        table's part is whatever no global index accounts for.
        """
        found = {name: self.arms.get(name, 0.0) for name in indexes}
        found[TABLE] = self.total - sum(found.values())
        return found


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

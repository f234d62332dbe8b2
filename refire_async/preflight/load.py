"""How fast the run would emit records, and for how long. Pure."""

from dataclasses import dataclass

from refire_async.model.capacity import TABLE
from refire_async.model.units import WCU_BYTES
from refire_async.preflight.facts import Asked, Facts


@dataclass(frozen=True, slots=True)
class Load:
    """Records per second at most, and the seconds that the run takes at that rate (None: number of items unknown)."""

    records_per_s: float
    items: int | None

    @property
    def seconds(self) -> float | None:
        """How long the run takes."""
        return None if self.items is None else self.items / self.records_per_s


def load_of(facts: Facts) -> Load:
    """What the budget allows with items of the size that was sampled, or else of the table's mean."""
    asked = facts.asked
    rate = asked.limits.write[TABLE] / item_units(facts)
    # An entry of an index is at most as large as its item.
    rate = max(rate, 0.1)
    others = list(asked.limits.indexes.values())
    rate = min([rate, *others])
    if asked.max_rate is not None:
        rate = min(rate, asked.max_rate)
    return Load(rate, _items(asked))


def item_units(facts: Facts) -> float:
    """Write units of one touch on the table, at least 1."""
    if facts.sample is not None and facts.sample.items:
        return facts.sample.mean_write_units
    table = facts.asked.table
    return max(1.0, table.size_bytes / max(1, table.item_count) / WCU_BYTES)


def _items(asked: Asked) -> int | None:
    """At most how many items; the table's own count can be six hours old (API reference: TableDescription)."""
    counted = asked.table.item_count if asked.selection.kind == "scan" else None
    if counted is not None and asked.selection.sample is not None:
        counted = round(counted * asked.selection.sample / 100)
    known = [number for number in (counted, asked.max_items) if number is not None]
    return min(known, default=None)

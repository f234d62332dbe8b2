"""The rate at which the run would emit records, and its duration. Pure."""

from dataclasses import dataclass

from refire_async.model.capacity import TABLE
from refire_async.model.units import WCU_BYTES
from refire_async.preflight.facts import CheckedRun, Facts


@dataclass(frozen=True, slots=True)
class Emission:
    """The records that a run emits: at most `records_per_s`; `items` is None if their number is unknown."""

    records_per_s: float
    items: int | None

    @property
    def seconds(self) -> float | None:
        """Duration of the run at that rate."""
        return None if self.items is None else self.items / self.records_per_s


def emission_of(facts: Facts) -> Emission:
    """The emission within the budget, for items of the sampled size, or else of the table's mean size."""
    run = facts.run
    rate = run.limits.write[TABLE] / item_units(facts)
    rate = max(rate, 0.1)
    # A touch consumes at least one unit of each index.
    others = list(run.limits.indexes.values())
    rate = min([rate, *others])
    if run.max_rate is not None:
        rate = min(rate, run.max_rate)
    return Emission(rate, _items(run))


def item_units(facts: Facts) -> float:
    """Write units of one touch on the table, at least 1."""
    if facts.sample is not None and facts.sample.items:
        return facts.sample.mean_write_units
    table = facts.run.table
    return max(1.0, table.size_bytes / max(1, table.item_count) / WCU_BYTES)


def _items(run: CheckedRun) -> int | None:
    """The maximum number of items; the table's count is up to six hours old (API reference: TableDescription)."""
    counted = run.table.item_count if run.selection.kind == "scan" else None
    if counted is not None and run.selection.sample is not None:
        counted = round(counted * run.selection.sample / 100)
    known = [number for number in (counted, run.max_items) if number is not None]
    return min(known, default=None)

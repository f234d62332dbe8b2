"""How long a run takes, and what bounds it. Pure: `refire plan` and the remaining time of a run both ask this."""

from collections.abc import Mapping
from dataclasses import dataclass

from refire_async.forecast.load import Load
from refire_async.model.capacity import TABLE

PARTITION_WCU = 1_000.0
"""Write units per second of one partition, which a hash key never exceeds (DynamoDB Developer Guide: Key range
throughput exceeded)."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a run may consume per second: write units by resource (`TABLE` and indexes), read units, items.

    `bound_by` names what sets the write budget, for people.
    """

    write: Mapping[str, float]
    read: float
    items: float | None = None
    bound_by: str = "the write budget"

    def scaled(self, share: float) -> "Pace":
        """`share` of all of it, but for the limit in items, which is the user's own."""
        write = {name: units * share for name, units in self.write.items()}
        return Pace(write, self.read * share, self.items, self.bound_by)


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds, and what they are spent on."""

    seconds: float
    bound_by: str


def duration(load: Load, pace: Pace) -> Duration:
    """How long `load` takes at `pace`: as long as its scarcest resource needs."""
    bounds: dict[str, float] = {}
    for name, units in load.item_wcu.items():
        limit = pace.write.get(name)
        if limit is None:  # a local index, or one whose capacity is unknown: the table's own
            continue
        what = pace.bound_by if name == TABLE else f"index {name}"
        bounds[what] = max(bounds.get(what, 0.0), load.items * units / limit)
    bounds["the read budget"] = load.rcu / pace.read if load.rcu else 0.0
    if pace.items is not None:
        bounds["--max-rate"] = load.items / pace.items
    hottest = load.items * load.hottest_share * load.item_wcu.get(TABLE, 1.0)
    bounds["the hottest hash key's partition"] = hottest / PARTITION_WCU
    bound_by = max(bounds, key=lambda name: bounds[name])
    return Duration(bounds[bound_by], bound_by)


def remaining(items_left: float, item_wcu: float, max_wcu: float, max_rate: float | None = None) -> float:
    """Seconds for `items_left` at `item_wcu` units each, while there is no measured rate to go by."""
    load = Load(int(items_left), 0.0, {TABLE: item_wcu}, 0.0)
    return duration(load, Pace({TABLE: max_wcu}, 1.0, max_rate)).seconds

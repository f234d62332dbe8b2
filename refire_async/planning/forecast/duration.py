"""How long a run takes, and what bounds it. Pure: `refire plan` and the remaining time of a run both ask this."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from refire_async.model.capacity import TABLE
from refire_async.model.partitions import PARTITION_WCU
from refire_async.planning.forecast.load import Load

IN_HAND_S = 1.0
"""Seconds' worth of units that a partition has ready when a run begins: its limit is on what it takes in a second, so
that all of the first second's can be taken at its start."""

HOT = 1.02
"""A partition is named as what bounds a run only if it takes this many times what all else takes: any hash key puts a
little more on its partition than on others."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What a run may consume per second: write units by resource (`TABLE` and indexes), read units, items.

    `bound_by` names what sets the write budget, for people. `partitions` are those that the table's items are spread
    over; where they are not known, infinitely many, and a hot hash key is alone in its own.
    """

    write: Mapping[str, float]
    read: float
    items: float | None = None
    bound_by: str = "the write budget"
    partitions: float = math.inf

    def scaled(self, share: float) -> "Rates":
        """`share` of all of it, but for the limit in items, which is the user's own, and the partitions."""
        write = {name: units * share for name, units in self.write.items()}
        return Rates(write, self.read * share, self.items, self.bound_by, self.partitions)


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds, and what they are spent on."""

    seconds: float
    bound_by: str


def duration(load: Load, pace: Rates) -> Duration:
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
    bound_by = max(bounds, key=lambda name: bounds[name])
    hottest = hottest_partition_s(load, pace.partitions)
    if hottest > bounds[bound_by] * HOT:
        bound_by = "the hottest hash key's partition"
    return Duration(max(hottest, *bounds.values()), bound_by)


def hottest_partition_s(load: Load, partitions: float) -> float:
    """Seconds that the partition of the hottest hash key is busy; 0 if no key is known to be hotter than others.

    Beside the hot key it holds its part of all other items. That is the cautious figure: DynamoDB may come to isolate
    the hot key in a partition of its own, but it tells neither whether nor when (DynamoDB Developer Guide: Burst and
    adaptive capacity).
    """
    hot = load.hottest_share
    if not hot:
        return 0.0
    units = load.items * (hot + (1.0 - hot) / partitions) * load.item_wcu.get(TABLE, 1.0)
    return max(0.0, units / PARTITION_WCU - IN_HAND_S)


def remaining(items_left: float, item_wcu: float, max_wcu: float, max_rate: float | None = None) -> float:
    """Seconds for `items_left` at `item_wcu` units each, while there is no measured rate to go by."""
    load = Load(items=int(items_left), item_bytes=0.0, item_wcu={TABLE: item_wcu}, rcu=0.0)
    return duration(load, Rates({TABLE: max_wcu}, 1.0, max_rate)).seconds

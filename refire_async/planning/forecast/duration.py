"""The duration of a run, and what limits it. Pure. Used by `refire plan` and for the remaining time of a run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from refire_async.model.capacity import PARTITION_WCU, TABLE
from refire_async.planning.forecast.load import Load

IN_HAND_S = 1.0
"""Seconds' worth of units that a partition has available when a run begins: its limit applies to each second, and the
units of the first second can be consumed at its start."""

HOT = 1.02
"""A partition counts as the limit of a run only if it needs this many times as long as any other limit: every hash key
loads its partition a little more than others."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What a run may consume per second: write units by resource (`TABLE` and indexes), read units, items.

    `bound_by` describes what sets the write budget. `partitions` is the number of the table's partitions; infinite if
    unknown, as if a hot hash key were alone in its partition. `machines` are limits of what runs the program, in items
    per second by what limits it.
    """

    write: Mapping[str, float]
    read: float
    items: float | None = None
    bound_by: str = "the write budget"
    partitions: float = math.inf
    machines: Mapping[str, float] = field(default_factory=dict)

    def scaled(self, share: float) -> "Rates":
        """`share` of the units. The limit in items, which the user sets, the partitions and the machines stay."""
        write = {name: units * share for name, units in self.write.items()}
        return replace(self, write=write, read=self.read * share)


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds, and what limits them."""

    seconds: float
    bound_by: str


def duration(load: Load, rates: Rates) -> Duration:
    """The duration of `load` at `rates`, which is that of its scarcest resource."""
    bounds: dict[str, float] = {}
    for name, units in load.item_wcu.items():
        limit = rates.write.get(name)
        if limit is None:  # a local index, or one of unknown capacity: it uses the table's
            continue
        what = rates.bound_by if name == TABLE else f"index {name}"
        bounds[what] = max(bounds.get(what, 0.0), load.items * units / limit)
    bounds["the read budget"] = load.rcu / rates.read if load.rcu else 0.0
    if rates.items is not None:
        bounds["--max-rate"] = load.items / rates.items
    bounds |= {name: load.items / rate for name, rate in rates.machines.items()}
    bound_by = max(bounds, key=lambda name: bounds[name])
    hottest = hottest_partition_s(load, rates.partitions)
    if hottest > bounds[bound_by] * HOT:
        bound_by = "the hottest hash key's partition"
    return Duration(max(hottest, *bounds.values()), bound_by)


def hottest_partition_s(load: Load, partitions: float) -> float:
    """Seconds that the partition of the hottest hash key is busy; 0 if no key is known to be hotter than others.

    The partition also has its share of all other items. This is the cautious assumption: DynamoDB may isolate the hot
    key in a partition of its own, but does not report whether or when (DynamoDB Developer Guide: Burst and adaptive
    capacity).
    """
    hot = load.hottest_share
    if not hot:
        return 0.0
    units = load.items * (hot + (1.0 - hot) / partitions) * load.item_wcu.get(TABLE, 1.0)
    return max(0.0, units / PARTITION_WCU - IN_HAND_S)


def remaining(items_left: float, item_wcu: float, max_wcu: float, max_rate: float | None = None) -> float:
    """Seconds for `items_left` at `item_wcu` units each, while no rate has been measured."""
    load = Load(items=int(items_left), item_bytes=0.0, item_wcu={TABLE: item_wcu}, rcu=0.0)
    return duration(load, Rates({TABLE: max_wcu}, 1.0, max_rate)).seconds

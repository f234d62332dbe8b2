"""The load of a run: the number of items, and the units to read and to touch them. Pure.

A touch is charged by the larger of the item before and after, in whole KiB, and the same again for each index whose
entry it changes, by the size of that entry (DynamoDB Developer Guide: Read and write operations; Global secondary
indexes: Write capacity).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from refire_async.model.capacity import TABLE
from refire_async.model.units import RCU_BYTES, WCU_BYTES

PAGE_ROUNDING_RCU = 0.25
"""A page is rounded up to 4 KiB once, half a unit at half price on average (DynamoDB Developer Guide: Scan)."""

LEAST_READ_RCU = 0.5
"""An eventually consistent read costs this much even if it finds nothing (the same)."""


def units_of(size: float) -> float:
    """Write units for one item or index entry of `size` bytes."""
    return max(1.0, math.ceil(size / WCU_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The load of a run. Mean values are per touched item, `rcu` is the total of all reads.

    `item_wcu` maps resources (`TABLE`: the table with its local indexes; names of global indexes) to units per item.
    `hottest_share` is the share of the items with the most frequent hash key. `quantiles` are the sizes in bytes below
    which 10, 50, 90 and 100% of the items lie; empty if only the mean is known. `at_least`: counting stopped early,
    and there are more items.
    """

    items: int
    item_bytes: float
    item_wcu: Mapping[str, float]
    rcu: float
    hottest_share: float = 0.0
    quantiles: tuple[int, ...] = ()
    sampled: int = 0
    at_least: bool = False

    @property
    def wcu(self) -> float:
        """Write units of all resources together, which determine the cost."""
        return self.items * sum(self.item_wcu.values())


@dataclass(slots=True)
class SampleSizes:
    """Sizes of sampled items and of their index entries, added one by one."""

    sizes: list[int] = field(default_factory=list)
    units: float = 0.0
    entry_units: dict[str, float] = field(default_factory=dict)
    entry_bytes: dict[str, float] = field(default_factory=dict)

    def add(self, size: int, growth: int, entries: Mapping[str, int], *, refused: bool = False) -> None:
        """Add an item of `size` bytes. `growth`: bytes that the first touch adds to it. `entries`: sizes of the index
        entries that the touch changes. `refused`: a first attempt fails and consumes the same units (DynamoDB Developer
        Guide: Working with items)."""
        self.sizes.append(size)
        self.units += units_of(size + growth) + (units_of(size + growth) if refused else 0.0)
        for index, entry in entries.items():
            self.entry_units[index] = self.entry_units.get(index, 0.0) + units_of(entry + growth)
            self.entry_bytes[index] = self.entry_bytes.get(index, 0.0) + entry

    @property
    def mean(self) -> float:
        """Bytes per item of the sample; 0 without one."""
        return sum(self.sizes) / len(self.sizes) if self.sizes else 0.0

    def item_units(self, true_mean: float | None = None) -> dict[str, float]:
        """Units per item, by resource: `TABLE` and each index with an entry in the sample.

        `true_mean` is the mean size in bytes of all items, if known (DescribeTable). A sample gives a good estimate of
        what rounding adds to the size, but a few large items distort its mean, so the size is scaled to the true mean.
        """
        number = len(self.sizes)
        if not number:
            return {TABLE: units_of(true_mean or 0.0)}
        scale = 1.0 if not true_mean else true_mean / self.mean
        found = {TABLE: _scaled(self.units / number, self.mean, scale)}
        for index, units in self.entry_units.items():
            found[index] = _scaled(units / number, self.entry_bytes[index] / number, scale)
        return found

    def quantiles(self, *shares: float) -> tuple[int, ...]:
        """Sizes below which these shares of the sample lie."""
        ordered = sorted(self.sizes)
        return tuple(ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in shares if ordered)


def _scaled(units: float, size: float, scale: float) -> float:
    """Mean units if all sizes were multiplied by `scale`: rounding adds about the same to an item of any size."""
    if scale == 1.0:
        return units
    moved = units + size * (scale - 1.0) / WCU_BYTES
    # The smallest item costs one unit, and no scale makes an item cheaper than its bytes.
    return max(moved, min(1.0, units), size * scale / WCU_BYTES)


def scan_rcu(items: float, item_bytes: float, page_items: int, segments: int) -> float:
    """Read units of an eventually consistent Scan or Query of `items` in pages, with the last read of each segment."""
    pages = items / page_items
    by_size = items * item_bytes / RCU_BYTES / 2
    return max(by_size + pages * PAGE_ROUNDING_RCU, pages * LEAST_READ_RCU) + segments * LEAST_READ_RCU

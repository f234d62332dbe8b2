"""Partitions: who owns which hashes, what each has left this second, and where it would be cut."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, deque

from refire_async.sandbox.capacity.buckets import TokenBucket
from refire_async.sandbox.capacity.history import History
from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.capacity.specs import HASHES

_SAMPLE = 128  # latest hashes that are kept, to find the cause of a hot partition
_FUTILE = 0.9  # a cut that leaves this share of the requests on one side is useless
_EVEN = 0.4  # a cut in the middle is good enough if both sides get this share


class Partition:
    """One partition: hashes ``low <= hash64 < high``, a bucket for reads and one for writes, counts of this second.

    ``heat`` counts the partition's own refusals of this second, ``hot_seconds`` how long it has been hot
    (cool seconds count back).
    """

    __slots__ = (
        "bytes",
        "heat",
        "high",
        "history",
        "hot_seconds",
        "id",
        "low",
        "parent",
        "read",
        "read_accepted",
        "read_throttled",
        "remember",
        "sample",
        "write",
        "write_accepted",
        "write_throttled",
    )

    def __init__(
        self,
        id_: int,
        low: int,
        high: int,
        *,
        parent: int | None,
        write: TokenBucket,
        read: TokenBucket,
        bytes_: float,
    ) -> None:
        self.id = id_
        self.low = low
        self.high = high
        self.parent = parent
        self.write = write
        self.read = read
        self.bytes = bytes_
        self.sample: deque[int] = deque(maxlen=_SAMPLE)
        self.remember = self.sample.append
        self.read_accepted = 0.0
        self.write_accepted = 0.0
        self.read_throttled = 0.0
        self.write_throttled = 0.0
        self.heat = 0
        self.hot_seconds = 0.0
        self.history = History()

    @property
    def share(self) -> float:
        """Share of all hashes that it owns."""
        return (self.high - self.low) / HASHES

    def counts(self) -> tuple[float, float, float, float]:
        """Of this second, in the order of ``history.COLUMNS``."""
        return self.read_accepted, self.write_accepted, self.read_throttled, self.write_throttled

    def start_second(self) -> None:
        """Begin counting anew."""
        self.read_accepted = self.write_accepted = self.read_throttled = self.write_throttled = 0.0
        self.heat = 0

    def heat_boundary(self) -> int | None:
        """Where a split would share out the present heat; None if it cannot, as with one hot hash key."""
        count = len(self.sample)
        if count == 0 or self.high - self.low < 2:
            return None
        middle = (self.low + self.high) // 2
        below = sum(1 for hash64 in self.sample if hash64 < middle)
        if min(below, count - below) >= _EVEN * count:
            return middle
        best, best_side = None, _FUTILE * count
        below = 0
        for hash64, times in sorted(Counter(self.sample).items()):
            larger = max(below, count - below)
            if larger < best_side:
                best, best_side = hash64, larger
            below += times
        return best


class PartitionMap:
    """The open partitions of one resource, which always cover all hashes, and those closed by splits."""

    def __init__(
        self, count: int, *, size_bytes: float, settings: CapacitySettings, full: bool, now: float
    ) -> None:
        """Cut the hashes into ``count`` equal ranges; ``full`` says whether the buckets start full."""
        self._settings = settings
        self.open: list[Partition] = []
        self.lows: list[int] = []
        self.closed: list[Partition] = []
        self._next_id = 0
        for at in range(count):
            low, high = HASHES * at // count, HASHES * (at + 1) // count
            partition = self._make(low, high, parent=None, bytes_=size_bytes / count)
            for bucket in (partition.write, partition.read):
                bucket.at = now
                bucket.balance = bucket.depth if full else 0.0
            self.open.append(partition)
            self.lows.append(low)

    def at(self, hash64: int) -> Partition:
        """The partition that owns this hash."""
        return self.open[bisect_right(self.lows, hash64) - 1]

    def split(self, partition: Partition, boundary: int) -> tuple[Partition, Partition]:
        """Close ``partition`` and open two that own its hashes below ``boundary`` and from it on.

        Each child has the full limit of a partition, but no more left of this second than the parent had.
        """
        children = []
        for low, high in ((partition.low, boundary), (boundary, partition.high)):
            part = (high - low) / (partition.high - partition.low)
            child = self._make(low, high, parent=partition.id, bytes_=partition.bytes * part)
            for mine, parents in ((child.write, partition.write), (child.read, partition.read)):
                mine.at, mine.balance = parents.at, parents.balance
            children.append(child)
        at = bisect_right(self.lows, partition.low) - 1
        self.open[at : at + 1] = children
        self.lows[at : at + 1] = [child.low for child in children]
        self.closed.append(partition)
        return children[0], children[1]

    def forget_closed(self, second: int) -> None:
        """Drop closed partitions whose history has no row after ``second``."""
        self.closed = [partition for partition in self.closed if partition.history.last_second() > second]

    def too_wide(self, read: float, write: float) -> Partition | None:
        """The widest partition, if it could not serve its share of this throughput; else None."""
        widest = max(self.open, key=lambda partition: partition.high - partition.low)
        settings = self._settings
        needed = max(write / settings.partition_write_units, read / settings.partition_read_units)
        # 2**64 is cut into whole numbers, so that equal shares differ by a few parts in 10**19.
        return widest if widest.share * needed > 1 + 1e-9 else None

    def _make(self, low: int, high: int, *, parent: int | None, bytes_: float) -> Partition:
        settings = self._settings
        id_ = self._next_id
        self._next_id += 1
        # A partition's limit holds for every second: its bucket is one second deep, whatever the burst.
        write = TokenBucket(settings.partition_write_units, settings.partition_write_units)
        read = TokenBucket(settings.partition_read_units, settings.partition_read_units)
        return Partition(id_, low, high, parent=parent, write=write, read=read, bytes_=bytes_)


def partitions_needed(read: float, write: float, size_bytes: float, settings: CapacitySettings) -> int:
    """How many partitions serve this throughput and hold this size.

    Reads and writes are limited independently, so the larger of the three counts; a new on-demand table
    (4,000 writes, 12,000 reads) gets 4 by this rule.
    """
    return max(
        1,
        math.ceil(write / settings.partition_write_units),
        math.ceil(read / settings.partition_read_units),
        math.ceil(size_bytes / settings.partition_bytes),
    )

"""The capacity of one resource: the table itself or one GSI, with its limit, its partitions and its growth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Literal

from refire_async.sandbox.capacity.buckets import TokenBucket
from refire_async.sandbox.capacity.history import KEPT_SECONDS, History
from refire_async.sandbox.capacity.partitions import Partition, PartitionMap, partitions_needed
from refire_async.sandbox.capacity.peaks import PeakTracker
from refire_async.sandbox.capacity.reasons import Limit, Reason, Throttle, reason_for, throttle_for
from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.capacity.specs import Provisioned, ResourceSpec, Split, Throughput

Cause = Literal["heat", "size", "capacity"]


class ResourceCapacity:
    """Admission, accounting and growth of one table or GSI.

    Two limits apply at once, for reads and for writes each: that of the whole resource, and that of the partition. A
    partition may use its own limit in full as long as the resource limit allows it (adaptive capacity: Developer
    Guide, Burst and adaptive capacity). Times named ``now`` are monotonic seconds, ``second`` is one of the clock's
    whole seconds since 1970.
    """

    def __init__(
        self,
        index: str | None,
        table_arn: str,
        spec: ResourceSpec,
        *,
        settings: CapacitySettings,
        now: float,
        report_split: Callable[[Split], None],
    ) -> None:
        self.index = index
        self.history = History()
        self.throttles: Counter[Reason] = Counter()
        self._table_arn = table_arn
        self._settings = settings
        self._report_split = report_split
        self._throughput = spec.throughput
        # What can be served at once: the maximum of provisioned, warm and grown throughput so far.
        self.warm_read, self.warm_write = spec.warm_read, spec.warm_write
        self._raise_warm(spec.throughput)
        window, delay = settings.on_demand_peak_window, settings.on_demand_growth_after
        self._read_peak = PeakTracker(window=window, delay=delay)
        self._write_peak = PeakTracker(window=window, delay=delay)
        full = settings.burst_seconds > 0
        self.map = PartitionMap(
            spec.partitions or partitions_needed(self.warm_read, self.warm_write, spec.size_bytes, settings),
            size_bytes=spec.size_bytes,
            settings=settings,
            full=full,
            now=now,
        )
        self.read = TokenBucket(0, 0, at=now)
        self.write = TokenBucket(0, 0, at=now)
        self._apply(now)
        if full:
            self.read.balance, self.write.balance = self.read.depth, self.write.depth

    @property
    def resource(self) -> str:
        """ARN."""
        return self._table_arn if self.index is None else f"{self._table_arn}/index/{self.index}"

    # Requests ----------------------------------------------------------------------------------------------

    def take_write(self, now: float, hash64: int, units: float) -> Throttle | None:
        """Charge a write, or say why not."""
        partition = self.map.at(hash64)
        if not self.write.take(now, units):
            return self._refuse_write(partition, self._write_refused, units)
        partition.remember(hash64)
        if partition.write.take(now, units):
            partition.write_accepted += units
            return None
        self.write.give_back(units)
        partition.heat += 1
        return self._refuse_write(partition, self._write_hot, units)

    def undo_write(self, hash64: int, units: float) -> None:
        """Give back what ``take_write`` charged in this moment."""
        partition = self.map.at(hash64)
        partition.write.give_back(units)
        self.write.give_back(units)
        partition.write_accepted -= units

    def charge_write(self, now: float, hash64: int, units: float) -> None:
        """Charge a write that cannot be refused."""
        partition = self.map.at(hash64)
        self.write.charge(now, units)
        partition.write.charge(now, units)
        partition.remember(hash64)
        partition.write_accepted += units

    def check_read(self, now: float, hash64: int, expected_units: float) -> Throttle | None:
        """None if anything is left for a read at this hash, else why not."""
        partition = self.map.at(hash64)
        if not self.read.has_any(now):
            throttle = self._read_refused
        elif not partition.read.has_any(now):
            throttle = self._read_hot
            partition.remember(hash64)
            partition.heat += 1
        else:
            return None
        partition.read_throttled += expected_units
        self.throttles[throttle.reason] += 1
        return throttle

    def charge_read(self, now: float, hash64: int, units: float) -> None:
        """Charge a read that was done."""
        partition = self.map.at(hash64)
        self.read.charge(now, units)
        partition.read.charge(now, units)
        partition.remember(hash64)
        partition.read_accepted += units

    def _refuse_write(self, partition: Partition, throttle: Throttle, units: float) -> Throttle:
        partition.write_throttled += units
        self.throttles[throttle.reason] += 1
        return throttle

    # Shape -------------------------------------------------------------------------------------------------

    def resize(self, now: float, at: float, throughput: Throughput) -> None:
        """Another provisioned throughput, maximum or mode. Partitions are added if it was never this high."""
        self._throughput = throughput
        if self._raise_warm(throughput):
            self._add_partitions(at)
        self._apply(now)

    def prewarm(self, now: float, at: float, read: float, write: float) -> None:
        """Raise what is served at once; it never goes down."""
        if read > self.warm_read or write > self.warm_write:
            self.warm_read, self.warm_write = max(read, self.warm_read), max(write, self.warm_write)
            self._add_partitions(at)
            self._apply(now)

    def grow(self, at: float, hash64: int, delta_bytes: int) -> None:
        """Data came or went at this hash."""
        partition = self.map.at(hash64)
        partition.bytes = max(0.0, partition.bytes + delta_bytes)
        if partition.bytes > self._settings.partition_bytes and partition.high - partition.low > 1:
            # Where the bytes lie within the partition is not known here; an even spread is assumed.
            self._split(partition, (partition.low + partition.high) // 2, "size", at)

    def _raise_warm(self, throughput: Throughput) -> bool:
        settings = self._settings
        if isinstance(throughput, Provisioned):
            read, write = throughput.read, throughput.write
        else:
            read, write = settings.on_demand_read_units, settings.on_demand_write_units
        higher = read > self.warm_read or write > self.warm_write
        self.warm_read, self.warm_write = max(read, self.warm_read), max(write, self.warm_write)
        return higher

    def _apply(self, now: float) -> None:
        """Set the buckets of the resource and the name of their refusals from the present throughput."""
        settings, throughput = self._settings, self._throughput
        if isinstance(throughput, Provisioned):
            depth_seconds = max(1.0, settings.burst_seconds)
            read, write = throughput.read, throughput.write
            read_limit = write_limit = Limit.PROVISIONED
        else:
            depth_seconds = 1.0
            read, read_limit = _on_demand_limit(
                self.warm_read, throughput.max_read, settings.quota_read_units
            )
            write, write_limit = _on_demand_limit(
                self.warm_write, throughput.max_write, settings.quota_write_units
            )
        self.read.reshape(now, read, read * depth_seconds)
        self.write.reshape(now, write, write * depth_seconds)
        self._read_refused = self._throttle(read_limit, read=True)
        self._write_refused = self._throttle(write_limit, read=False)
        self._read_hot = self._throttle(Limit.KEY_RANGE, read=True)
        self._write_hot = self._throttle(Limit.KEY_RANGE, read=False)

    def _throttle(self, limit: Limit, *, read: bool) -> Throttle:
        return throttle_for(
            reason_for(limit, index=self.index is not None, read=read),
            table_arn=self._table_arn,
            index=self.index,
            on_demand=not isinstance(self._throughput, Provisioned),
            settings=self._settings,
        )

    def _add_partitions(self, at: float) -> None:
        while partition := self.map.too_wide(self.warm_read, self.warm_write):
            self._split(partition, (partition.low + partition.high) // 2, "capacity", at)

    def _split(self, partition: Partition, boundary: int, cause: Cause, at: float) -> None:
        low, high = self.map.split(partition, boundary)
        self._report_split(Split(self.index, at, partition.id, (low.id, high.id), boundary, cause))

    # Time --------------------------------------------------------------------------------------------------

    def end_second(self, now: float, at: float, second: int, now_second: int) -> None:
        """File the counts of ``second``, the latest one with traffic; then split and grow if it is time.

        The seconds between ``second`` and ``now_second``, the present one, were idle.
        """
        totals = [0.0] * 4
        for partition in chain(self.map.open, self.map.closed):
            counts = partition.counts()
            if any(counts):
                partition.history.add(second, counts)
                totals = [total + count for total, count in zip(totals, counts, strict=True)]
        if any(totals):
            self.history.add(second, totals)
        self.map.forget_closed(now_second - KEPT_SECONDS)
        self._split_hot(at, idle_seconds=now_second - second - 1)
        for partition in chain(self.map.open, self.map.closed):
            partition.start_second()
        if not isinstance(self._throughput, Provisioned):
            self._follow_peak(now, at, second, now_second, totals)

    def counts(self) -> list[float]:
        """Of this second, all partitions together, in the order of ``history.COLUMNS``."""
        return [
            sum(column)
            for column in zip(*(p.counts() for p in chain(self.map.open, self.map.closed)), strict=True)
        ]

    def _split_hot(self, at: float, *, idle_seconds: int) -> None:
        settings = self._settings
        if settings.split_after is None:
            return
        hot_writes = settings.split_heat * settings.partition_write_units
        hot_reads = settings.split_heat * settings.partition_read_units
        for partition in tuple(self.map.open):
            hot = (
                partition.heat
                or partition.write_accepted >= hot_writes
                or partition.read_accepted >= hot_reads
            )
            seconds = partition.hot_seconds + (1 if hot else -1)
            if seconds >= settings.split_after and (boundary := partition.heat_boundary()):
                self._split(partition, boundary, "heat", at)
            else:
                # A partition that no cut can help stays due: it is split as soon as its traffic spreads.
                partition.hot_seconds = max(0.0, min(seconds, settings.split_after) - idle_seconds)

    def _follow_peak(
        self, now: float, at: float, second: int, now_second: int, totals: Sequence[float]
    ) -> None:
        """Twice the previous peak is served at once (Developer Guide: On-demand capacity mode)."""
        # A full bucket can lift a second above what is served; growth is by two at most.
        self._read_peak.add(second, min(totals[0], self.warm_read))
        self._write_peak.add(second, min(totals[1], self.warm_write))
        self.prewarm(now, at, 2 * self._read_peak.peak(now_second), 2 * self._write_peak.peak(now_second))


def _on_demand_limit(warm: float, maximum: float | None, quota: float) -> tuple[float, Limit]:
    """The lowest of the three limits of on-demand traffic. Beyond the first, it is partitions that lack."""
    rate, limit = warm, Limit.KEY_RANGE
    if quota <= rate:
        rate, limit = quota, Limit.ACCOUNT
    if maximum is not None and maximum <= rate:
        rate, limit = maximum, Limit.MAXIMUM
    return rate, limit

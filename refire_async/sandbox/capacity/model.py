"""The capacity of one table and its indexes: what is admitted, what is throttled and why, and how it grows.

One ``TableCapacity`` per table, with a resource for the table (LSI units go there) and one per GSI. Nothing here
waits or does I/O; time comes from the clock alone. Not safe for threads: one loop owns a table.

Not modelled: a partition is a range of hashes, so that no item collection is ever cut (the service cuts some
by sort key, though never those of a table with an LSI; Developer Guide: Burst and adaptive capacity); nothing
uses up burst in the background; partitions never merge, as in the service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor

from refire_async.sandbox.capacity.reasons import Throttle
from refire_async.sandbox.capacity.resource import ResourceCapacity
from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.capacity.specs import PartitionInfo, ResourceSpec, Split, Throughput
from refire_async.sandbox.capacity.stats import ResourceStats, resource_stats
from refire_async.sandbox.clock import Clock

IndexArm = tuple[str, int, float]
"""What a write costs one GSI: (index, hash64 of the entry's hash key, units)."""


class TableCapacity:
    """Admission and accounting of one table.

    ``hash64`` everywhere is the 64-bit hash of a hash key value, 0 <= hash64 < 2**64; for an index, that
    of the index's own hash key. ``index`` None means the table; an unknown index raises ``KeyError``.
    """

    splits: list[Split]
    """All splits so far, oldest first; it only grows. Compare its length with what you have seen."""

    def __init__(
        self,
        clock: Clock,
        arn: str,
        table: ResourceSpec,
        *,
        indexes: Mapping[str, ResourceSpec] | None = None,
        settings: CapacitySettings | None = None,
    ) -> None:
        """``arn`` is the table's; index ARNs are made from it."""
        self.splits = []
        self._settings = settings or CapacitySettings()
        self._arn = arn
        self._now = clock.monotonic
        now = clock.monotonic()
        self._epoch = clock.time() - now
        self._second = floor(now + self._epoch)
        self._next_second_at = self._second + 1 - self._epoch
        self._table = self._make_resource(None, table, now)
        self._indexes: dict[str, ResourceCapacity] = {}
        for name, spec in (indexes or {}).items():
            self.add_index(name, spec)

    # Requests ----------------------------------------------------------------------------------------------

    def admit_write(
        self, hash64: int, table_units: float, index_arms: Sequence[IndexArm] = ()
    ) -> Throttle | None:
        """Charge one write to the table and to every index, or to none of them.

        Returns None when admitted, else the refusal of the first resource without capacity: an index without
        capacity fails the write of the base table (Developer Guide: Global secondary indexes, throttling).
        Only the resource at fault counts its units as throttled. An index entry that moves to another key is two
        entries of the same index. A write whose condition fails is admitted in the same way, with
        ``failed_condition_units`` and no index. Members of a batch are admitted one by one: a batched form
        was measured and saves 6%.
        """
        now = self._now()
        if now >= self._next_second_at:
            self._end_second(now)
        throttle = self._table.take_write(now, hash64, table_units)
        if index_arms and throttle is None:
            return self._admit_indexes(now, hash64, table_units, index_arms)
        return throttle

    def undo_write(self, hash64: int, table_units: float, index_arms: Sequence[IndexArm] = ()) -> None:
        """Give back what ``admit_write`` charged in this moment."""
        self._table.undo_write(hash64, table_units)
        for name, index_hash64, units in index_arms:
            self._indexes[name].undo_write(index_hash64, units)

    def charge_write(self, hash64: int, table_units: float, index_arms: Sequence[IndexArm] = ()) -> None:
        """Charge a write that is done already and cannot be refused; balances may go below zero."""
        now = self._catch_up()
        self._table.charge_write(now, hash64, table_units)
        for name, index_hash64, units in index_arms:
            self._indexes[name].charge_write(now, index_hash64, units)

    def check_read(self, index: str | None, hash64: int, expected_units: float = 1.0) -> Throttle | None:
        """Whether a read at this hash may go ahead: any balance left will do, as the cost is known only later.

        Nothing is charged. A refusal is counted in the statistics as ``expected_units``.
        """
        return self._resource(index).check_read(self._catch_up(), hash64, expected_units)

    def charge_read(self, index: str | None, hash64: int, units: float) -> None:
        """Charge what a read turned out to cost, for each partition that it touched; balances may go below zero."""
        self._resource(index).charge_read(self._catch_up(), hash64, units)

    def _admit_indexes(
        self, now: float, hash64: int, table_units: float, index_arms: Sequence[IndexArm]
    ) -> Throttle | None:
        for at, (name, index_hash64, units) in enumerate(index_arms):
            throttle = self._indexes[name].take_write(now, index_hash64, units)
            if throttle is not None:
                for name_before, hash64_before, units_before in index_arms[:at]:
                    self._indexes[name_before].undo_write(hash64_before, units_before)
                self._table.undo_write(hash64, table_units)
                return throttle
        return None

    # Shape -------------------------------------------------------------------------------------------------

    def resize(self, index: str | None, throughput: Throughput) -> None:
        """UpdateTable: another provisioned throughput, maximum or billing mode, from now on."""
        now = self._catch_up()
        self._resource(index).resize(now, now + self._epoch, throughput)

    def prewarm(self, index: str | None, *, read: float, write: float) -> None:
        """UpdateTable with WarmThroughput: at least this much is served at once. It never goes down."""
        now = self._catch_up()
        self._resource(index).prewarm(now, now + self._epoch, read, write)

    def add_index(self, name: str, spec: ResourceSpec) -> None:
        """A GSI is there from now on. Raises ``ValueError`` if it exists already."""
        if name in self._indexes:
            raise ValueError(f"index {name} exists already")
        self._indexes[name] = self._make_resource(name, spec, self._now())

    def drop_index(self, name: str) -> None:
        """The GSI is gone, and its statistics with it."""
        del self._indexes[name]

    def grow(self, index: str | None, hash64: int, delta_bytes: int) -> None:
        """Data was added (or, if negative, removed) at this hash; a partition above its size limit is split."""
        self._resource(index).grow(self._now() + self._epoch, hash64, delta_bytes)

    def partitions(self, index: str | None = None) -> tuple[PartitionInfo, ...]:
        """The partitions that are open now, in hash order; together they cover 0 to 2**64."""
        self._catch_up()
        return tuple(PartitionInfo(p.id, p.low, p.high, p.parent) for p in self._resource(index).map.open)

    def partition_id(self, hash64: int, index: str | None = None) -> int:
        """Id of the partition that holds this hash as of the latest request; cheap, and never splits anything."""
        return self._resource(index).map.at(hash64).id

    def warm_throughput(self, index: str | None = None) -> tuple[float, float]:
        """(read, write) units a second that can be served at once, as DescribeTable's WarmThroughput shows them."""
        self._catch_up()
        resource = self._resource(index)
        return resource.warm_read, resource.warm_write

    def _resource(self, index: str | None) -> ResourceCapacity:
        return self._table if index is None else self._indexes[index]

    def _make_resource(self, index: str | None, spec: ResourceSpec, now: float) -> ResourceCapacity:
        report = self.splits.append
        return ResourceCapacity(index, self._arn, spec, settings=self._settings, now=now, report_split=report)

    # Time --------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Let splits, growth and statistics catch up with the clock. Every request does so too, once a second."""
        self._catch_up()

    def stats(self) -> list[ResourceStats]:
        """Accepted and throttled units of the last 600 seconds, the table's first, then those of its indexes."""
        self._catch_up()
        return [resource_stats(resource, self._second) for resource in (self._table, *self._indexes.values())]

    def _catch_up(self) -> float:
        now = self._now()
        if now >= self._next_second_at:
            self._end_second(now)
        return now

    def _end_second(self, now: float) -> None:
        second = floor(now + self._epoch)
        if second > self._second:
            for resource in (self._table, *self._indexes.values()):
                resource.end_second(now, now + self._epoch, self._second, second)
            self._second = second
        self._next_second_at = self._second + 1 - self._epoch

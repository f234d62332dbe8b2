"""The stream of one table: shards, records, retention.

Records are stored as columns: snapshots of the row before and of the row after, and the second of their creation
only where it changes. Images, keys and sizes are computed when they are read. Snapshots share rows with the
table, so a record costs 16 bytes and the row that it outlives.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from refire_async.sandbox.store.rows import Row, Rows

# Developer Guide: Streams: records are kept for 24 hours.
RETENTION_S = 24 * 3600
# A sandbox keeps less if records would take more memory than this; the oldest are trimmed first.
MAX_KEPT_BYTES = 1 << 30
_RECORD_BYTES = 16
# Sequence numbers of DynamoDB are decimal strings of 21 to 40 digits that grow within a shard and from parent to child.
_FIRST_NUMBER = 10**23
_NUMBERS_OF_SHARD = 10**14


class Partition(Protocol):
    """The part of a partition that a shard needs."""

    @property
    def id(self) -> int: ...
    @property
    def low(self) -> int: ...
    @property
    def parent(self) -> int | None: ...


class Shard:
    """A run of records in order. ``position`` counts records of this shard from 0, trimmed ones included."""

    __slots__ = (
        "_latest",
        "_new",
        "_old",
        "_rows",
        "_seconds",
        "_starts",
        "closed",
        "first",
        "id",
        "parent",
        "trimmed",
    )

    def __init__(self, shard_id: str, parent: str | None, serial: int, rows: Rows) -> None:
        self.id = shard_id
        self.parent = parent
        self.first = _FIRST_NUMBER + serial * _NUMBERS_OF_SHARD
        self.closed = False
        self.trimmed = 0
        self.use_rows(rows)
        # Records from _starts[i] on arose in second _seconds[i].
        self._starts: list[int] = []
        self._seconds: list[int] = []
        self._latest = -1

    def use_rows(self, rows: Rows) -> None:
        """Take snapshots from these rows. Only before the first record."""
        self._rows = rows
        self._old = rows.new_column()
        self._new = rows.new_column()

    @property
    def end(self) -> int:
        """Position of the next record."""
        return self.trimmed + len(self._new)

    def append(self, second: int, old: Any, new: Any) -> None:
        """Add a record of two snapshots; ``second`` is Unix time and never goes back."""
        if second > self._latest:
            self._latest = second
            self._starts.append(self.end)
            self._seconds.append(second)
        self._old.append(old)
        self._new.append(new)

    def records(self, start: int) -> Iterator[tuple[int, int, Row | None, Row | None]]:
        """(sequence number, second, row before, row after) of each record from position ``start`` on."""
        run = max(bisect_right(self._starts, start) - 1, 0)
        restore = self._rows.restore
        for position in range(start, self.end):
            while run + 1 < len(self._starts) and self._starts[run + 1] <= position:
                run += 1
            index = position - self.trimmed
            old, new = restore(self._old[index]), restore(self._new[index])
            yield self.first + position, self._seconds[run], old, new

    def sequence_number(self, position: int) -> str:
        """Sequence number of the record at a position."""
        return str(self.first + position)

    def position(self, sequence_number: str) -> int | None:
        """Position of a sequence number; None if it was never given out in this shard.

        The first is given out from the start: DescribeStream shows it while the shard is still empty.
        """
        if not sequence_number.isdecimal() or len(sequence_number) > 40:
            return None
        position = int(sequence_number) - self.first
        return position if 0 <= position < max(self.end, 1) else None

    def position_at(self, second: int) -> int:
        """Position of the first record from ``second`` or later that is kept; the end if there is none."""
        run = bisect_left(self._seconds, second)
        return max(self._starts[run], self.trimmed) if run < len(self._starts) else self.end

    def trim(self, oldest_second: int) -> int:
        """Trim the records from before ``oldest_second``; returns the number of bytes that this frees."""
        if not self._seconds or self._seconds[0] >= oldest_second:
            return 0
        run = 0
        while run < len(self._seconds) and self._seconds[run] < oldest_second:
            run += 1
        cut = self._starts[run] if run < len(self._starts) else self.end
        count = cut - self.trimmed
        freed = count * _RECORD_BYTES + sum(map(self._rows.snapshot_bytes, self._old[:count]))
        del self._old[:count], self._new[:count]
        del self._starts[:run], self._seconds[:run]
        if not self._seconds:
            self._latest = -1
        self.trimmed = cut
        return freed

    @property
    def first_second(self) -> int | None:
        """The time of the oldest record that is kept."""
        return self._seconds[0] if self._seconds else None


class StreamLog:
    """All shards of one stream. ``label`` is the last part of its ARN, ``view_type`` fixed for its life."""

    def __init__(
        self, label: str, view_type: str, created: float, partitions: Sequence[Partition], rows: Rows
    ) -> None:
        self._rows = rows
        self.label = label
        self.view_type = view_type
        self.created = created
        self.enabled = True
        self.kept_bytes = 0
        self.shards: list[Shard] = []
        self._by_id: dict[str, Shard] = {}
        self._by_partition: dict[int, Shard] = {}
        self._lows: list[int] = []
        self._open: list[Shard] = []
        self.follow(partitions, created)

    def split(self, parent: int, children: Iterable[int], now: float) -> None:
        """Open a shard for each child of a partition that was split, also of one that has had no record."""
        for child in children:
            self._add(child, parent, now)

    def follow(self, partitions: Sequence[Partition], now: float) -> None:
        """Open a child shard for each partition that is new and close the shards of those that are gone."""
        for partition in partitions:
            self._add(partition.id, partition.parent, now)
        self._lows = [partition.low for partition in partitions]
        self._open = [self._by_partition[partition.id] for partition in partitions]
        still_open = {shard.id for shard in self._open}
        for shard in self.shards:
            shard.closed = shard.id not in still_open

    def _add(self, partition: int, parent_partition: int | None, now: float) -> None:
        if partition in self._by_partition:
            return
        parent = None if parent_partition is None else self._by_partition.get(parent_partition)
        serial = len(self._by_partition)  # shards that were trimmed away count too
        shard_id = f"shardId-{int(now * 1000):020d}-{serial:08x}"
        shard = Shard(shard_id, parent.id if parent else None, serial, self._rows)
        self.shards.append(shard)
        self._by_id[shard_id] = shard
        self._by_partition[partition] = shard

    def use_rows(self, rows: Rows) -> None:
        """Take snapshots from these rows. Only before the first record."""
        self._rows = rows
        for shard in self.shards:
            shard.use_rows(rows)

    def shard(self, shard_id: str) -> Shard | None:
        """The shard with this id, None if it was trimmed."""
        return self._by_id.get(shard_id)

    def append(self, hash64: int, second: int, old: Any, new: Any) -> None:
        """Add a record of two snapshots to the shard that holds this hash."""
        self._open[bisect_right(self._lows, hash64) - 1].append(second, old, new)
        self.kept_bytes += _RECORD_BYTES + self._rows.snapshot_bytes(old)
        if self.kept_bytes > MAX_KEPT_BYTES:
            self._shrink()

    def close(self) -> None:
        """The stream was disabled: its records remain readable until they are trimmed."""
        self.enabled = False
        for shard in self.shards:
            shard.closed = True

    def trim(self, now: float) -> None:
        """Trim records older than 24 hours, and closed shards without records."""
        oldest = int(now) - RETENTION_S
        for shard in self.shards:
            self.kept_bytes -= shard.trim(oldest)
        gone = [
            shard
            for shard in self.shards
            if shard.closed and shard.trimmed and shard.trimmed == shard.end and len(self.shards) > 1
        ]
        for shard in gone:
            self.shards.remove(shard)
            del self._by_id[shard.id]

    def _shrink(self) -> None:
        """Trim the oldest seconds until a tenth of the memory is free again."""
        while self.kept_bytes > MAX_KEPT_BYTES * 0.9:
            oldest = min(second for shard in self.shards if (second := shard.first_second) is not None)
            for shard in self.shards:
                self.kept_bytes -= shard.trim(oldest + 1)

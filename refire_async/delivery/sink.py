"""What passes between a source of records and the dispatcher that delivers them.

A source owns the order of shards: it opens a child only when `drain` of its parent has returned. It counts what it
leaves out (`Skipped`). The sink owns everything after that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from refire_async.delivery.record import EventRecord


@dataclass(slots=True, kw_only=True)
class Skipped:
    """Records that a source read, or should have read, and did not put into the sink.

    `filtered` did not pass the filter patterns of the mapping. `unselected` are outside the selection (key, condition,
    kind) within its time. `lost` were trimmed from the stream; where their number is unknown, `lost_ranges` names them.
    """

    filtered: int = 0
    unselected: int = 0
    lost: int = 0
    lost_ranges: int = 0


class ShardSink(Protocol):
    """Takes the records of one shard (or of one segment or file that stands for a shard)."""

    @property
    def token(self) -> str | None:
        """Where an earlier attempt came to: the token of the last `put` whose records, and all before them, are
        settled. None: read from the beginning. Records that are put again after it and were settled are passed over.
        """
        ...

    async def put(self, records: Sequence[EventRecord], token: str, skipped: Skipped | None = None) -> None:
        """Take records in ascending sequence order. Waits while the buffers are full.

        `token` is a text of the source's own from which it continues behind these records. `records` may be empty,
        which moves the token over records that were left out. `skipped` counts what the source has left out since the
        `put` before; it is counted when the token is saved, so that a resume counts nothing twice.
        """
        ...

    async def drain(self) -> int:
        """Wait until every record put so far is settled. Returns how many of those since the last `drain` failed."""
        ...


class Sink(Protocol):
    """Where a source puts its records."""

    async def open_shard(self, name: str) -> ShardSink:
        """The sink of a shard. Each name is opened once per attempt. Shards are delivered side by side."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a source would deliver, from reading it once ahead. Times are seconds since the epoch, None without records.

    `lost_before`: records from before this time are no longer in the source. `stale` counts records whose key has a
    later record after the end of the window; `stale_keys` are up to three of these keys, as JSON texts.
    `batches` is the number of invocations if none fails and no batch waits to fill, `busiest_lane` how many of them are
    those of one lane, one after another (None: unknown). `samples` are up to three
    bodies of records. `estimated`: numbers and bytes come from a sample, because to read everything costs as much as
    to deliver it.
    """

    records: int
    batches: int
    size_bytes: int
    busiest_lane: int | None = None
    first_at: float | None = None
    last_at: float | None = None
    by_kind: tuple[tuple[str, int], ...] = ()
    skipped: Skipped
    lost_before: float | None = None
    stale: int = 0
    stale_keys: tuple[str, ...] = ()
    samples: tuple[bytes, ...] = ()
    estimated: bool = False


class Source(Protocol):
    """Reads the selected records."""

    @property
    def skipped(self) -> Skipped:
        """What `feed` has left out so far."""
        ...

    async def preview(self) -> Preview:
        """Read the whole source once, deliver nothing. Raises RefireError."""
        ...

    async def feed(self, sink: Sink) -> None:
        """Read everything into `sink` and return when all of it is settled. May be cancelled at any time.

        Raises:
            RefireError: the source cannot be read.
        """
        ...

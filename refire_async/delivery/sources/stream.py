"""The records of a table's stream in a window of time.

A token is the sequence number of the last record that was read, `end` where a closed shard was read to its end, or
`late` where what follows is after the window.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio

from refire_async.aws.streams import StreamReader
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.selection import RecordSelection
from refire_async.delivery.sink import Preview, Sink, Skipped
from refire_async.delivery.sources.choice import Choice, TakeRecords
from refire_async.delivery.sources.shards import ShardWalk
from refire_async.delivery.sources.slicing import SlicedAnswer
from refire_async.delivery.window import Window
from refire_async.events import Emit, RecordsLost
from refire_async.model.units import STREAM_RETENTION_S

END, LATE = "end", "late"

_EVERY_SHARD = "all shards"


class StreamSource:
    """See `Source`. A stream that was disabled can be read for 24 hours more."""

    def __init__(
        self,
        reader: StreamReader,
        arn: str,
        window: Window,
        selection: RecordSelection,
        rules: DeliveryRules,
        *,
        emit: Emit,
        folder: Path,
        latest_per_key: bool = False,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        """`window` ends at some time. `now` is the service's time (aws/clock.py). `folder` is for temporary files.

        For `latest_per_key` see `Choice`.
        """
        self._reader = reader
        self._arn = arn
        self._window = window
        self._choice = Choice(selection, rules, folder=folder, window=window, latest_per_key=latest_per_key)
        self._emit = emit
        self._now = now
        self._sleep = sleep

    @property
    def skipped(self) -> Skipped:
        """See `Source`."""
        return self._choice.skipped

    async def preview(self) -> Preview:
        """See `Source`. Reads to the end of the stream: later records of the same keys may be there."""
        before = self._trimmed_before()
        losses = [] if before is None else [before]
        preview = await self._choice.look_ahead(partial(self._read_all, losses))
        preview.skipped.lost_ranges = len(losses)
        return replace(preview, lost_before=max(losses, default=None))

    async def feed(self, sink: Sink) -> None:
        """See `Source`."""
        await self._choice.prepare(partial(self._read_all, []))
        before = self._trimmed_before()
        if before is not None:
            self._note_loss(_EVERY_SHARD, before, "the stream keeps records for 24 hours")
        walk = self._walk(self._note_loss)

        async def read(shard: str) -> bool:
            into = await sink.open_shard(shard)
            if into.token in (END, LATE):
                return into.token == END

            async def take(sliced: SlicedAnswer) -> None:
                chosen, skipped = self._choice.sift(sliced.records)
                await into.put(chosen, sliced.last or "", skipped)

            closed = await walk.read(shard, take, until=self._window.until, after=into.token)
            await into.put((), END if closed else LATE)
            await into.drain()
            return closed

        await walk.run(read)

    async def _read_all(self, losses: list[float], take: TakeRecords) -> None:
        """Read from the window's begin to the end of the stream. The times of losses are added to `losses`."""
        end = max(self._window.until, self._now())
        walk = self._walk(lambda _shard, before, _why: losses.append(before))

        async def read(shard: str) -> bool:
            async def take_answer(sliced: SlicedAnswer) -> None:
                take(shard, sliced.records)

            return await walk.read(shard, take_answer, until=end)

        await walk.run(read)

    def _walk(self, lost: Callable[[str, float, str], None]) -> ShardWalk:
        return ShardWalk(self._reader, self._arn, self._window.since, lost, now=self._now, sleep=self._sleep)

    def _note_loss(self, shard: str, before: float, why: str) -> None:
        self.skipped.lost_ranges += 1
        self._emit(RecordsLost(shard, before, why))

    def _trimmed_before(self) -> float | None:
        """The time before which records of the window may have been trimmed already; None if none can be."""
        horizon = self._now() - STREAM_RETENTION_S
        if self._window.since >= horizon or self._created_at() >= horizon:
            return None
        return horizon

    def _created_at(self) -> float:
        """When the stream was enabled: its label, which ends its ARN (API reference: TableDescription)."""
        label = self._arn.rpartition("/")[2]
        try:
            return datetime.fromisoformat(label).replace(tzinfo=UTC).timestamp()
        except ValueError:
            return float("-inf")

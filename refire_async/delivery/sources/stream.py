"""The records of a table's stream in a window of time.

A token is the sequence number of the last record that was read, `end` where a closed shard was read to its end, or
`late` where what follows is after the window.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import anyio

from refire_async.aws.streams import StreamReader
from refire_async.delivery.record import EventRecord
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.selection import RecordSelection
from refire_async.delivery.sink import Preview, Sink, Skipped
from refire_async.delivery.sources.history import KeyHistory, LatestRecords
from refire_async.delivery.sources.preview import PreviewCounts
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

        With `latest_per_key`, only the last record of each key in the window is delivered, and none of a key that has
        a later one which is not delivered.
        """
        self._reader = reader
        self._arn = arn
        self._window = window
        self._selection = selection
        self._rules = rules
        self._emit = emit
        self._folder = folder
        self._latest_per_key = latest_per_key
        self._latest: LatestRecords | None = None
        self._now = now
        self._sleep = sleep
        self.skipped = Skipped()

    async def preview(self) -> Preview:
        """See `Source`. Reads to the end of the stream: later records of the same keys may be there.

        With `latest_per_key`, batches, bytes, kinds and samples are those of all records of the window.
        """
        self._latest = None
        with KeyHistory(self._folder) as history:
            preview = await self._look_ahead(history)
            if not self._latest_per_key:
                return preview
            self._latest = history.latest()
        preview.skipped.unselected += preview.records - len(self._latest)
        return replace(preview, records=len(self._latest), stale=0, stale_keys=())

    async def feed(self, sink: Sink) -> None:
        """See `Source`."""
        if self._latest_per_key and self._latest is None:
            await self.preview()
        walk = self._walk(self._note_loss)
        before = self._trimmed_before()
        if before is not None:
            self._note_loss(_EVERY_SHARD, before, "the stream keeps records for 24 hours")

        async def read(shard: str) -> bool:
            into = await sink.open_shard(shard)
            if into.token in (END, LATE):
                return into.token == END

            async def take(sliced: SlicedAnswer) -> None:
                await into.put(self._sift(sliced.records, self.skipped), sliced.last or "")

            closed = await walk.read(shard, take, until=self._window.until, after=into.token)
            await into.put((), END if closed else LATE)
            await into.drain()
            return closed

        await walk.run(read)

    async def _look_ahead(self, history: KeyHistory) -> Preview:
        skipped = Skipped()
        counts = PreviewCounts(self._rules)
        end = max(self._window.until, self._now())
        losses: list[float] = []
        walk = self._walk(lambda _shard, before, _why: losses.append(before))
        before = self._trimmed_before()
        if before is not None:
            losses.append(before)

        async def read(shard: str) -> bool:
            async def take(sliced: SlicedAnswer) -> None:
                records = self._sift(sliced.records, skipped)
                counts.add(shard, records)
                history.add(records, delivered=True)
                history.add(self._left_out(sliced.records, records), delivered=False)

            return await walk.read(shard, take, until=end)

        await walk.run(read)
        skipped.lost_ranges = len(losses)
        stale, keys = history.stale()
        return counts.preview(skipped, lost_before=max(losses, default=None), stale=stale, stale_keys=keys)

    def _sift(self, records: list[EventRecord], skipped: Skipped) -> list[EventRecord]:
        """The records that are delivered."""
        within = [record for record in records if record.created_at in self._window]
        chosen = self._selection.sift(within, skipped)
        if self._latest is None:
            return chosen
        latest = self._latest
        last = [record for record in chosen if record in latest]
        skipped.unselected += len(chosen) - len(last)
        return last

    def _left_out(self, records: list[EventRecord], chosen: list[EventRecord]) -> list[EventRecord]:
        """Records that the function has had, or will have, from its own mapping: those which pass its filters."""
        numbers = {record.sequence for record in chosen}
        passes = self._selection.patterns.passes
        first = self._window.first_second
        return [
            record
            for record in records
            if record.sequence not in numbers and record.created_at >= first and passes(record)
        ]

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

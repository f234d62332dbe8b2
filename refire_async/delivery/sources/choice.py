"""What of a source's records is delivered, and the look ahead that says so before the first invocation."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from anyio import to_thread

from refire_async.delivery.record import EventRecord
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.selection import RecordSelection
from refire_async.delivery.sink import Preview, Skipped
from refire_async.delivery.sources.history import KeyHistory, LatestRecords
from refire_async.delivery.sources.preview import PreviewCounts
from refire_async.delivery.window import Window

TakeRecords: TypeAlias = Callable[[str, Sequence[EventRecord]], None]
"""Called with a shard and records of it."""

ReadAll: TypeAlias = Callable[[TakeRecords], Awaitable[None]]
"""Reads a source to its end."""


class Choice:
    """Time, selection and filters, for every source alike. `skipped` counts what `sift` leaves out.

    With `latest_per_key`, only the last record of each key in the window is delivered, and none of a key that has a
    later one which is not delivered. That takes a look ahead.
    """

    def __init__(
        self,
        selection: RecordSelection,
        rules: DeliveryRules,
        *,
        folder: Path,
        window: Window = Window(),  # noqa: B008 - frozen
        latest_per_key: bool = False,
    ) -> None:
        """`folder` is for temporary files."""
        self.window = window
        self.skipped = Skipped()
        self._selection = selection
        self._rules = rules
        self._folder = folder
        self._latest_per_key = latest_per_key
        self._latest: LatestRecords | None = None

    async def look_ahead(self, read_all: ReadAll) -> Preview:
        """See `Source.preview`. With `latest_per_key`, batches, bytes and kinds are those of the whole window."""
        self._latest = None
        skipped, counts = Skipped(), PreviewCounts(self._rules)
        with KeyHistory(self._folder) as history:

            def take(shard: str, records: Sequence[EventRecord]) -> None:
                chosen = self._sift(records, skipped)
                counts.add(shard, chosen)
                history.add(chosen, delivered=True)
                history.add(self._left_out(records, chosen), delivered=False)

            await read_all(take)
            stale, keys = await to_thread.run_sync(history.stale)
            preview = counts.preview(skipped, stale=stale, stale_keys=keys)
            if not self._latest_per_key:
                return preview
            self._latest = await to_thread.run_sync(history.latest)
        skipped.unselected += preview.records - len(self._latest)
        return replace(preview, records=len(self._latest), busiest_lane=None, stale=0, stale_keys=())

    async def prepare(self, read_all: ReadAll) -> None:
        """Look ahead, if `sift` depends on it and nothing has been looked at. Before the first `sift`."""
        if self._latest_per_key and self._latest is None:
            await self.look_ahead(read_all)

    def sift(self, records: Sequence[EventRecord]) -> tuple[list[EventRecord], Skipped]:
        """The records that are delivered, and what was left out of these."""
        skipped = Skipped()
        chosen = self._sift(records, skipped)
        self.skipped.filtered += skipped.filtered
        self.skipped.unselected += skipped.unselected
        return chosen, skipped

    def _sift(self, records: Sequence[EventRecord], skipped: Skipped) -> list[EventRecord]:
        first, until = self.window.first_second, self.window.until
        # As `created_at in window`; a call per record would cost as much as cutting it out of the answer.
        within = [record for record in records if first <= record.created_at < until]
        chosen = self._selection.sift(within, skipped)
        if self._latest is None:
            return chosen
        latest = self._latest
        last = [record for record in chosen if record in latest]
        skipped.unselected += len(chosen) - len(last)
        return last

    def _left_out(self, records: Sequence[EventRecord], chosen: list[EventRecord]) -> list[EventRecord]:
        """Records that the function has had, or will have, from its own mapping: those which pass its filters."""
        if len(records) == len(chosen):
            return []
        numbers = {record.sequence for record in chosen}
        passes = self._selection.patterns.passes
        first = self.window.first_second
        return [
            record
            for record in records
            if record.sequence not in numbers and record.created_at >= first and passes(record)
        ]

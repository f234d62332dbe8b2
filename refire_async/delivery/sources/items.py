"""Items as they are now, as records of an insertion, or of a modification that changed nothing.

The items are those of the same selection in `refire run`: all of a table or index, those of hash keys, or those of a
keys file. A segment of a scan, a hash key, or the file is a shard. A token is where the next page begins, or `end`.

Sequence numbers begin with the time of the attempt: an item that is read again after a resume is another record, even
if the table has changed in between.
"""

import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import TypeVar

import anyio
import orjson

from refire_async.aws.answers import Found
from refire_async.aws.data_plane import DataPlane
from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.other_services import Services
from refire_async.delivery.key_files import key_pages
from refire_async.delivery.record import EventKind, EventRecord
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.selection import RecordSelection
from refire_async.delivery.sink import Preview, ShardSink, Sink, Skipped
from refire_async.delivery.sources.made import Change, RecordMaker
from refire_async.delivery.sources.preview import PreviewCounts
from refire_async.errors import RefireError, StoppedError, first_of
from refire_async.model.keys import Cursor, Item, Key
from refire_async.model.selection import Selection
from refire_async.model.table import Table
from refire_async.pacing.backoff import failure_delay, throttle_delay
from refire_async.pacing.budget import ReadBudget
from refire_async.pacing.outage import MAX_ATTEMPTS
from refire_async.settings import EventImage
from refire_async.sources.base import Source as PageSource
from refire_async.sources.base import SourcePage
from refire_async.sources.lookup import ITEM_RCU, MAX_BATCH_KEYS, Lookup
from refire_async.sources.sample import Sample, SampledSource
from refire_async.sources.table import query_source, scan_source

R = TypeVar("R", SourcePage, Found)

END = "end"
KEYS_SHARD = "keys"

PAGE_ITEMS = 500
_SEGMENTS_AT_ONCE = 8
_LOOKED_AT = 8
"""Segments of which a preview reads the first page."""

_FINAL = (Disposition.FATAL, Disposition.ITEM, Disposition.CONDITION)
"""Errors of a read that another attempt cannot cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a table is read. `segments` are those of a scan; `leave_out` decides which items are no part of the selection
    (those that have expired)."""

    data: DataPlane
    budget: ReadBudget
    services: Services
    segments: int = 1
    leave_out: Callable[[Item], bool] | None = None
    ignored: Collection[str] = ()


class ItemSource:
    """See `Source`."""

    def __init__(
        self,
        table: Table,
        selection: Selection,
        maker: RecordMaker,
        *,
        records: RecordSelection,
        rules: DeliveryRules,
        reading: Reading,
        as_event: EventImage = "insert",
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        """`records` has the filter patterns; hash keys, condition and sample are those of `selection`."""
        self._table = table
        self._selection = selection
        self._maker = maker
        self._records = records
        self._rules = rules
        self._reading = reading
        self._kind: EventKind = "INSERT" if as_event == "insert" else "MODIFY"
        self._now = now
        self._sleep = sleep
        self._draw = random.Random()  # noqa: S311 - jitter
        self._lookup = Lookup(reading.data, table.name, table.keys, None)
        self._item_rcu = ITEM_RCU / 2
        self.skipped = Skipped()

    async def preview(self) -> Preview:
        """See `Source`. Reads the first page of some segments; for a keys file, only the file and three items."""
        if self._selection.kind == "keys":
            return await self._preview_keys()
        source = self._source()
        total = source.total_segments
        some = min(total, _LOOKED_AT)
        looked_at = [total * place // some for place in range(some)]
        counts, skipped = PreviewCounts(self._rules), Skipped()
        whole, rcu = len(looked_at) == total, 0.0
        first = self._first_number()
        for segment in looked_at:
            page = await self._read(source, segment, None)
            counts.add(_name(segment), self._made(page.items, first, skipped))
            rcu += page.rcu
            whole = whole and page.cursor is None
        preview = counts.preview(skipped)
        return preview if whole else self._extrapolated(preview, rcu, total / len(looked_at))

    def _extrapolated(self, preview: Preview, rcu: float, segments: float) -> Preview:
        """What the whole selection may hold. Of a table, by the bytes that were read; else by the segments."""
        read = rcu * 2 * 4096
        times = segments
        if (
            self._selection.kind == "scan"
            and self._selection.index is None
            and read
            and self._table.size_bytes
        ):
            times = max(1.0, self._table.size_bytes / read)
        elif self._selection.kind == "scan" and preview.records:
            times = max(1.0, self._table.item_count / preview.records)
        return replace(
            preview,
            records=round(preview.records * times),
            busiest_lane=None,
            batches=ceil(preview.records * times / self._rules.batch_size),
            size_bytes=round(preview.size_bytes * times),
            by_kind=tuple((kind, round(count * times)) for kind, count in preview.by_kind),
            estimated=True,
        )

    async def _preview_keys(self) -> Preview:
        found, first_keys = 0, list[Key]()
        async for keys in self._key_pages():
            found += len(keys)
            first_keys += keys[: 3 - len(first_keys)]
        counts, skipped = PreviewCounts(self._rules), Skipped()
        records = self._made(await self._look_up(first_keys), self._first_number(), skipped)
        counts.add(KEYS_SHARD, records)
        preview = counts.preview(skipped)
        size = preview.size_bytes / max(1, len(records))
        return replace(
            preview,
            records=found,
            batches=ceil(found / self._rules.batch_size),
            size_bytes=round(found * size),
            by_kind=((self._kind, found),),
            estimated=True,
        )

    async def feed(self, sink: Sink) -> None:
        """See `Source`."""
        failure: RefireError | None = None
        try:
            if self._selection.kind == "keys":
                await self._feed_keys(sink)
            else:
                await self._feed_segments(sink)
        except* RefireError as group:
            failure = first_of(group)
        if failure is not None:
            raise failure

    async def _feed_segments(self, sink: Sink) -> None:
        source = self._source()
        slots = anyio.CapacityLimiter(_SEGMENTS_AT_ONCE)
        attempt = self._first_number()

        async def feed_one(segment: int) -> None:
            async with slots:
                into = await sink.open_shard(_name(segment))
                token, first = into.token, attempt + segment * 10**10
                while token != END:
                    page = await self._read(source, segment, None if token is None else orjson.loads(token))
                    skipped = Skipped()
                    made = self._made(page.items, first, skipped)
                    first += len(page.items)
                    token = END if page.cursor is None else orjson.dumps(page.cursor).decode()
                    await self._put(into, made, token, skipped)
                await into.drain()

        async with anyio.create_task_group() as tasks:
            for segment in range(source.total_segments):
                tasks.start_soon(feed_one, segment)

    async def _feed_keys(self, sink: Sink) -> None:
        into = await sink.open_shard(KEYS_SHARD)
        if into.token == END:
            return
        done, count, first = int(into.token or 0), 0, self._first_number()
        async for keys in self._key_pages():
            count += len(keys)
            wanted = keys[max(0, len(keys) - max(0, count - done)) :]
            if not wanted:
                continue
            items = await self._look_up(wanted)
            skipped = Skipped(unselected=len(wanted) - len(items))
            await self._put(into, self._made(items, first, skipped), str(count), skipped)
            first += len(items)
        await into.put((), END)
        await into.drain()

    async def _put(self, into: ShardSink, records: list[EventRecord], token: str, skipped: Skipped) -> None:
        self.skipped.filtered += skipped.filtered
        self.skipped.unselected += skipped.unselected
        await into.put(records, token, skipped)

    async def _key_pages(self) -> AsyncGenerator[list[Key], None]:
        """The keys of the file that belong to the sample."""
        percent = self._selection.sample
        takes = Sample(self._table.keys, percent).takes if percent is not None else bool
        reading = self._reading
        pages = key_pages(
            self._selection.given, self._table.name, self._table.keys, reading.services, reading.ignored
        )
        async with aclosing(pages):
            async for keys in pages:
                yield [key for key in keys if takes(key)]

    def _source(self) -> PageSource:
        selection, table, data = self._selection, self._table, self._reading.data
        index = None if selection.index is None else table.index(selection.index)
        # An index does not show whole items: these are looked up by their keys.
        attributes = None if index is None else table.keys.names
        if selection.kind == "query":
            keys = table.keys if index is None else index.keys
            source = query_source(
                data, table.name, selection, attributes, keys, table_keys=table.keys, carries_marker=False
            )
        else:
            segments = self._reading.segments
            source = scan_source(
                data,
                table.name,
                selection,
                attributes,
                table_keys=table.keys,
                total_segments=segments,
                carries_marker=False,
            )
        if selection.sample is None:
            return source
        return SampledSource(source, Sample(table.keys, selection.sample))

    async def _read(self, source: PageSource, segment: int, cursor: Cursor | None) -> SourcePage:
        """A page of whole items."""
        limit = self._reading.budget.page_limit(self._item_rcu, PAGE_ITEMS)
        page = await self._paced(limit * self._item_rcu, lambda: source.read(segment, cursor, limit))
        if page.items:
            self._item_rcu = max(page.rcu / len(page.items), 0.001)
        if self._selection.index is None:
            return page
        items = await self._look_up([self._table.keys.key_of(item) for item in page.items])
        return replace(page, items=items)

    async def _look_up(self, keys: Sequence[Key]) -> list[Item]:
        """The items of these keys that are there."""
        items: list[Item] = []
        left = list(keys)
        throttled = 0
        while left:
            batch = left[:MAX_BATCH_KEYS]
            found = await self._paced(len(batch) * ITEM_RCU, partial(self._lookup.read, batch))
            items += found.items
            left = [*found.unprocessed, *left[MAX_BATCH_KEYS:]]
            throttled = throttled + 1 if found.unprocessed else 0
            if throttled:
                await self._sleep(throttle_delay(throttled, self._draw))
        return items

    async def _paced(self, estimate: float, read: Callable[[], Awaitable[R]]) -> R:
        """What `read` gives, within the budget, tried until it succeeds. Raises AwsError or StoppedError."""
        tries = failures = 0
        while True:
            await self._reading.budget.reserve(estimate)
            try:
                result = await read()
            except AwsError as error:
                self._reading.budget.correct(estimate, 0.0)
                if error.disposition in _FINAL:
                    raise
                tries += 1
                failures += error.disposition is not Disposition.THROTTLED
                if failures == MAX_ATTEMPTS:
                    raise StoppedError(
                        f"a read of {self._table.name} failed {failures} times in a row: {error.message}",
                        "correct the cause, then run 'refire resume'",
                    ) from error
                delay = throttle_delay if error.disposition is Disposition.THROTTLED else failure_delay
                await self._sleep(delay(tries, self._draw))
            else:
                self._reading.budget.correct(estimate, result.rcu or 0.0)
                return result

    def _made(self, items: Sequence[Item], first: int, skipped: Skipped) -> list[EventRecord]:
        """The records of items, numbered from `first` on, without those that are left out."""
        leave_out, modified, at = self._reading.leave_out, self._kind == "MODIFY", self._now()
        records = []
        for number, item in enumerate(items, first):
            if leave_out is not None and leave_out(item):
                skipped.unselected += 1
                continue
            change = Change(self._table.keys.key_of(item), item, item if modified else None, at, self._kind)
            records.append(self._maker.make(change, number))
        return self._records.sift(records, skipped)

    def _first_number(self) -> int:
        """Above all sequence numbers of earlier attempts: milliseconds, then 6 digits of segments, 10 of items."""
        return int(self._now() * 1000) * 10**16


def _name(segment: int) -> str:
    return f"segment-{segment:06}"

"""Readers: each reads one segment of the source at a time and puts its pages into the lanes.

A reader triages the items of a page, makes the page durable in the ledger, and only then adds it to its lane. A reader
has at most `PAGES_PER_READER` pages that are not acknowledged. This limits the memory for items to readers x
`PAGES_PER_READER` x page_items x about 1.5 KB, and a stalled lane stops only its own reader.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import blake2b

import anyio
import orjson

from refire_async import failpoints
from refire_async.checkpoint.ledger import Failure, OpenPage
from refire_async.events import ItemFailed, PageRead, SegmentFinished
from refire_async.model.keys import Cursor, Item, identity
from refire_async.model.units import RCU_BYTES
from refire_async.pipeline.context import Context
from refire_async.pipeline.lanes import Batch
from refire_async.pipeline.pages import PagesInProgress
from refire_async.pipeline.queue import WorkQueue
from refire_async.pipeline.triage import resolve_in_doubt, triage
from refire_async.sources.base import SourcePage
from refire_async.sources.lookup import MAX_BATCH_KEYS

PAGES_PER_READER = 2
FILTERED_PAGE_ITEMS = 5000
"""Items of a page before a filter or a sample, which apply after the read and may drop most of them."""

FIRST_READ = 100
"""Items to read for each item wanted while it is unknown how many items a filter keeps."""

MIN_READ_RCU = 0.5
"""The price of the smallest eventually consistent read
(DynamoDB Developer Guide: Read and write operations)."""


class Quota:
    """The user's limit on items (`--max-items`), shared by all readers. Readers return grants that they did not use."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit
        self._granted = 0
        self._changed = anyio.Event()

    async def acquire(self, wanted: int) -> int:
        """Grant up to `wanted` items; 0 when the limit is reached.

        While other readers hold all that is left, wait for what they return.
        """
        while self._left == 0 and self._granted:
            await self._changed.wait()
        if self._left is None:
            return wanted
        granted = min(wanted, self._left)
        self._left -= granted
        self._granted += granted
        return granted

    def return_unused(self, granted: int, used: int) -> None:
        """Return what is left of a grant of `granted` items, of which the reader read `used`."""
        if self._left is None:
            return
        self._granted -= granted
        self._left += granted - used
        self._changed.set()
        self._changed = anyio.Event()


class Readers:
    """All readers of one attempt."""

    def __init__(
        self,
        context: Context,
        queue: WorkQueue,
        pages: PagesInProgress,
        quota: Quota,
        segments: Iterator[int],
    ) -> None:
        self._context = context
        self._queue = queue
        self._pages = pages
        self._quota = quota
        self._segments = segments
        self._item_bytes = context.sizes.item_bytes
        self.limited = False
        """Whether a limit on items ended the reading of a segment."""
        self._read_items = self._kept_items = 0
        """Items before a filter or a sample, and how many it kept."""

    async def read(self) -> None:
        """Read segments until none is left or the user's limit is reached."""
        slots = anyio.Semaphore(PAGES_PER_READER, fast_acquire=True)
        for segment in self._segments:
            if not await self._read_segment(segment, slots):
                self.limited = True
                return
            if failpoints.reached is not None:
                failpoints.reached("segment-read")
            ledger = self._context.journal.ledger
            if not ledger.segment(segment).finished:
                self.limited = True  # the canary has read its share of this segment
                continue
            total = self._context.source.total_segments
            self._context.emit(SegmentFinished(segment, ledger.finished_segments, total))

    async def recover(self, pages: Iterator[OpenPage]) -> None:
        """Resolve pages that an earlier attempt left open: read their items again and write the open ones."""
        slots = anyio.Semaphore(PAGES_PER_READER, fast_acquire=True)
        for page in pages:
            await slots.acquire()
            found = await self._read_page_again(page)
            if failpoints.reached is not None:
                failpoints.reached("doubt-resolved")
            unknown = resolve_in_doubt(self._context.spec, page, found, await self._with_older_markers(page))
            self._hand_over(page, slots)
            largest = self._context.writer.largest
            for start in range(0, len(unknown), largest):
                # Their condition probably fails; then workers handle them like any conflict.
                self._queue.put_back(Batch(page, unknown[start : start + largest]))

    async def _read_page_again(self, page: OpenPage) -> dict[tuple[object, ...], Item]:
        """The present items of the open items of `page`, by key identity. Items that are gone are missing.

        For items of 1 KB a scan of the page costs an eighth of a look-up of each item, so it comes first where it can
        return most of them; the others are looked up. The scan is eventually consistent: an item with a stale marker
        is written with its old condition, which fails, and counts as fired. A marker that is neither the ledger's nor
        the one that this run writes over it may be older than the ledger's, which proves nothing: that item is looked
        up too.
        """
        context, source = self._context, self._context.source
        names = context.spec.keys.names
        found: dict[tuple[object, ...], Item] = {}
        selection = context.spec.selection
        # A list of keys does not contain the present items.
        whole = not selection.thinned and not selection.listed and 2 * len(page.items) >= page.counts.scanned
        if source.carries_marker and whole and page.items:
            read_again = partial(self._read_once, page.segment, page.start, page.counts.scanned)
            read = await context.reads.call(page.segment, read_again)
            found = {identity(names, item): item for item in read.items}
        unproven = [item for item in page.items if not self._is_proof(item, found.get(identity(names, item)))]
        for item in unproven:
            found.pop(identity(names, item), None)
        found.update(await context.lookups.read_current(page.segment, unproven))
        return found

    async def _with_older_markers(self, page: OpenPage) -> set[tuple[object, ...]]:
        """Key identities of the items in doubt whose marker in the ledger is from before the run.

        These are the items whose marker in the ledger equals the source's, if the source is older than the run. The
        markers of the others were read from the table after a conflict.
        """
        context = self._context
        spec, attribute = context.spec, context.spec.marker.attribute
        if not spec.markers_are_older or not page.items:
            return set()
        read = await context.source.read(page.segment, page.start, page.counts.scanned)
        of_source = {identity(spec.keys.names, item): item.get(attribute) for item in read.items}
        of_ledger = ((identity(spec.keys.names, item), item.get(attribute)) for item in page.items)
        return {key for key, marker in of_ledger if key in of_source and of_source[key] == marker}

    def _is_proof(self, item: Item, seen: Item | None) -> bool:
        """Whether `seen`, an eventually consistent read, proves what has happened to `item` of the ledger."""
        marker = self._context.spec.marker
        before = item.get(marker.attribute)
        return seen is not None and seen.get(marker.attribute) in (before, marker.next(before))

    async def _read_segment(self, segment: int, slots: anyio.Semaphore) -> bool:
        """Read a segment to its end, or a canary's share of it. Returns False if the user's limit is reached first."""
        context = self._context
        ledger = context.journal.ledger
        while not (state := ledger.segment(segment)).finished:
            await slots.acquire()
            wanted = await self._quota.acquire(self._page_limit())
            if not wanted:
                slots.release()
                return False
            page = await self._read_page(segment, state.cursor, wanted)
            self._quota.return_unused(wanted, page.counts.scanned)
            if not page.counts.scanned:
                context.journal.advance(segment, page.end)
                slots.release()
                continue
            digests = None
            if context.source.may_repeat:
                digests = [_digest(context.spec.keys.names, item) for item in page.items]
            await context.journal.open(page, digests)
            if failpoints.reached is not None:
                failpoints.reached("page-in-ledger")
            self._hand_over(page, slots)
            if context.sizes.per_segment is not None:
                break
        return True

    def _hand_over(self, page: OpenPage, slots: anyio.Semaphore) -> None:
        """Queue the items of a durable page, or acknowledge the page if none needs a write."""
        self._pages.add(page, slots)
        if page.done:
            self._pages.acknowledge(page)
        elif page.items:
            self._queue.add_page(page)

    def _page_limit(self) -> int:
        """The most items of the next page, before a filter or a sample."""
        sizes, thinned = self._context.sizes, self._context.spec.selection.thinned
        largest = FILTERED_PAGE_ITEMS if thinned else sizes.page_items
        if not self._context.source.carries_marker:
            largest = -(-largest // MAX_BATCH_KEYS) * MAX_BATCH_KEYS  # full look-up requests
        if sizes.per_segment is not None and not thinned:
            largest = min(largest, sizes.per_segment)
        item_rcu = self._item_bytes / RCU_BYTES / 2
        return self._context.read_budget.page_limit(item_rcu, largest)

    def _limit_for(self, wanted: int) -> int:
        """How many items to read so that a filter or a sample keeps about `wanted` of them.

        Small pages cost more, because the price of each is rounded up to whole units.
        """
        selection = self._context.spec.selection
        # Only an item of the table itself yields the cursor after it, so a page of an index cannot be cut.
        if not selection.thinned or selection.index is not None:
            return wanted
        expected = math.ceil(wanted * (self._read_items + FIRST_READ) / (self._kept_items + 1))
        return max(wanted, min(self._page_limit(), expected))

    async def _read_page(self, segment: int, cursor: Cursor | None, wanted: int) -> OpenPage:
        context = self._context
        started = time.perf_counter()
        limit = self._limit_for(wanted)
        read = await context.reads.call(segment, partial(self._read_once, segment, cursor, limit))
        self._read_items += limit
        self._kept_items += len(read.items)
        if len(read.items) > wanted:
            kept = read.items[:wanted]
            read = replace(read, items=kept, cursor=context.spec.keys.key_of(kept[-1]))
        if failpoints.reached is not None:
            failpoints.reached("page-read")
        page = await self._to_ledger_page(segment, cursor, read)
        context.emit(PageRead(segment, page.counts.scanned, read.rcu, time.perf_counter() - started))
        return page

    async def _read_once(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
        context = self._context
        estimate = max(MIN_READ_RCU, limit * self._item_bytes / RCU_BYTES / 2)
        if not context.source.carries_marker:
            estimate = MIN_READ_RCU  # keys only; the look-up has its own reservation
        await context.read_budget.reserve(estimate)
        read = await context.source.read(segment, cursor, limit)
        context.journal.totals.rcu += context.read_budget.correct(estimate, read.rcu)
        if read.item_bytes is not None:
            self._item_bytes += 0.2 * (read.item_bytes - self._item_bytes)
        return read

    async def _to_ledger_page(self, segment: int, cursor: Cursor | None, read: SourcePage) -> OpenPage:
        """Convert a source page to a ledger page: look up missing markers, and count items that need no write."""
        context = self._context
        item_bytes = read.item_bytes or self._item_bytes
        page = OpenPage(
            number=context.journal.ledger.next_number(),
            segment=segment,
            items=[],
            start=cursor,
            end=read.cursor,
            item_units=context.write_budget.estimate(item_bytes),
        )
        page.counts.scanned = len(read.items)
        items = list(read.items)
        if context.source.may_repeat:
            names = context.spec.keys.names
            items = list({identity(names, item): item for item in items}.values())
        repeated = len(read.items) - len(items)
        if context.source.carries_marker:
            page.leave_out(items, already=repeated)
        else:
            result = await context.lookups.read_markers(segment, items)
            page.leave_out(
                result.items,
                already=repeated,
                vanished=len(items) - len(result.items) - len(result.rejected),
                failures=[Failure(key, error.code, error.detail) for key, error in result.rejected],
            )
            for _, error in result.rejected:
                context.emit(ItemFailed(segment, 1, error.code))
        triage(context.spec, page, context.clock())
        return page


def _digest(names: tuple[str, ...], item: Item) -> bytes:
    """A 16-byte digest of a key. Two of 10^9 keys share one by chance in fewer than 1 of 10^20 runs."""
    return blake2b(orjson.dumps(identity(names, item)), digest_size=16).digest()

"""The state of every page from its read to the last answer to its writes. Pure: no I/O.

A page is *open* from the moment it is durable in the ledger (before its first write) until each of its items has an
outcome. For each segment the ledger holds the cursor: the key at which the last page in the ledger ends. After a
crash the run continues at the cursors, and the pages that were open are *in doubt*: their items are read again and
compared with the markers in the ledger, which the run read first.

A segment's *watermark*, the point before which every write is acknowledged, is the start of its oldest open page, or
its cursor.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from refire_async.checkpoint.pages import Note
from refire_async.model.counts import Counts
from refire_async.model.keys import Cursor, Item, Key


@dataclass(frozen=True, slots=True)
class Failure:
    """An item that cannot be touched, and why. It is listed in the failed-keys file."""

    key: Key
    code: str
    reason: str


@dataclass(slots=True)
class OpenPage:
    """A page in the ledger. `items` have no outcome yet when the page is opened.

    `counts.scanned` counts every item that the source returned for this page; items whose outcome needs no write
    (expired, already fired, untouchable, vanished) are in the other counts from the start. `notes` are on items with
    another outcome than "touched from the marker in the ledger".
    """

    number: int
    segment: int
    items: list[Item]
    start: Cursor | None
    end: Cursor | None
    item_units: float
    counts: Counts = field(default_factory=Counts)
    failures: list[Failure] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    in_doubt: bool = False

    @property
    def open_items(self) -> int:
        """Number of items without an outcome."""
        return self.counts.scanned - self.counts.settled

    @property
    def outcomes(self) -> Counts:
        """The counts of the items that have an outcome."""
        return replace(self.counts, scanned=self.counts.settled)

    @property
    def done(self) -> bool:
        """Whether every item has an outcome."""
        return self.open_items == 0

    def leave_out(
        self,
        rest: list[Item],
        *,
        already: int = 0,
        vanished: int = 0,
        expired: int = 0,
        failures: Sequence[Failure] = (),
    ) -> None:
        """Before the page is in the ledger: only `rest` needs a write, the other items have these outcomes."""
        self.items = rest
        self.counts.already += already
        self.counts.vanished += vanished
        self.counts.expired += expired
        self.counts.failed += len(failures)
        self.failures += failures

    def narrow(self, rest: list[Item]) -> None:
        """After a crash: only `rest` can still be written with the markers in the ledger."""
        self.items = rest

    def touched(self, items: int) -> None:
        """Writes of `items` items succeeded."""
        self.counts.touched += items

    def touched_after_conflict(self, items: Sequence[Item]) -> None:
        """Writes of `items` succeeded from a marker that another writer set after the run read the item."""
        self.counts.touched += len(items)
        self.counts.conflicts += len(items)
        self.notes.extend(("conflict", item) for item in items)

    def already_fired(self, items: Sequence[Item]) -> None:
        """`items` changed since the run read them, so their events were emitted."""
        self.counts.already += len(items)
        self.notes.extend(("already", item) for item in items)

    def vanished(self, items: Sequence[Item]) -> None:
        """`items` are no longer in the table."""
        self.counts.vanished += len(items)
        self.notes.extend(("none", item) for item in items)

    def failed(self, items: Sequence[Item], failures: Iterable[Failure]) -> None:
        """`items` cannot be touched, each for the reason in the failure at its position."""
        self.counts.failed += len(items)
        self.failures.extend(failures)
        self.notes.extend(("none", item) for item in items)


@dataclass(frozen=True, slots=True)
class SegmentState:
    """How far a segment is read. `cursor` None with `finished` False: no page was read yet."""

    cursor: Cursor | None = None
    finished: bool = False


NOT_BEGUN = SegmentState()
FINISHED = SegmentState(finished=True)


class Ledger:
    """The open pages and cursors of one process of a run, and the counts of the pages that it closed."""

    def __init__(self, first_page: int = 1) -> None:
        """`first_page` is the first number for a new page; the process has the numbers from there on for itself."""
        self.segments: dict[int, SegmentState] = {}
        self.pages: dict[int, OpenPage] = {}
        self.closed = Counts()
        self._finished = 0
        self._next_number = first_page

    def next_number(self) -> int:
        """The number for the next page, in ascending order."""
        number = self._next_number
        self._next_number += 1
        return number

    def restore(self, segments: dict[int, SegmentState], pages: list[OpenPage]) -> None:
        """Continue from the state in a checkpoint."""
        self.segments = segments
        self.pages = {page.number: page for page in pages}
        self._finished = sum(state.finished for state in segments.values())

    @property
    def finished_segments(self) -> int:
        """Number of segments that are read to their end."""
        return self._finished

    def segment(self, segment: int) -> SegmentState:
        """How far `segment` is read."""
        return self.segments.get(segment, NOT_BEGUN)

    def advance(self, segment: int, end: Cursor | None) -> None:
        """Move the cursor to `end` (None: the segment's end): the page before it is read and, if it has items,
        durable."""
        if self.segment(segment).finished:
            raise ValueError(f"segment {segment} is already read to its end")
        self.segments[segment] = FINISHED if end is None else SegmentState(end)
        self._finished += end is None

    def open(self, page: OpenPage) -> None:
        """Add a durable page: from now on its writes may be sent."""
        self.pages[page.number] = page
        self.advance(page.segment, page.end)

    def close(self, page: OpenPage) -> None:
        """Remove a page. Raises ValueError if an item has no outcome."""
        if not page.done:
            raise ValueError(f"page {page.number} has {page.open_items} items without outcome")
        del self.pages[page.number]
        self.closed.add(page.counts)

    def watermark(self, segment: int) -> SegmentState:
        """The point of `segment` before which every write is acknowledged."""
        oldest = min((p for p in self.pages.values() if p.segment == segment), key=_number, default=None)
        return self.segment(segment) if oldest is None else SegmentState(oldest.start)


def _number(page: OpenPage) -> int:
    return page.number

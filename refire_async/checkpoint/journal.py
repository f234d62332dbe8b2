"""Group commit: many tasks request durability, and one commit serves all of them at once.

While one commit is written, further operations queue up for the next one, so they share its cost (of a file:
an fsync). The queue is bounded by the number of readers (each waits for its page) and of open pages.
"""

import math
from dataclasses import dataclass, field, replace

import anyio

from refire_async.checkpoint.ledger import Ledger, OpenPage
from refire_async.checkpoint.run_store import (
    Commit,
    CursorMoved,
    Operation,
    PageAmended,
    PageClosed,
    PageOpened,
    PageShrunk,
    RunStore,
)
from refire_async.events import CheckpointSaved, Emit
from refire_async.model.counts import Counts, Totals
from refire_async.model.keys import Cursor, Item

REPORT_S = 1.0
"""Shortest interval between two `CheckpointSaved` events."""

IDLE_SAVE_S = 5.0
"""Totals are saved at least this often while a run works, so that `refire status` is fresh."""


@dataclass(slots=True)
class _Group:
    """The operations of the next commit, and the event of its end."""

    operations: list[Operation] = field(default_factory=list)
    committed: anyio.Event = field(default_factory=anyio.Event)


class Journal:
    """Makes the ledger operations of one process durable. `run` is the committing task; it ends after `finish`."""

    def __init__(self, store: RunStore, ledger: Ledger, process: int, emit: Emit | None = None) -> None:
        """`process` is the number under which counts and totals are saved; `emit` receives `CheckpointSaved` events."""
        self._store = store
        self._process = process
        self._emit = emit
        self._reported_at = -math.inf
        self.ledger = ledger
        self.totals = Totals()
        self._group = _Group()
        self._wanted = anyio.Event()
        self._finishing = False
        self._clock = anyio.current_time()

    async def open(self, page: OpenPage, digests: list[bytes] | None = None) -> None:
        """Wait until `page` is durable; only then may its writes be sent.

        With `digests` (one per item, for sources that can return an item twice), items that the run opened
        before are removed from the page and counted as `already`.
        """
        await self._durable(PageOpened(page, digests))
        self.ledger.open(page)

    def advance(self, segment: int, end: Cursor | None) -> None:
        """A page without items was read: move the cursor with the next commit."""
        self.ledger.advance(segment, end)
        self._add(CursorMoved(segment, end))

    def close(self, page: OpenPage) -> None:
        """Every item of `page` has an outcome: remove it from the ledger with the next commit."""
        self.ledger.close(page)
        self._add(PageClosed(page))

    async def amend(self, page: OpenPage, present: list[Item], *, first: bool) -> None:
        """Wait until the ledger has `present` instead of the earlier state of these items.

        Only then may their writes be sent: a resume that compares with an older marker could mistake the run's own
        touch, or a marker that the application took back, for an untouched item.
        """
        await self._durable(PageAmended(page, present, first))

    def shrink(self, page: OpenPage, rest: list[Item]) -> None:
        """The run stops: only `rest` of `page` stays open."""
        self._add(PageShrunk(page, rest))

    async def finish(self) -> None:
        """Commit the remaining operations; the committing task ends."""
        self._finishing = True
        await self._durable(None)

    async def run(self) -> None:
        """Commit groups until `finish`. Raises StoppedError if the checkpoint cannot be saved."""
        while True:
            with anyio.move_on_after(IDLE_SAVE_S):
                await self._wanted.wait()
            group, self._group = self._group, _Group()
            self._wanted = anyio.Event()
            last = self._finishing
            self._tick()
            counts = Counts(**self.ledger.closed.to_json())
            await self._store.commit(Commit(group.operations, self._process, counts, replace(self.totals)))
            group.committed.set()
            self._report(counts, last=last)
            if last and not self._group.operations:
                return

    def _report(self, counts: Counts, *, last: bool) -> None:
        if self._emit is not None and (last or self._clock >= self._reported_at + REPORT_S):
            self._reported_at = self._clock
            self._emit(CheckpointSaved(self._process, counts.settled))

    def leave_out(self, seconds: float) -> None:
        """Exclude `seconds`, in which the process was suspended, from the time at work."""
        self._clock += seconds

    def _tick(self) -> None:
        now = anyio.current_time()
        self.totals.seconds += now - self._clock
        self._clock = now

    def _add(self, operation: Operation | None) -> _Group:
        group = self._group
        if operation is not None:
            group.operations.append(operation)
        self._wanted.set()
        return group

    async def _durable(self, operation: Operation | None) -> None:
        await self._add(operation).committed.wait()

"""Group commit: many tasks request durability, and one thread commits for all of them at once.

While one commit is written to the disk, further operations queue up for the next one, so they share the cost of an
fsync. The queue is bounded by the number of readers (each waits for its page) and of open pages.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

import anyio
from anyio import to_thread

from refire_async import failpoints
from refire_async.checkpoint.ledger import Ledger, OpenPage
from refire_async.checkpoint.store import Store
from refire_async.events import CheckpointSaved, Emit
from refire_async.model.counts import Counts, Totals
from refire_async.model.keys import Cursor, Item

Operation: TypeAlias = Callable[[Store], None]

REPORT_S = 1.0
"""Shortest interval between two `CheckpointSaved` events."""

IDLE_SAVE_S = 5.0
"""Totals are saved at least this often while a run works, so that `refire status` is fresh."""


@dataclass(slots=True)
class _Group:
    """The operations of the next transaction, and the event of its commit."""

    operations: list[Operation] = field(default_factory=list)
    committed: anyio.Event = field(default_factory=anyio.Event)


class Journal:
    """Makes the ledger operations of one process durable. `run` is the committing task; it ends after `finish`."""

    def __init__(self, store: Store, ledger: Ledger, process: int, emit: Emit | None = None) -> None:
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
        # One thread: SQLite has one writer, and order of commits is order of calls.
        self._thread = anyio.CapacityLimiter(1)
        self._clock = anyio.current_time()

    async def open(self, page: OpenPage, digests: list[bytes] | None = None) -> None:
        """Wait until `page` is durable; only then may its writes be sent.

        With `digests` (one per item, for sources that can return an item twice), items that the run opened
        before are removed from the page and counted as `already`.
        """
        if digests is None:
            await self._durable(partial(_open_page, page=page))
        else:
            await self._durable(partial(_open_unseen, page=page, digests=digests))
        self.ledger.open(page)

    def advance(self, segment: int, end: Cursor | None) -> None:
        """A page without items was read: move the cursor with the next commit."""
        self.ledger.advance(segment, end)
        self._add(lambda store: store.move_cursor(segment, end))

    def close(self, page: OpenPage) -> None:
        """Every item of `page` has an outcome: remove it from the ledger with the next commit."""
        self.ledger.close(page)
        self._add(lambda store: store.close_page(page))

    async def amend(self, page: OpenPage, present: list[Item], *, first: bool) -> None:
        """Wait until the ledger has `present` instead of the earlier state of these items.

        Only then may their writes be sent: a resume that compares with an older marker could mistake the run's own
        touch, or a marker that the application took back, for an untouched item.
        """
        await self._durable(lambda store: store.amend_page(page, present, first=first))

    def shrink(self, page: OpenPage, rest: list[Item]) -> None:
        """The run stops: only `rest` of `page` stays open."""
        self._add(lambda store: store.shrink_page(page, rest))

    async def finish(self) -> None:
        """Commit the remaining operations; the committing task ends."""
        self._finishing = True
        await self._durable(lambda _: None)

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
            save = partial(
                Store.save_process, number=self._process, counts=counts, totals=replace(self.totals)
            )
            operations: list[Operation] = [*group.operations, save]
            await to_thread.run_sync(self._commit, operations, limiter=self._thread)
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

    def _commit(self, operations: list[Operation]) -> None:
        with self._store.transaction():
            if failpoints.reached is not None:
                failpoints.reached("commit-begun")
            for operation in operations:
                operation(self._store)
            if failpoints.reached is not None:
                failpoints.reached("commit-pending")
        if failpoints.reached is not None:
            failpoints.reached("committed")

    def _add(self, operation: Operation) -> _Group:
        group = self._group
        group.operations.append(operation)
        self._wanted.set()
        return group

    async def _durable(self, operation: Operation) -> None:
        await self._add(operation).committed.wait()


def _open_page(store: Store, page: OpenPage) -> None:
    store.open_page(page)


def _open_unseen(store: Store, page: OpenPage, digests: list[bytes]) -> None:
    fresh = [item for item, new in zip(page.items, store.unseen(digests), strict=True) if new]
    page.leave_out(fresh, already=len(page.items) - len(fresh))
    store.open_page(page)

"""The checkpoint file as the store of a run: SQLite's calls in one worker thread at a time."""

from collections.abc import AsyncIterator, Callable, Container
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from refire_async import failpoints
from refire_async.checkpoint.ledger import Failure
from refire_async.checkpoint.reading import Progress, SavedRun
from refire_async.checkpoint.run_store import (
    Commit,
    CursorMoved,
    Operation,
    PageAmended,
    PageClosed,
    PageOpened,
    PageShrunk,
    StoredKeys,
)
from refire_async.checkpoint.store import Store
from refire_async.model.run import RunStatus
from refire_async.model.table import Stream

T = TypeVar("T")

_FAILURES_AT_ONCE = 1_000


class FileStore:
    """See `RunStore`. The caller closes `file`."""

    def __init__(self, file: Store) -> None:
        self._file = file
        # One thread: SQLite has one writer, and order of commits is order of calls.
        self._thread = CapacityLimiter(1)

    @property
    def name(self) -> str:
        """See `RunStore.name`."""
        return str(self._file.path)

    @property
    def outputs(self) -> Path:
        """See `RunStore.outputs`."""
        return self._file.path

    @property
    def keys(self) -> StoredKeys | None:
        """See `RunStore.keys`: the list is a file of its own."""
        return None

    @property
    def clock(self) -> Callable[[], float]:
        """See `RunStore.clock`."""
        return self._file.clock

    @clock.setter
    def clock(self, clock: Callable[[], float]) -> None:
        self._file.clock = clock

    async def load(self) -> SavedRun:
        """See `RunStore.load`."""
        return await self._in_thread(self._file.load)

    async def progress(self, segments: Container[int]) -> Progress:
        """See `RunStore.progress`."""
        return await self._in_thread(partial(self._file.progress, segments))

    async def commit(self, commit: Commit) -> None:
        """See `RunStore.commit`: one transaction for all of it."""
        await self._in_thread(partial(self._commit, commit))

    async def settle(self) -> None:
        """See `RunStore.settle`: every commit is whole."""

    async def start_attempt(self, stream: Stream) -> None:
        """See `RunStore.start_attempt`."""

        def save() -> None:
            with self._file.transaction():
                self._file.save_status("running")
                if stream.enabled and stream.arn is not None:
                    self._file.save_stream(stream.arn, stream.view_type or "")

        await self._in_thread(save)

    async def save_status(self, status: RunStatus) -> None:
        """See `RunStore.save_status`."""

        def save() -> None:
            with self._file.transaction():
                self._file.save_status(status)

        await self._in_thread(save)

    async def save_clock(self, offset_s: float) -> None:
        """See `RunStore.save_clock`."""

        def save() -> None:
            with self._file.transaction():
                self._file.save_clock(offset_s)

        await self._in_thread(save)

    async def failures(self) -> AsyncIterator[list[Failure]]:
        """See `RunStore.failures`."""
        rows = self._file.failures()
        while found := await self._in_thread(lambda: list(islice(rows, _FAILURES_AT_ONCE))):
            yield found

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await to_thread.run_sync(work, limiter=self._thread)

    def _commit(self, commit: Commit) -> None:
        file = self._file
        with file.transaction():
            if failpoints.reached is not None:
                failpoints.reached("commit-begun")
            for operation in commit.operations:
                self._apply(operation)
            file.save_process(commit.process, commit.counts, commit.totals)
            if failpoints.reached is not None:
                failpoints.reached("commit-pending")
        if failpoints.reached is not None:
            failpoints.reached("committed")

    def _apply(self, operation: Operation) -> None:
        file = self._file
        match operation:
            case PageOpened(page, digests):
                if digests is not None:
                    new = file.unseen(digests)
                    fresh = [item for item, is_new in zip(page.items, new, strict=True) if is_new]
                    page.leave_out(fresh, already=len(page.items) - len(fresh))
                file.open_page(page)
            case CursorMoved(segment, cursor):
                file.move_cursor(segment, cursor)
            case PageClosed(page):
                file.close_page(page)
            case PageAmended(page, present, first):
                file.amend_page(page, present, first=first)
            case PageShrunk(page, rest):
                file.shrink_page(page, rest)

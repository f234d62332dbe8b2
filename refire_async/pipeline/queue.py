"""The queue of batches between readers and workers: the lanes, with waiting."""

import math
from collections import deque
from collections.abc import Callable

import anyio

from refire_async.checkpoint.ledger import OpenPage
from refire_async.model.keys import Item
from refire_async.pipeline.lanes import Batch, Lanes

SHARED_FROM = 0.5
"""Share of throttled lanes from which throttling without a reason is attributed to the table."""


class WorkQueue:
    """Hands out batches until it is stopped, or closed with every batch done.

    Its readers bound it: each adds a page only after one of its earlier pages is acknowledged.
    """

    def __init__(
        self, size_of: Callable[[OpenPage], int], lane_share: Callable[[], float] = lambda: math.inf
    ) -> None:
        self._lanes = Lanes(lane_share)
        self._size_of = size_of
        self._waiters: deque[anyio.Event] = deque()
        self._closed = False
        self._stopped = False
        self._handed_out = 0

    @property
    def stopped(self) -> bool:
        """Whether the queue hands out no more batches, even if some are left."""
        return self._stopped

    def lanes(self) -> tuple[int, int]:
        """Lanes that have work, and those of them that are held back."""
        return len(self._lanes), self._lanes.held_back(anyio.current_time())

    def add_page(self, page: OpenPage) -> None:
        """Add a page that is durable in the ledger."""
        self._lanes.add_page(page)
        self._wake_one()

    def put_back(self, batch: Batch, delay_s: float = 0.0) -> None:
        """Return a batch, or the rest of one, for a retry after `delay_s` seconds."""
        batch.ready_at = anyio.current_time() + delay_s
        self._lanes.add_batch(batch)
        self._wake_one()

    def hurry(self) -> None:
        """Make all delayed batches ready now."""
        self._lanes.hurry(anyio.current_time())
        self._wake_one()

    def accepted(self, batch: Batch, items: int) -> None:
        """`items` of `batch` were not throttled."""
        units = items * batch.page.item_units
        self._lanes.accepted(batch.page.segment, units, anyio.current_time())

    def refused(self, batch: Batch) -> None:
        """`batch` was throttled, for lack of capacity of its key range as far as is known."""
        self._lanes.refused(batch.page.segment, anyio.current_time())

    def is_shared(self) -> bool:
        """Whether so many lanes are throttled at once that it cannot be their key ranges.

        Then those lanes are not held back for it.
        """
        now = anyio.current_time()
        if self._lanes.refused_share(now) < SHARED_FROM:
            return False
        self._lanes.lift(now)
        return True

    async def take(self) -> Batch | None:
        """The next batch; None when there will be no more. `done` must follow for every batch."""
        while not self._stopped:
            batch = self._lanes.take(anyio.current_time(), self._size_of)
            if batch is not None:
                self._handed_out += 1
                if len(self._lanes):
                    self._wake_one()
                return batch
            if self._closed and not self._handed_out and not len(self._lanes):
                return None
            await self._wait(self._lanes.wake_at())
        return None

    def done(self) -> None:
        """A batch that was handed out has its outcomes or is put back."""
        self._handed_out -= 1
        if not self._handed_out and self._closed:
            self._wake_all()

    def close(self) -> None:
        """No more pages will come."""
        self._closed = True
        self._wake_all()

    def stop(self) -> None:
        """Hand out nothing more."""
        self._stopped = True
        self._wake_all()

    def drain(self) -> dict[int, tuple[OpenPage, list[Item]]]:
        """Take out all that is left, by page number."""
        return self._lanes.drain()

    async def _wait(self, wake_at: float | None) -> None:
        """Wait until a page or batch is added, or until `wake_at`."""
        called = anyio.Event()
        self._waiters.append(called)
        with anyio.CancelScope(deadline=math.inf if wake_at is None else wake_at):
            await called.wait()
        if not called.is_set():
            self._waiters.remove(called)

    def _wake_one(self) -> None:
        """One waiter is enough: it takes a batch and, if there is more, wakes the next.

        Waking all for every page costs each worker a trip around the loop to find nothing.
        """
        if self._waiters:
            self._waiters.popleft().set()

    def _wake_all(self) -> None:
        while self._waiters:
            self._waiters.popleft().set()

"""The queue between readers and workers: the lanes, and the workers that wait for a batch."""

import math
from collections import deque
from collections.abc import Callable

import anyio

from refire_async.checkpoint.ledger import OpenPage
from refire_async.model.keys import Item
from refire_async.pipeline.lanes import Batch, Lanes

EXHAUSTED_SHARE = 0.5
"""Share of throttled lanes from which throttling without a reason is attributed to the shared capacity."""


class WorkQueue:
    """Hands out batches until it is stopped, or until it is closed and every batch is done.

    The readers bound its size: each adds a page only after one of its earlier pages is acknowledged.
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
        """Whether the queue hands out no more batches, even if it still holds some."""
        return self._stopped

    def lanes(self) -> tuple[int, int]:
        """The number of lanes that have work, and how many of them are held back."""
        return len(self._lanes), self._lanes.held_back(anyio.current_time())

    def add_page(self, page: OpenPage) -> None:
        """Add a page that is durable in the ledger."""
        self._lanes.add_page(page)
        self._wake_one()

    def put_back(self, batch: Batch, delay_s: float = 0.0) -> None:
        """Add a batch, or the rest of one, for a try after `delay_s` seconds."""
        batch.ready_at = anyio.current_time() + delay_s
        self._lanes.add_batch(batch)
        self._wake_one()

    def retry_now(self) -> None:
        """Make all delayed batches ready now."""
        self._lanes.retry_now(anyio.current_time())
        self._wake_one()

    def processed(self, batch: Batch, items: int) -> None:
        """DynamoDB processed `items` of `batch` without throttling them."""
        units = items * batch.page.item_units
        self._lanes.processed(batch.page.segment, units, anyio.current_time())

    def throttled(self, batch: Batch) -> None:
        """DynamoDB throttled `batch`, and its key range is the probable cause."""
        self._lanes.throttled(batch.page.segment, anyio.current_time())

    def capacity_is_exhausted(self) -> bool:
        """Whether so many lanes are throttled at once that their key ranges cannot be the cause.

        If so, the limits of those lanes are lifted.
        """
        now = anyio.current_time()
        if self._lanes.throttled_share(now) < EXHAUSTED_SHARE:
            return False
        self._lanes.lift_limits(now)
        return True

    async def get(self) -> Batch | None:
        """Wait for the next batch; None when no more will come. Call `done` once for every batch."""
        while not self._stopped:
            batch = self._lanes.next_batch(anyio.current_time(), self._size_of)
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
        """Every item of a batch that was handed out has an outcome or is back in the queue."""
        self._handed_out -= 1
        if not self._handed_out and self._closed:
            self._wake_all()

    def close(self) -> None:
        """End the queue once all batches are done: no reader will add a page."""
        self._closed = True
        self._wake_all()

    def stop(self) -> None:
        """Hand out no more batches."""
        self._stopped = True
        self._wake_all()

    def drain(self) -> dict[int, tuple[OpenPage, list[Item]]]:
        """Remove all work. Returns each page with its items that were not written, by page number."""
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
        """Wake one waiter, which gets a batch and, if there are more, wakes the next.

        Waking all waiters for every page would cost each worker a turn of the event loop without work.
        """
        if self._waiters:
            self._waiters.popleft().set()

    def _wake_all(self) -> None:
        while self._waiters:
            self._waiters.popleft().set()

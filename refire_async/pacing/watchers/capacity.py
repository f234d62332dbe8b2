"""Follow the capacity of a table and its indexes during a run.

The table is described about every 20 s, so that changes by the user or by autoscaling apply within a minute, and soon
after a table or index throttled a write. On-demand capacity that the description does not state is assumed to grow
slowly.
"""

import random
from collections.abc import Awaitable, Callable

import anyio

from refire_async.errors import RefireError
from refire_async.events import BatchWritten, Subscriber, Throttled
from refire_async.model.capacity import TABLE
from refire_async.model.table import Table
from refire_async.pacing.governor import Governor, RateLimits
from refire_async.pacing.on_demand_growth import Growth

POLL_EVERY_S = 20.0
JITTER = 0.2
"""Relative jitter, so that runs that were started together do not send their requests together."""

SOON_S = 2.0
"""Delay after throttling, and the shortest time between two descriptions."""

GROW_EVERY_S = 10.0


class CapacityWatch(Subscriber):
    """Subscribe it to the run's events, and run `poll` and `grow` in the background."""

    def __init__(
        self,
        governor: Governor,
        describe: Callable[[str], Awaitable[Table]],
        draw: random.Random | None = None,
    ) -> None:
        """`describe` returns a table by its name, or raises RefireError."""
        self._governor = governor
        self._describe = describe
        self._draw = draw or random.Random()  # noqa: S311 - a jitter is no secret
        self._poll_soon = anyio.Event()
        self._used = 0.0
        self._throttled = False
        self._lacking = False
        self.handlers = {BatchWritten: self._batch_written, Throttled: self._was_throttled}
        self._on_change(governor.rate_limits)
        governor.subscribe(self._on_change)

    def _on_change(self, rate_limits: RateLimits) -> None:
        self._guesses = self._governor.guesses
        self._indexes = list(rate_limits.ceilings.indexes)

    def _batch_written(self, event: BatchWritten) -> None:
        if not self._guesses:
            return
        if event.consumed is None:
            self._used += event.wcu / (len(self._indexes) + 1)
        else:
            self._used += event.consumed.by_resource(self._indexes)[TABLE]

    def _was_throttled(self, event: Throttled) -> None:
        self._throttled = True
        if not event.lane_only:
            self._lacking = True
            self._poll_soon.set()

    async def poll(self) -> None:
        """Describe the table periodically until cancelled. A failed request changes nothing."""
        while True:
            await anyio.sleep(SOON_S)
            with anyio.move_on_after(POLL_EVERY_S * self._draw.uniform(1 - JITTER, 1 + JITTER) - SOON_S):
                await self._poll_soon.wait()
            self._poll_soon = anyio.Event()
            try:
                table = await self._describe(self._governor.table.name)
            except RefireError:
                continue
            if table.table_id == self._governor.table.table_id:
                self._governor.follow(table)

    async def grow(self) -> None:
        """Let assumed on-demand capacity grow, until cancelled."""
        growth = Growth(anyio.current_time())
        while True:
            begun, rate_limits = anyio.current_time(), self._governor.rate_limits
            await anyio.sleep(GROW_EVERY_S)
            now = anyio.current_time()
            could = rate_limits.wcu * (now - begun)
            used, throttled, lacking = self._used, self._throttled, self._lacking
            self._used, self._throttled, self._lacking = 0.0, False, False
            if could and self._guesses:
                growth.step(now, used / could, throttled=throttled, lacking=lacking)
                self._governor.grow(growth.factor)

"""Follows the capacity of a table and its indexes while the run works.

It is described again every 20 s or so, so that what was changed in the console, or by autoscaling, is followed within
a minute; and soon after a write was refused for lack of a table's or index's capacity. Where nobody tells what an
on-demand table has, it is taken to grow slowly.
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
"""Many runs that were started together do not ask together."""

SOON_S = 2.0
"""After throttling; and there are never two looks within this time."""

GROW_EVERY_S = 10.0


class CapacityWatch(Subscriber):
    """Tell it the run's events, and run `look` and `grow` beside the work."""

    def __init__(
        self,
        governor: Governor,
        describe: Callable[[str], Awaitable[Table]],
        draw: random.Random | None = None,
    ) -> None:
        """`describe` gives a table by its name, or raises RefireError."""
        self._governor = governor
        self._describe = describe
        self._draw = draw or random.Random()  # noqa: S311 - a jitter is no secret
        self._hurry = anyio.Event()
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
            self._hurry.set()

    async def look(self) -> None:
        """Describe the table again and again, until cancelled. A look that fails changes nothing."""
        while True:
            await anyio.sleep(SOON_S)
            with anyio.move_on_after(POLL_EVERY_S * self._draw.uniform(1 - JITTER, 1 + JITTER) - SOON_S):
                await self._hurry.wait()
            self._hurry = anyio.Event()
            try:
                table = await self._describe(self._governor.table.name)
            except RefireError:
                continue
            if table.table_id == self._governor.table.table_id:
                self._governor.follow(table)

    async def grow(self) -> None:
        """Let capacity that nobody tells grow, until cancelled."""
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

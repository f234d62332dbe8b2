"""A rate limit in units per second that can be corrected afterwards and changed while tasks wait.

It uses aiolimiter's leaky bucket and adds what that one lacks:

* The bucket counts *seconds of budget*, not units. A change of rate changes the price in seconds, so the bucket itself,
  whose drip rate is fixed, never has to change.
* aiolimiter serves small amounts first, so that a large one can starve. Here one task at a time uses the bucket, in the
  order of arrival.
* aiolimiter rejects amounts above the bucket's size. Here a large amount is paid in instalments.
* aiolimiter cannot take units back. Here the difference between cost and estimate is added to the next amount.
* aiolimiter cannot be paused. Here nothing is granted during a pause, and the debt remains.
* Here nothing is granted without a leased share either. That is looked up at each grant: no timer runs in a process
  that is stopped, and it may wake in the middle of a grant.
"""

from collections.abc import Callable

import anyio
from aiolimiter import AsyncLimiter

BURST_S = 0.05
"""Size of the bucket, in seconds of budget.

A window of 1 s can contain the units that drip in (1 s of budget), a full bucket (5%) and as much credit from
estimates that were too high (5%): 110% together, the limit that the budget promises.
"""

TICK_S = 0.004
"""Shortest wait (s). The tasks behind it then need not wait: with a wake-up for every single batch, a high budget costs
twice the CPU time (21 µs instead of 10 µs per item at 40,000 items/s). The bucket holds much more, so no budget is
lost."""


class Limiter:
    """Grants units at `rate` per second, first come first served, with bursts of at most `2 * BURST_S`."""

    def __init__(self, rate: float) -> None:
        if rate <= 0:
            raise ValueError("a rate must be above 0 units per second")
        self.rate = rate
        self._bucket = AsyncLimiter(BURST_S, BURST_S)
        # `fast_acquire`: an uncontended lock must not cost a turn of the event loop per batch.
        self._turn = anyio.Lock(fast_acquire=True)
        self._owed = 0.0
        self._paused = False
        self._in_force = always
        self._opened: anyio.Event | None = None

    @property
    def owed(self) -> float:
        """Units that the next request pays for earlier ones; negative: credit."""
        return self._owed

    @property
    def burst(self) -> float:
        """Units that can be granted at once."""
        return self.rate * BURST_S

    async def acquire(self, amount: float) -> None:
        """Wait until `amount` units, plus the debt, may be spent.

        A task that is cancelled while it waits has spent the instalments that it has paid.
        """
        async with self._turn:
            due = amount + self._owed
            self._owed = 0.0
            try:
                while due > 0 or self.paused:
                    if self.paused:
                        self._opened = self._opened or anyio.Event()
                        await self._opened.wait()
                        continue
                    rate = self.rate
                    part = min(due, self.burst)
                    seconds = min(part / rate, BURST_S)
                    if seconds < TICK_S and not self._bucket.has_capacity(seconds):
                        await anyio.sleep(TICK_S)
                    await self._bucket.acquire(seconds)
                    # If the rate fell meanwhile, the time that was paid buys units at the new rate; in a pause, none.
                    if not self.paused:
                        due -= part if self.rate >= rate else seconds * self.rate
            finally:
                # The rest is credit, or the unpaid debt of a wait that was cancelled.
                self._owed += due if due < 0 else max(0.0, due - amount)

    def correct(self, reserved: float, actual: float) -> None:
        """Correct an earlier grant of `reserved` units by the `actual` consumption."""
        self._owed = max(self._owed + actual - reserved, -self.burst)

    @property
    def paused(self) -> bool:
        """Whether nothing is granted now: paused, or without a leased share."""
        return self._paused or not self._in_force()

    def pause(self) -> None:
        """Grant nothing until `resume`."""
        if not self._paused:
            self._paused = True
            self._owed = max(self._owed, 0.0)  # credit is valid only within the second in which it arose

    def resume(self) -> None:
        """Grant again."""
        self._paused = False
        self.look_again()

    def lease(self, in_force: Callable[[], bool]) -> None:
        """From now on grant only while `in_force()`; call `look_again` when that becomes true."""
        self._in_force = in_force

    def look_again(self) -> None:
        """Those who wait because nothing was granted look whether something is now."""
        if self._opened is not None:
            self._opened.set()
            self._opened = None

    def set_rate(self, rate: float) -> None:
        """Grant `rate` units per second from now on."""
        if rate <= 0:
            raise ValueError("a rate must be above 0 units per second")
        self.rate = rate
        self._owed = max(self._owed, -self.burst)


def always() -> bool:
    """The share of a process that has the whole budget."""
    return True

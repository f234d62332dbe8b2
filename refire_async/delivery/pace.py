"""How many invocations run at a time, and when the next one may begin. Pure; time is an argument.

Lambda throttles for lack of concurrency or for too many requests per second, and names the reason (Lambda API
reference: Invoke, TooManyRequestsException). Fewer invocations at a time are the answer to the first, a lower rate of
invocations to the second: additive increase, multiplicative decrease for both.
"""

import math
from collections.abc import Callable

DECREASE = 0.7
HOLD_S = 0.5
"""Throttling lowers a limit at most once in this time: a burst of refused invocations counts once."""

SLOWEST_RATE = 1.0
"""Invocations per second below which throttling does not lower the rate."""

SPARE_RATE = 4.0
"""The limit on the rate is dropped when it is so many times what is being invoked."""

_MEASURE_S = 1.0


class Pace:
    """The limits that all lanes of a delivery share. Times are those of a monotonic clock, in seconds."""

    def __init__(self, concurrency: int, max_rate: float | None = None) -> None:
        """`concurrency` is the most invocations at a time, `max_rate` the most records per second (None: no limit)."""
        if concurrency < 1:
            raise ValueError("a delivery needs at least one invocation at a time")
        self.on_change: Callable[[], None] = lambda: None
        """Called when more may be invoked than before, other than by the passing of time."""
        self._ceiling = float(concurrency)
        self._allowed = float(concurrency)
        self._max_rate = max_rate
        self._paused = False
        self._rate = math.inf
        self._next_at = -math.inf
        self._cut_at = -math.inf
        self._counted_from = -math.inf
        self._counted = 0
        self._measured = 0.0

    @property
    def concurrency(self) -> int:
        """Invocations at a time, now."""
        return 0 if self._paused else max(1, int(self._allowed))

    @property
    def rate(self) -> float:
        """Invocations per second at most, now; infinite unless throttling has limited it."""
        return self._rate

    @property
    def max_rate(self) -> float | None:
        """Records per second at most, by the user's will; None for no limit."""
        return self._max_rate

    def set_concurrency(self, concurrency: int) -> None:
        """Change the most invocations at a time; a limit that throttling has lowered keeps its share of it."""
        ceiling = float(max(1, concurrency))
        self._allowed = max(1.0, self._allowed * ceiling / self._ceiling)
        self._ceiling = ceiling
        self.on_change()

    def set_max_rate(self, max_rate: float | None) -> None:
        """Change the most records per second; None for no limit."""
        self._max_rate = max_rate
        if self._rate == math.inf:
            self._next_at = -math.inf
        self.on_change()

    def pause(self) -> None:
        """Begin no invocation until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Begin invocations again."""
        self._paused = False
        self.on_change()

    def starts_at(self) -> float:
        """When the next invocation may begin."""
        return self._next_at

    def started(self, records: int, now: float) -> None:
        """An invocation of `records` records begins."""
        spacing = 1.0 / self._rate
        if self._max_rate is not None:
            spacing = max(spacing, records / self._max_rate)
        if spacing > 0:
            self._next_at = max(self._next_at, now) + spacing
        self._counted += 1
        if now - self._counted_from >= _MEASURE_S:
            self._measured = self._counted / max(now - self._counted_from, _MEASURE_S)
            self._counted_from, self._counted = now, 0

    def succeeded(self) -> None:
        """The service took an invocation."""
        if self._allowed < self._ceiling:
            self._allowed = min(self._ceiling, self._allowed + 1.0 / self._allowed)
        if self._rate < math.inf:
            self._rate += 1.0 / self._rate
            if self._rate > SPARE_RATE * max(self._measured, SLOWEST_RATE):
                self._rate = math.inf

    def throttled(self, reason: str, retry_after_s: float | None, now: float) -> None:
        """The service refused an invocation for `reason`; it may ask for `retry_after_s` seconds without any."""
        by_rate = "RateLimit" in reason
        if retry_after_s is not None and by_rate:
            self._next_at = max(self._next_at, now + retry_after_s)
        if now - self._cut_at < HOLD_S:
            return
        self._cut_at = now
        if by_rate:
            current = min(self._rate, max(self._measured, self._counted / _MEASURE_S))
            self._rate = max(SLOWEST_RATE, current * DECREASE)
        else:
            self._allowed = max(1.0, self._allowed * DECREASE)

"""AIMD rate control: throttling lowers the rate by a factor, success raises it in steps up to the ceiling. Pure.

Where nothing succeeded for a while, the throttling was an outage and says nothing about the rate: the first success
restores the rate of the last success before it.
"""

import math

from refire_async.pacing.refusals import Refusals

DECREASE = 0.7
"""Factor on throttling, at most once per `HOLD_S`: a burst of throttled writes counts once."""

HOLD_S = 0.5
INCREASE_PER_S = 0.12
"""Share of the ceiling added per second without throttling: from the floor to the ceiling in under 10 s."""

FLOOR = 0.02
"""Share of the ceiling below which the rate never falls, because some writes must succeed to detect recovery."""


class RateController:
    """The write rate of one resource (units/s), between a floor and `ceiling`. Times are of a monotonic clock (s)."""

    def __init__(self, ceiling: float) -> None:
        self.ceiling = ceiling
        self.rate = ceiling
        self._last_cut: float | None = None
        self._last_seen: float | None = None
        self._worked_rate = ceiling
        """The rate of the last success."""
        self._refusals = Refusals(math.inf)

    def set_ceiling(self, ceiling: float) -> None:
        """Change the ceiling; a lowered rate keeps its share of the ceiling."""
        self.rate = ceiling * (self.rate / self.ceiling)
        self._worked_rate = ceiling * (self._worked_rate / self.ceiling)
        self.ceiling = ceiling

    def follow(self, ceiling: float) -> None:
        """Follow a changed capacity of the resource.

        If the ceiling falls, a rate that throttling has already lowered is not lowered in proportion again.
        """
        if ceiling >= self.ceiling:
            self.set_ceiling(ceiling)
        else:
            self.rate = min(self.rate, ceiling)
            self._worked_rate = min(self._worked_rate, ceiling)
            self.ceiling = ceiling

    def throttled(self, now: float) -> bool:
        """DynamoDB throttled a write. Returns whether the rate was lowered."""
        if self._last_cut is not None and now - self._last_cut < HOLD_S:
            return False
        self._last_cut = self._last_seen = now
        self._refusals.cut()
        before = self.rate
        self.rate = max(before * DECREASE, self.ceiling * FLOOR)
        return self.rate < before

    def recover(self, now: float) -> bool:
        """DynamoDB processed a write without throttling it. Returns whether the rate was raised."""
        refused_all = self._refusals.worked(now)
        before, restored = self.rate, self._worked_rate
        self._worked_rate = before
        if before < self.ceiling:
            if refused_all:
                self.rate = max(before, restored)
            else:
                self._raise(now)
        return self.rate > before

    def _raise(self, now: float) -> None:
        since, self._last_seen = self._last_seen, now
        if since is None or (self._last_cut is not None and now - self._last_cut < HOLD_S):
            return
        self.rate = min(self.rate + self.ceiling * INCREASE_PER_S * (now - since), self.ceiling)

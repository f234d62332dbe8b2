"""Tells subscribers of the run what becomes of its budget."""

from refire_async.events import BudgetChanged, Emit, Paused, Resumed
from refire_async.pacing.governor import RateLimits


class LimitNotifier:
    """Listens to a Steering and emits what changed, and only that."""

    def __init__(self, rate_limits: RateLimits, emit: Emit) -> None:
        """`rate_limits` is the one that the sitting begins with, which is not announced unless it is a pause."""
        self._emit = emit
        self._paused, self._pause_why = False, ""
        self._last = rate_limits
        if rate_limits.paused:
            self._pause(rate_limits)

    def on_change(self, rate_limits: RateLimits) -> None:
        """The target changed: see `Steering.subscribe`."""
        if rate_limits.paused:
            if not self._paused or rate_limits.why != self._pause_why:
                self._pause(rate_limits)
            return
        if self._paused:
            self._paused = False
            self._emit(Resumed(rate_limits.why))
        before, self._last = self._last, rate_limits
        # Items per second are no part of it: for a consumer's sake they change every other second.
        if (rate_limits.ceilings, rate_limits.share, rate_limits.why) != (
            before.ceilings,
            before.share,
            before.why,
        ):
            self._emit(BudgetChanged(rate_limits.wcu, rate_limits.rcu, rate_limits.why, rate_limits.indexes))

    def _pause(self, rate_limits: RateLimits) -> None:
        self._paused, self._pause_why = True, rate_limits.why
        self._emit(Paused(rate_limits.why))

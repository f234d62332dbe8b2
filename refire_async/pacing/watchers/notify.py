"""Notify subscribers of a run of changes of its budget."""

from refire_async.events import BudgetChanged, Emit, Paused, Resumed
from refire_async.pacing.governor import RateLimits


class LimitNotifier:
    """Subscribes to a Governor and emits an event for each change."""

    def __init__(self, rate_limits: RateLimits, emit: Emit) -> None:
        """`rate_limits` are those at the start of the attempt; they are emitted only if they are a pause."""
        self._emit = emit
        self._paused, self._pause_why = False, ""
        self._last = rate_limits
        if rate_limits.paused:
            self._pause(rate_limits)

    def on_change(self, rate_limits: RateLimits) -> None:
        """The limits changed: see `Governor.subscribe`."""
        if rate_limits.paused:
            if not self._paused or rate_limits.why != self._pause_why:
                self._pause(rate_limits)
            return
        if self._paused:
            self._paused = False
            self._emit(Resumed(rate_limits.why))
        before, self._last = self._last, rate_limits
        # Items per second are left out: to protect consumers they change every few seconds.
        if (rate_limits.ceilings, rate_limits.share, rate_limits.why) != (
            before.ceilings,
            before.share,
            before.why,
        ):
            self._emit(BudgetChanged(rate_limits.wcu, rate_limits.rcu, rate_limits.why, rate_limits.indexes))

    def _pause(self, rate_limits: RateLimits) -> None:
        self._paused, self._pause_why = True, rate_limits.why
        self._emit(Paused(rate_limits.why))

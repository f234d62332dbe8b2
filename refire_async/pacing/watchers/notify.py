"""Tells subscribers of the run what becomes of its budget."""

from refire_async.events import BudgetChanged, Emit, Paused, Resumed
from refire_async.pacing.governor import Target


class Announcer:
    """Listens to a Steering and emits what changed, and only that."""

    def __init__(self, target: Target, emit: Emit) -> None:
        """`target` is the one that the sitting begins with, which is not announced unless it is a pause."""
        self._emit = emit
        self._paused, self._pause_why = False, ""
        self._told = target
        if target.paused:
            self._pause(target)

    def told(self, target: Target) -> None:
        """The target changed: see `Steering.listen`."""
        if target.paused:
            if not self._paused or target.why != self._pause_why:
                self._pause(target)
            return
        if self._paused:
            self._paused = False
            self._emit(Resumed(target.why))
        before, self._told = self._told, target
        # Items per second are no part of it: for a consumer's sake they change every other second.
        if (target.ceilings, target.share, target.why) != (before.ceilings, before.share, before.why):
            self._emit(BudgetChanged(target.wcu, target.rcu, target.why, target.indexes))

    def _pause(self, target: Target) -> None:
        self._paused, self._pause_why = True, target.why
        self._emit(Paused(target.why))

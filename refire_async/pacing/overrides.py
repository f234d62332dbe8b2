"""Precedence of budgets: options, overridden by the timetable, overridden by `refire rate`. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from refire_async.pacing.governor import Governor
from refire_async.pacing.rate import Rate
from refire_async.pacing.timetable import ScheduledRate
from refire_async.settings import Budget

LIMIT_SOURCE = "overrides"
OPERATOR = "refire rate"
TIMETABLE = "timetable"


@dataclass(frozen=True, slots=True)
class Override:
    """The current `budget` (None: a pause) and its source `by`. `description` is one line of text."""

    budget: Budget | None
    by: str
    description: str


class Overrides:
    """Keeps the budget of each source; calls `apply` at once and at each change of the current override.

    A pause of the operator is kept apart from the operator's rate: `resume` ends it, and the previous budget applies.
    """

    def __init__(self, options: Budget, apply: Callable[[Override], None]) -> None:
        self._options = options
        self._apply = apply
        self._scheduled: ScheduledRate | None = None
        self._rate: Rate | None = None
        self._paused = False
        self._override = self._decide()
        apply(self._override)

    @property
    def override(self) -> Override:
        """The current override."""
        return self._override

    def timetable(self, scheduled: ScheduledRate) -> None:
        """Use this entry of the timetable from now on."""
        self._scheduled = scheduled
        self._change()

    def set_rate(self, rate: Rate) -> None:
        """Set the operator's rate, which overrides the timetable and ends the operator's pause."""
        if rate.paused:
            self._paused = True
        else:
            self._rate, self._paused = rate, False
        self._change()

    def resume(self) -> None:
        """End the operator's pause."""
        self._paused = False
        self._change()

    def automatic(self) -> None:
        """Drop the operator's rate and pause: timetable and options apply again."""
        self._rate, self._paused = None, False
        self._change()

    def _change(self) -> None:
        override = self._decide()
        if override != self._override:
            self._override = override
            self._apply(override)

    def _decide(self) -> Override:
        if self._paused:
            return Override(None, OPERATOR, f"paused by {OPERATOR}")
        if self._rate is not None:
            return Override(
                self._rate.budget(self._options, OPERATOR), OPERATOR, f"{self._rate} by {OPERATOR}"
            )
        scheduled = self._scheduled
        if scheduled is None or scheduled.rate is None:
            return Override(self._options, "options", "the budget of the options")
        source = f"{TIMETABLE} {scheduled.ends}".rstrip()
        if scheduled.rate.paused:
            return Override(None, TIMETABLE, f"paused by {source}")
        return Override(
            scheduled.rate.budget(self._options, source), TIMETABLE, f"{scheduled.rate} by {source}"
        )


def apply_to(governor: Governor) -> Callable[[Override], None]:
    """A function that applies overrides to `governor`. During a pause the previous budget stays readable."""

    def apply(override: Override) -> None:
        if override.budget is None:
            governor.limit(LIMIT_SOURCE, share=0.0, why=override.description)
        else:
            governor.set_budget(override.budget)
            governor.limit(LIMIT_SOURCE)

    return apply

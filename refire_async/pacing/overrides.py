"""Who says how fast: the options, over them the timetable, over both the operator (`refire rate`). Pure."""

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
    """What holds: `budget` (None: a pause), as `by` has set it. `description` is for people."""

    budget: Budget | None
    by: str
    description: str


class Overrides:
    """Keeps what each has description; `apply` is told at once, and whenever another order holds.

    A pause of the operator is a word of its own: `resume` takes it back, and what held before holds again.
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
        """What holds now."""
        return self._override

    def timetable(self, scheduled: ScheduledRate) -> None:
        """The timetable says this from now on."""
        self._scheduled = scheduled
        self._change()

    def set_rate(self, rate: Rate) -> None:
        """The operator wants this rate, whatever the timetable says; it also ends a pause of theirs."""
        if rate.paused:
            self._paused = True
        else:
            self._rate, self._paused = rate, False
        self._change()

    def resume(self) -> None:
        """The operator ends their pause."""
        self._paused = False
        self._change()

    def automatic(self) -> None:
        """The operator leaves it to the timetable and the options again."""
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
        who = f"{TIMETABLE} {scheduled.ends}".rstrip()
        if scheduled.rate.paused:
            return Override(None, TIMETABLE, f"paused by {who}")
        return Override(scheduled.rate.budget(self._options, who), TIMETABLE, f"{scheduled.rate} by {who}")


def apply_to(governor: Governor) -> Callable[[Override], None]:
    """Carries orders out. The budget of before a pause stays, for what looks at it meanwhile."""

    def apply(override: Override) -> None:
        if override.budget is None:
            governor.limit(LIMIT_SOURCE, share=0.0, why=override.description)
        else:
            governor.set_budget(override.budget)
            governor.limit(LIMIT_SOURCE)

    return apply

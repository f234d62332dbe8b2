"""Who says how fast: the options, over them the timetable, over both the operator (`refire rate`). Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from refire_async.pacing.governor import Steering
from refire_async.pacing.rate import Rate
from refire_async.pacing.timetable import Ruling
from refire_async.settings import Budget

VOICE = "orders"
OPERATOR = "refire rate"
TIMETABLE = "timetable"


@dataclass(frozen=True, slots=True)
class Order:
    """What holds: `budget` (None: a pause), as `by` has set it. `said` is for people."""

    budget: Budget | None
    by: str
    said: str


class Orders:
    """Keeps what each has said; `carry_out` is told at once, and whenever another order holds.

    A pause of the operator is a word of its own: `resume` takes it back, and what held before holds again.
    """

    def __init__(self, options: Budget, carry_out: Callable[[Order], None]) -> None:
        self._options = options
        self._carry_out = carry_out
        self._ruling: Ruling | None = None
        self._rate: Rate | None = None
        self._paused = False
        self._order = self._decide()
        carry_out(self._order)

    @property
    def order(self) -> Order:
        """What holds now."""
        return self._order

    def timetable(self, ruling: Ruling) -> None:
        """The timetable says this from now on."""
        self._ruling = ruling
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
        order = self._decide()
        if order != self._order:
            self._order = order
            self._carry_out(order)

    def _decide(self) -> Order:
        if self._paused:
            return Order(None, OPERATOR, f"paused by {OPERATOR}")
        if self._rate is not None:
            return Order(self._rate.budget(self._options, OPERATOR), OPERATOR, f"{self._rate} by {OPERATOR}")
        ruling = self._ruling
        if ruling is None or ruling.rate is None:
            return Order(self._options, "options", "the budget of the options")
        who = f"{TIMETABLE} {ruling.ends}".rstrip()
        if ruling.rate.paused:
            return Order(None, TIMETABLE, f"paused by {who}")
        return Order(ruling.rate.budget(self._options, who), TIMETABLE, f"{ruling.rate} by {who}")


def obey(steering: Steering) -> Callable[[Order], None]:
    """Carries orders out. The budget of before a pause stays, for what looks at it meanwhile."""

    def carry_out(order: Order) -> None:
        if order.budget is None:
            steering.limit(VOICE, share=0.0, why=order.said)
        else:
            steering.set_budget(order.budget)
            steering.limit(VOICE)

    return carry_out

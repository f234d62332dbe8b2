"""What changes the pace of a delivery while it works: `refire rate`, and the age of the function's own records."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from refire_async.aws.other_services import Services, UnansweredError
from refire_async.delivery.pace import Pace
from refire_async.errors import RefusedError
from refire_async.events import AdviceBack, AdviceMissing, ConsumerSeen, Emit, Paused, Resumed
from refire_async.pacing.control.protocol import RefusedVerbError
from refire_async.pacing.control.server import Verb
from refire_async.pacing.watchers.functions import query_figures

POLL_EVERY_S = 15.0
BACK_S = 600.0
"""Period queried (s): data points of a minute arrive up to some minutes late."""

_TOPIC = "iterator age"
_OPERATOR, _CONSUMER = "refire rate", "the function's own mapping"


@dataclass(slots=True)
class DeliveryControl:
    """The pauses and the rate of one attempt. A delivery is paused as long as anything pauses it.

    `max_rate` is that of the options, in records per second.
    """

    run_id: str
    pace: Pace
    emit: Emit
    max_rate: float | None
    _set: str = ""
    _pauses: dict[str, str] = field(default_factory=dict)
    _rate: float | None = None

    def __post_init__(self) -> None:
        self._rate = self.max_rate

    def pause(self, source: str, why: str) -> None:
        """Begin no invocation until `resume` of the same source."""
        before = bool(self._pauses)
        self._pauses[source] = why
        if not before:
            self.pace.pause()
            self.emit(Paused(why))

    def resume(self, source: str, why: str) -> None:
        """End the pause of this source."""
        if self._pauses.pop(source, None) is not None and not self._pauses:
            self.pace.resume()
            self.emit(Resumed(why))

    def rate_verb(self) -> Verb:
        """The verb `rate` of the control socket: `pause`, `resume`, `auto`, or records per second."""

        def answer(members: Mapping[str, Any]) -> Mapping[str, Any]:
            value = members.get("value")
            if value is not None:
                if not isinstance(value, str):
                    raise RefusedVerbError("the value is not text")
                self._apply(value.strip().lower())
            return {
                "run_id": self.run_id,
                "by": _OPERATOR if self._set else "options",
                "set": self._set,
                "paused": bool(self._pauses),
                "max_rate": self._rate,
                "concurrency": self.pace.concurrency,
                "why": next(iter(self._pauses.values()), ""),
            }

        return answer

    def _apply(self, value: str) -> None:
        match value:
            case "pause":
                self.pause(_OPERATOR, "paused by refire rate")
            case "resume":
                self.resume(_OPERATOR, "resumed by refire rate")
            case "auto":
                self._set_rate(self.max_rate)
                self.resume(_OPERATOR, "resumed by refire rate")
            case _:
                self._set_rate(_records_per_second(value))
                self.resume(_OPERATOR, "resumed by refire rate")
        self._set = "" if value == "auto" else value

    def _set_rate(self, rate: float | None) -> None:
        self._rate = rate
        self.pace.set_max_rate(rate)


def _records_per_second(value: str) -> float:
    try:
        rate = float(value)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e9:
        raise RefusedVerbError("a delivery takes records per second, such as 500; pause, resume or auto")
    return rate


async def check_metrics(services: Services, function: str, now: float) -> None:
    """Check before the first invocation that CloudWatch answers. Raises RefusedError."""
    try:
        await query_figures(services, [function], now - BACK_S, now)
    except UnansweredError as error:
        raise RefusedError(
            f"cannot monitor the iterator age of {function}: {error}",
            "allow cloudwatch:GetMetricData, or leave out --max-iterator-age",
        ) from error


async def follow_iterator_age(
    control: DeliveryControl, services: Services, function: str, limit_s: float, now: Callable[[], float]
) -> None:
    """Pause while the records of the function's own mapping are older than `limit_s` seconds, until cancelled."""
    missing = False
    while True:
        try:
            at = now()
            figures = (await query_figures(services, [function], at - BACK_S, at))[function]
        except UnansweredError as error:
            if not missing:
                missing = True
                control.emit(AdviceMissing(_TOPIC, str(error), "the delivery goes on at the pace it has"))
        else:
            if missing:
                missing = False
                control.emit(AdviceBack(_TOPIC))
            age = figures.ages[max(figures.ages)] if figures.ages else None
            errors, throttles = (round(sum(one.values())) for one in (figures.errors, figures.throttles))
            control.emit(ConsumerSeen(function, age, errors, throttles))
            if age is not None and age > limit_s:
                control.pause(_CONSUMER, f"{function} is {age:,.0f} s behind with its own records")
            else:
                control.resume(_CONSUMER, f"{function} has caught up")
        await anyio.sleep(POLL_EVERY_S)

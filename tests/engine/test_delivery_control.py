"""The pace of a delivery while it works: `refire rate`, and the age of the function's own records."""

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from refire_async.delivery.pace import Pace
from refire_async.engine.delivery_control import (
    DeliveryControl,
    check_metrics,
    follow_iterator_age,
)
from refire_async.errors import RefusedError
from refire_async.events import AdviceBack, AdviceMissing, Event, Paused, Resumed
from refire_async.pacing.control.protocol import RefusedVerbError
from tests.support.lambda_functions import Function, Lambdas
from tests.support.virtual_time import VIRTUAL_TIME

WALL = 1_800_000_000.0


@pytest.fixture
def anyio_backend() -> Any:
    """Virtual time."""
    return VIRTUAL_TIME


def wall() -> float:
    return WALL + anyio.current_time()


def controlled(max_rate: float | None = None) -> tuple[DeliveryControl, Pace, list[Event]]:
    """A control over a pace of 10 invocations at a time, and what it emits."""
    events: list[Event] = []
    pace = Pace(10, max_rate)
    return DeliveryControl("r", pace, events.append, max_rate), pace, events


def ask(control: DeliveryControl, value: str | None = None) -> Mapping[str, Any]:
    return control.rate_verb()({} if value is None else {"value": value})


def test_rate() -> None:
    """Pause, resume, a rate, and the options again; each is in the answer."""
    control, pace, events = controlled(500.0)
    assert ask(control) == {
        "run_id": "r",
        "by": "options",
        "set": "",
        "paused": False,
        "max_rate": 500.0,
        "concurrency": 10,
        "why": "",
    }
    paused = ask(control, "pause")
    assert (paused["paused"], paused["concurrency"], pace.concurrency) == (True, 0, 0)
    slow = ask(control, " 30 ")
    assert (slow["paused"], slow["max_rate"], slow["by"], slow["set"]) == (False, 30.0, "refire rate", "30")
    pace.started(30, 0.0)
    assert pace.starts_at() == pytest.approx(1.0)
    assert ask(control, "AUTO")["max_rate"] == 500.0
    assert [type(event) for event in events] == [Paused, Resumed]


@pytest.mark.parametrize("value", ["50%", "0", "-1", "nan", "inf", "fast", ""])
def test_other_values_are_refused(value: str) -> None:
    """A share of the table's capacity means nothing to a delivery."""
    control, pace, _ = controlled()
    with pytest.raises(RefusedVerbError, match="records per second"):
        ask(control, value)
    assert pace.concurrency == 10


async def test_it_waits_for_the_function_to_catch_up() -> None:
    """Above the limit it is paused, below it goes on; a pause by the operator outlives that."""
    control, pace, events = controlled()
    function = Function(lag_s=0.0)
    lambdas: Any = Lambdas(wall, f=function)
    await check_metrics(lambdas, "f", wall())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_iterator_age, control, lambdas, "f", 60.0, wall)
        function.metrics["IteratorAge"].add(90.0, wall())
        await anyio.sleep(61)
        assert pace.concurrency == 0
        assert any(isinstance(event, Paused) and "90 s behind" in event.why for event in events)
        ask(control, "pause")
        function.metrics["IteratorAge"].add(1.0, wall())
        await anyio.sleep(61)
        assert pace.concurrency == 0, "the operator's pause"
        ask(control, "resume")
        assert pace.concurrency == 10
        lambdas.refused["cloudwatch"] = "no answer"
        await anyio.sleep(31)
        del lambdas.refused["cloudwatch"]
        await anyio.sleep(31)
        tasks.cancel_scope.cancel()
    assert [type(event) for event in events if isinstance(event, AdviceMissing | AdviceBack)] == [
        AdviceMissing,
        AdviceBack,
    ]


async def test_without_metrics_it_does_not_begin() -> None:
    """The user asked for it, so a delivery that cannot see the age is refused."""
    lambdas: Any = Lambdas(wall, f=Function())
    lambdas.refused["cloudwatch"] = "no permission"
    with pytest.raises(RefusedError, match="cannot monitor the iterator age of f: no permission"):
        await check_metrics(lambdas, "f", wall())

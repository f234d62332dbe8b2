"""Watchers run as long as the work, for any end of it; and events report changes of the limits."""

import anyio
import pytest

from refire_async.errors import StoppedError
from refire_async.events import BudgetChanged, Event, Paused, Resumed
from refire_async.model.capacity import TABLE
from refire_async.pacing.capacity import Ceilings
from refire_async.pacing.governor import RateLimits
from refire_async.pacing.watchers.assemble import LimitNotifier, in_background
from tests.support.virtual_time import VIRTUAL_TIME


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


async def test_watchers_run_as_long_as_the_work():
    seen = 0

    async def watch() -> None:
        nonlocal seen
        while True:
            await anyio.sleep(1.0)
            seen += 1

    async def work() -> str:
        await anyio.sleep(10.5)
        return "done"

    assert await in_background([watch, watch], work) == "done"
    assert seen == 20
    await anyio.sleep(10.0)
    assert seen == 20


async def test_an_error_of_the_work_is_raised_as_it_is():
    async def work() -> None:
        await anyio.sleep(1.0)
        raise StoppedError("disk full")

    with pytest.raises(StoppedError, match="disk full"):
        await in_background([anyio.sleep_forever], work)


def rate_limits(share: float, why: str = "w") -> RateLimits:
    return RateLimits(Ceilings({TABLE: 100.0, "by-day": 80.0}, 50.0, "b"), share, None, why)


def test_each_change_causes_one_event_and_a_pause_two():
    events: list[Event] = []
    notifier = LimitNotifier(rate_limits(1.0), events.append)
    for share in (1.0, 0.5, 0.0, 0.0, 0.5, 0.25):
        notifier.on_change(rate_limits(share))
    assert events == [
        BudgetChanged(50.0, 25.0, "w", {"by-day": 40.0}),
        Paused("w"),
        Resumed("w"),
        BudgetChanged(25.0, 12.5, "w", {"by-day": 20.0}),
    ]


def test_a_run_that_begins_paused_reports_it():
    events: list[Event] = []
    LimitNotifier(rate_limits(0.0, "the timetable"), events.append)
    assert events == [Paused("the timetable")]

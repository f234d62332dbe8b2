"""Overrides from the timetable, on time under clock changes, and from the operator."""

import anyio
import pytest

from refire_async.model.table import Throughput
from refire_async.pacing.control.protocol import RefusedVerbError
from refire_async.pacing.governor import Governor
from refire_async.pacing.overrides import Override, Overrides, apply_to
from refire_async.pacing.timetable import find_zone, parse_timetable
from refire_async.pacing.watchers.operator import MAX_SLEEP_S, follow_timetable, rate_verb
from refire_async.settings import Budget
from tests.support.table_descriptions import described_table
from tests.support.virtual_time import VIRTUAL_TIME

HOUR = 3_600.0


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


class FollowedTimetable:
    """The overrides of a timetable with their times (by the wall clock, which `offset` sets)."""

    def __init__(self, text: str, begin: float) -> None:
        self.offset = 0.0
        self.seen: list[tuple[float, str]] = []
        self._begin, self._started = begin, anyio.current_time()
        self.timetable = parse_timetable(text, find_zone("UTC"))
        self.overrides = Overrides(Budget(), self._apply)

    def clock(self) -> float:
        return self._begin + anyio.current_time() - self._started + self.offset

    def _apply(self, override: Override) -> None:
        self.seen.append((self.clock(), override.description.split(" ")[0]))

    async def follow(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await follow_timetable(self.timetable, self.overrides, clock=self.clock)


async def test_every_change_applies_on_time() -> None:
    """Over midnight: none early, none more than a second late."""
    times = {"23:10": "20%", "23:50": "90%", "00:00": "pause", "00:30": "500"}
    course = FollowedTimetable(" ".join(f"{at},{rate}" for at, rate in times.items()), 23 * HOUR)
    await course.follow(2 * HOUR)
    assert [description for _, description in course.seen[1:]] == ["500", "20%", "90%", "paused", "500"]
    for (at, _), due in zip(course.seen[2:], (10, 50, 60, 90), strict=True):
        assert due * 60 <= at - 23 * HOUR < due * 60 + 1


async def test_a_clock_change_is_detected() -> None:
    """A sleeping process receives no notification, so it checks the clock periodically."""
    course = FollowedTimetable("08:00,20% 20:00,90%", 0.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(course.follow, 3_600.0)
        await anyio.sleep(600.0)
        course.offset = 9 * 3_600.0
        await anyio.sleep(MAX_SLEEP_S + 1)
        assert course.seen[-1][1] == "20%"
        course.offset = -2 * 3_600.0
        await anyio.sleep(MAX_SLEEP_S + 1)
        assert course.seen[-1][1] == "90%"


async def test_one_rate_needs_no_watcher() -> None:
    course = FollowedTimetable("50%", 0.0)
    await follow_timetable(course.timetable, course.overrides, clock=course.clock)
    assert course.seen[-1][1] == "50%"


@pytest.fixture
def governor() -> Governor:
    capacity = Throughput(provisioned_read=500.0, provisioned_write=1_000.0)
    return Governor(described_table(throughput=capacity), "rev", Budget())


def test_the_answer_to_the_operator(governor: Governor) -> None:
    """The new budget, its source, and the limit that applies at present."""
    verb = rate_verb("run-1", Overrides(governor.budget, apply_to(governor)), governor)
    assert verb({}) == {
        "run_id": "run-1",
        "by": "options",
        "set": "the budget of the options",
        "paused": False,
        "wcu": 800.0,
        "rcu": 400.0,
        "max_rate": None,
        "capacity": 1_000.0,
        "why": "80% of the table's provisioned capacity",
    }
    assert verb({"value": "300"})["wcu"] == 300.0
    paused = verb({"value": "PAUSE"})
    assert (paused["paused"], paused["wcu"], paused["why"]) == (True, 0.0, "paused by refire rate")
    assert verb({"value": "resume"})["wcu"] == 300.0
    assert verb({"value": " 50% "})["why"] == "50% of the table's provisioned capacity (refire rate)"
    assert verb({"value": "auto"})["by"] == "options"


def test_other_limit_sources_still_apply(governor: Governor) -> None:
    """The operator sets a budget; the limit of live traffic still applies, and the answer names it."""
    verb = rate_verb("run-1", Overrides(governor.budget, apply_to(governor)), governor)
    governor.limit("headroom", share=0.25, why="live traffic")
    answer = verb({"value": "400"})
    assert (answer["wcu"], answer["why"]) == (100.0, "live traffic")


@pytest.mark.parametrize("value", ["", "fast", "0", "101%", "3 000", 5, ["50%"], {}, "9" * 500, "-1"])
def test_an_invalid_rate_changes_nothing(governor: Governor, value: object) -> None:
    overrides = Overrides(governor.budget, apply_to(governor))
    with pytest.raises(RefusedVerbError) as caught:
        rate_verb("run-1", overrides, governor)({"value": value})
    assert len(str(caught.value)) < 200
    assert (overrides.override.by, governor.rate_limits.wcu) == ("options", 800.0)

"""Giving way to live traffic: CloudWatch is asked, answers are followed, and silence is not taken for peace."""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from refire_async.aws.other_services import UnansweredError
from refire_async.events import AdviceBack, AdviceMissing, BatchWritten, Event
from refire_async.model.capacity import TABLE, Consumed
from refire_async.model.keys import KeySchema
from refire_async.model.table import Index, Stream, Table, Throughput
from refire_async.pacing.governor import Governor
from refire_async.pacing.watchers.headroom import POLL_EVERY_S, STALE_S, Headroom
from refire_async.settings import Budget
from tests.support.virtual_time import VIRTUAL_TIME

MINUTE = 60.0
EPOCH = 1_800_000_000.0
Ask: type = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


class CloudWatch:
    """Stands for `Services`: `figures` by index ("" is the table) and minute; minutes of `late_s` are not out yet."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.figures: dict[str, dict[float, float]] = {}
        self.late_s = 60.0
        self.silent = ""
        self.status = "Complete"
        self.asked: list[dict[str, Any]] = []
        self._clock = clock

    @asynccontextmanager
    async def open(self, service: str, patience_s: float | None = None) -> AsyncIterator["CloudWatch"]:
        assert service == "cloudwatch"
        assert patience_s is not None
        if self.silent:
            raise UnansweredError(self.silent)
        yield self

    async def get_metric_data(self, **question: Any) -> dict[str, Any]:
        self.asked.append(question)
        return {
            "MetricDataResults": [self._result(query, question) for query in question["MetricDataQueries"]]
        }

    def _result(self, query: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
        metric = query["MetricStat"]["Metric"]
        dimensions = {entry["Name"]: entry["Value"] for entry in metric["Dimensions"]}
        assert (metric["Namespace"], metric["MetricName"]) == ("AWS/DynamoDB", "ConsumedWriteCapacityUnits")
        assert dimensions["TableName"] == "orders"
        begin, end = question["StartTime"].timestamp(), question["EndTime"].timestamp()
        found = {
            minute: units
            for minute, units in self.figures.get(dimensions.get("GlobalSecondaryIndexName", ""), {}).items()
            if begin <= minute < end and minute + MINUTE + self.late_s <= self._clock()
        }
        return {
            "Id": query["Id"],
            "StatusCode": self.status,
            "Timestamps": [dt.datetime.fromtimestamp(minute, dt.UTC) for minute in found],
            "Values": list(found.values()),
        }


class World:
    """A table of 1,000 WCU/s with a budget of 80%, kept by a headroom of 20%, and its live traffic."""

    def __init__(self, *indexes: Index) -> None:
        capacity = Throughput(provisioned_read=500.0, provisioned_write=1_000.0)
        keys, stream = KeySchema("pk", "S"), Stream(enabled=True)
        table = Table("orders", "arn", "id", "ACTIVE", keys, "PROVISIONED", capacity, indexes, stream, 0, 0)
        self.started = anyio.current_time()
        self.governor = Governor(table, "revision", Budget())
        self.cloudwatch = CloudWatch(self.clock)
        self.events: list[Event] = []
        self.headroom = Headroom(0.2, self.governor, self.cloudwatch, self.events.append, self.clock)  # type: ignore[arg-type]

    def clock(self) -> float:
        return EPOCH + anyio.current_time() - self.started

    def live(self, units_per_second: float, minutes: int, index: str = "") -> None:
        """Live traffic in the minutes around now; further calls add to it."""
        figures = self.cloudwatch.figures.setdefault(index, {})
        now = self.clock() // MINUTE * MINUTE
        for n in range(-16, minutes):
            minute = now + n * MINUTE
            figures[minute] = figures.get(minute, 0.0) + units_per_second * MINUTE

    async def write(self, rate: Callable[[], float]) -> None:
        """What the run itself writes: each second at `rate`, which shows in CloudWatch too."""
        while True:
            await anyio.sleep(1.0)
            units = rate()
            if units:
                figures = self.cloudwatch.figures.setdefault("", {})
                minute = self.clock() // MINUTE * MINUTE
                figures[minute] = figures.get(minute, 0.0) + units
                self.headroom.handle(BatchWritten(0, 1, units, 0.01, Consumed(units, {TABLE: units})))

    async def run(self, *tasks: Callable[[], Awaitable[None]], seconds: float) -> None:
        """The watcher and `tasks` for so long."""
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as group:
                group.start_soon(self.headroom.watch)
                for task in tasks:
                    group.start_soon(task)

    @property
    def wcu(self) -> float:
        return self.governor.rate_limits.wcu

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def test_nothing_is_written_before_the_first_look() -> None:
    """Whatever the operator says meanwhile."""
    world = World()
    assert world.governor.rate_limits.paused
    world.governor.set_budget(Budget(max_wcu=5.0))
    assert world.governor.rate_limits.paused


async def test_without_live_traffic_the_whole_budget_is_used() -> None:
    world = World()
    await world.run(seconds=1.0)
    assert world.wcu == 800.0
    assert not world.events


async def test_live_traffic_keeps_its_share_and_the_headroom() -> None:
    """300 of 1,000 are live, 200 stay free: 500 for the run. It says why."""
    world = World()
    world.live(300.0, 1)
    await world.run(seconds=1.0)
    assert world.wcu == pytest.approx(500.0)
    assert world.governor.rate_limits.why == "headroom of 20% and 300 WCU/s of live writes"


async def test_what_the_run_writes_is_not_taken_for_live_traffic() -> None:
    """For half an hour at the budget it has: the budget stays what it is."""
    world = World()
    world.live(300.0, 60)
    seen: list[float] = []

    async def look() -> None:
        while True:
            await anyio.sleep(10.0)
            seen.append(world.wcu)

    await world.run(lambda: world.write(lambda: world.wcu), look, seconds=1_800.0)
    assert min(seen) == pytest.approx(500.0, rel=0.02)
    assert max(seen) == pytest.approx(500.0, rel=0.02)


@pytest.mark.parametrize("late_s", [60.0, 120.0, 170.0])
async def test_more_traffic_is_given_way_to_as_soon_as_it_shows(late_s: float) -> None:
    """Within the minute, the delay of CloudWatch and half a minute; and back when it is gone for three minutes."""
    world = World()
    world.cloudwatch.late_s = late_s
    world.live(100.0, 60)

    async def rise_and_fall() -> None:
        await anyio.sleep(600.0)
        busy = world.clock() // MINUTE * MINUTE
        for n in range(5):
            world.cloudwatch.figures[""][busy + n * MINUTE] += 550 * MINUTE
        await anyio.sleep(MINUTE + late_s + POLL_EVERY_S + 1)
        assert world.wcu == pytest.approx(150.0, rel=0.02)
        await anyio.sleep(5 * MINUTE + 3 * MINUTE + late_s)
        assert world.wcu == pytest.approx(700.0, rel=0.02)

    await world.run(lambda: world.write(lambda: world.wcu), rise_and_fall, seconds=1_800.0)


async def test_a_table_that_is_full_pauses_the_run() -> None:
    """Until there is room again; while it rests, live traffic is what CloudWatch shows."""
    world = World()
    world.live(900.0, 1)
    await world.run(seconds=1.0)
    assert world.governor.rate_limits.paused
    await world.run(lambda: world.write(lambda: world.wcu), seconds=600.0)
    assert world.wcu == 800.0


async def test_an_index_that_carries_the_marker_has_live_traffic_of_its_own() -> None:
    """It is asked for by its own dimension, and the scarcest resource rules."""
    capacity = Throughput(provisioned_read=10.0, provisioned_write=1_000.0)
    carries = Index("by-day", "global", KeySchema("day", "S"), "ALL", throughput=capacity)
    free = Index("keys", "global", KeySchema("day", "S"), "KEYS_ONLY", throughput=capacity)
    world = World(carries, free)
    world.live(100.0, 1)
    world.live(600.0, 1, "by-day")
    await world.run(seconds=1.0)
    assert world.wcu == pytest.approx(200.0)
    assert world.governor.rate_limits.why.endswith("600 WCU/s of live writes to index by-day")
    (question,) = world.cloudwatch.asked
    assert len(question["MetricDataQueries"]) == 2
    consumed = Consumed(5.0, {TABLE: 3.0, "by-day": 1.0, "local": 1.0})
    world.headroom.handle(BatchWritten(0, 1, 5.0, 0.01, consumed))
    assert consumed.by_resource(["by-day"]) == {TABLE: 4.0, "by-day": 1.0}


async def test_another_budget_leaves_the_same_to_live_traffic() -> None:
    """The operator asks for everything: live traffic and headroom keep what they had."""
    world = World()
    world.live(300.0, 1)
    await world.run(seconds=1.0)
    world.governor.set_budget(Budget(wcu_percent=100.0))
    assert world.wcu == pytest.approx(500.0)
    world.governor.set_budget(Budget(max_wcu=400.0))
    assert world.wcu == 400.0


async def test_silence_is_said_once_and_not_taken_for_peace() -> None:
    """A quarter of what the headroom leaves. When answers come, they rule."""
    world = World()
    world.cloudwatch.silent = "cloudwatch refused to answer: AccessDenied"
    await world.run(seconds=1_000.0)
    assert world.wcu == pytest.approx(200.0)
    (missing,) = world.events
    assert isinstance(missing, AdviceMissing)
    assert missing.why == "cloudwatch refused to answer: AccessDenied"
    assert "25%" in missing.instead
    world.cloudwatch.silent = ""
    await world.run(seconds=1.0)
    assert world.wcu == 800.0
    assert world.events[1:] == [AdviceBack("headroom")]


async def test_a_short_silence_changes_nothing() -> None:
    """The last answer holds for five minutes."""
    world = World()
    world.live(300.0, 60)
    await world.run(seconds=1.0)
    world.cloudwatch.silent = "no"
    await world.run(seconds=STALE_S - POLL_EVERY_S)
    assert (world.wcu, world.events) == (pytest.approx(500.0), [])
    await world.run(seconds=2 * POLL_EVERY_S)
    assert world.wcu == pytest.approx(200.0)
    assert len(world.of(AdviceMissing)) == 1


async def test_figures_of_something_else_are_noticed() -> None:
    """The run writes and it does not show (another region, say): that is not peace either."""
    world = World()

    async def write_unseen() -> None:
        while True:
            await anyio.sleep(1.0)
            world.headroom.handle(BatchWritten(0, 1, 100.0, 0.01))

    await world.run(write_unseen, seconds=600.0)
    assert world.wcu == pytest.approx(200.0)
    assert [event.why for event in world.of(AdviceMissing)] == [
        "cloudwatch does not show what this run has written"
    ]


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
async def test_half_an_answer_is_none(status: str) -> None:
    world = World()
    world.cloudwatch.status = status
    await world.run(seconds=1.0)
    assert world.wcu == pytest.approx(200.0)
    assert status in world.of(AdviceMissing)[0].why

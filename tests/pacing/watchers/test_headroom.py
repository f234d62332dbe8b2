"""The headroom for live traffic: CloudWatch is queried, and missing metrics do not count as no traffic."""

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
from refire_async.model.table import Index, Throughput
from refire_async.pacing.governor import Governor
from refire_async.pacing.watchers.headroom import POLL_EVERY_S, STALE_S, Headroom
from refire_async.settings import Budget
from tests.support.table_descriptions import described_table
from tests.support.virtual_time import VIRTUAL_TIME

MINUTE = 60.0
EPOCH = 1_800_000_000.0
Ask: type = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


class CloudWatch:
    """A fake of `Services`: `figures` by index ("" is the table) and minute, published `late_s` after the minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.figures: dict[str, dict[float, float]] = {}
        self.late_s = 60.0
        self.silent = ""
        self.status = "Complete"
        self.asked: list[dict[str, Any]] = []
        self._clock = clock

    @asynccontextmanager
    async def open(self, service: str, timeout_s: float | None = None) -> AsyncIterator["CloudWatch"]:
        assert service == "cloudwatch"
        assert timeout_s is not None
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


class Harness:
    """A table of 1,000 WCU/s with a budget of 80%, a headroom of 20%, and live traffic."""

    def __init__(self, *indexes: Index) -> None:
        capacity = Throughput(provisioned_read=500.0, provisioned_write=1_000.0)
        table = described_table(throughput=capacity, indexes=indexes)
        self.started = anyio.current_time()
        self.governor = Governor(table, "revision", Budget())
        self.cloudwatch = CloudWatch(self.clock)
        self.events: list[Event] = []
        self.headroom = Headroom(0.2, self.governor, self.cloudwatch, self.events.append, self.clock)  # type: ignore[arg-type]

    def clock(self) -> float:
        return EPOCH + anyio.current_time() - self.started

    def live(self, units_per_second: float, minutes: int, index: str = "") -> None:
        """Add live traffic in the minutes around now."""
        figures = self.cloudwatch.figures.setdefault(index, {})
        now = self.clock() // MINUTE * MINUTE
        for n in range(-16, minutes):
            minute = now + n * MINUTE
            figures[minute] = figures.get(minute, 0.0) + units_per_second * MINUTE

    async def write(self, rate: Callable[[], float]) -> None:
        """The run's own writes: every second at `rate`. CloudWatch shows them too."""
        while True:
            await anyio.sleep(1.0)
            units = rate()
            if units:
                figures = self.cloudwatch.figures.setdefault("", {})
                minute = self.clock() // MINUTE * MINUTE
                figures[minute] = figures.get(minute, 0.0) + units
                self.headroom.handle(BatchWritten(0, 1, units, 0.01, Consumed(units, {TABLE: units})))

    async def run(self, *tasks: Callable[[], Awaitable[None]], seconds: float) -> None:
        """Run the watcher and `tasks` for `seconds`."""
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


async def test_nothing_is_written_before_the_first_poll() -> None:
    """Even if the operator sets a budget meanwhile."""
    harness = Harness()
    assert harness.governor.rate_limits.paused
    harness.governor.set_budget(Budget(max_wcu=5.0))
    assert harness.governor.rate_limits.paused


async def test_without_live_traffic_the_whole_budget_is_used() -> None:
    harness = Harness()
    await harness.run(seconds=1.0)
    assert harness.wcu == 800.0
    assert not harness.events


async def test_live_traffic_keeps_its_share_and_the_headroom() -> None:
    """300 of 1,000 are live, 200 stay free: 500 for the run. The limit names the reason."""
    harness = Harness()
    harness.live(300.0, 1)
    await harness.run(seconds=1.0)
    assert harness.wcu == pytest.approx(500.0)
    assert harness.governor.rate_limits.why == "headroom of 20% and 300 WCU/s of live writes"


async def test_the_runs_own_writes_do_not_count_as_live_traffic() -> None:
    """The budget stays constant for half an hour at full use."""
    harness = Harness()
    harness.live(300.0, 60)
    seen: list[float] = []

    async def record() -> None:
        while True:
            await anyio.sleep(10.0)
            seen.append(harness.wcu)

    await harness.run(lambda: harness.write(lambda: harness.wcu), record, seconds=1_800.0)
    assert min(seen) == pytest.approx(500.0, rel=0.02)
    assert max(seen) == pytest.approx(500.0, rel=0.02)


@pytest.mark.parametrize("late_s", [60.0, 120.0, 170.0])
async def test_the_run_reacts_to_more_traffic_as_soon_as_it_shows(late_s: float) -> None:
    """Within a minute, the delay of CloudWatch and half a minute. It recovers three minutes after the traffic."""
    harness = Harness()
    harness.cloudwatch.late_s = late_s
    harness.live(100.0, 60)

    async def rise_and_fall() -> None:
        await anyio.sleep(600.0)
        busy = harness.clock() // MINUTE * MINUTE
        for n in range(5):
            harness.cloudwatch.figures[""][busy + n * MINUTE] += 550 * MINUTE
        await anyio.sleep(MINUTE + late_s + POLL_EVERY_S + 1)
        assert harness.wcu == pytest.approx(150.0, rel=0.02)
        await anyio.sleep(5 * MINUTE + 3 * MINUTE + late_s)
        assert harness.wcu == pytest.approx(700.0, rel=0.02)

    await harness.run(lambda: harness.write(lambda: harness.wcu), rise_and_fall, seconds=1_800.0)


async def test_a_table_without_spare_capacity_pauses_the_run() -> None:
    """Until capacity is free again. During the pause CloudWatch shows only live traffic."""
    harness = Harness()
    harness.live(900.0, 1)
    await harness.run(seconds=1.0)
    assert harness.governor.rate_limits.paused
    await harness.run(lambda: harness.write(lambda: harness.wcu), seconds=600.0)
    assert harness.wcu == 800.0


async def test_an_index_that_projects_the_marker_has_live_traffic_of_its_own() -> None:
    """It has its own dimension in CloudWatch, and the scarcest resource limits the run."""
    capacity = Throughput(provisioned_read=10.0, provisioned_write=1_000.0)
    carries = Index("by-day", "global", KeySchema("day", "S"), "ALL", throughput=capacity)
    free = Index("keys", "global", KeySchema("day", "S"), "KEYS_ONLY", throughput=capacity)
    harness = Harness(carries, free)
    harness.live(100.0, 1)
    harness.live(600.0, 1, "by-day")
    await harness.run(seconds=1.0)
    assert harness.wcu == pytest.approx(200.0)
    assert harness.governor.rate_limits.why.endswith("600 WCU/s of live writes to index by-day")
    (question,) = harness.cloudwatch.asked
    assert len(question["MetricDataQueries"]) == 2
    consumed = Consumed(5.0, {TABLE: 3.0, "by-day": 1.0, "local": 1.0})
    harness.headroom.handle(BatchWritten(0, 1, 5.0, 0.01, consumed))
    assert consumed.by_resource(["by-day"]) == {TABLE: 4.0, "by-day": 1.0}


async def test_another_budget_leaves_the_same_to_live_traffic() -> None:
    """The operator sets 100%: live traffic and headroom keep their capacity."""
    harness = Harness()
    harness.live(300.0, 1)
    await harness.run(seconds=1.0)
    harness.governor.set_budget(Budget(wcu_percent=100.0))
    assert harness.wcu == pytest.approx(500.0)
    harness.governor.set_budget(Budget(max_wcu=400.0))
    assert harness.wcu == 400.0


async def test_missing_metrics_are_reported_once_and_do_not_count_as_no_traffic() -> None:
    """The run uses a quarter of the capacity outside the headroom until metrics arrive."""
    harness = Harness()
    harness.cloudwatch.silent = "cloudwatch refused to answer: AccessDenied"
    await harness.run(seconds=1_000.0)
    assert harness.wcu == pytest.approx(200.0)
    (missing,) = harness.events
    assert isinstance(missing, AdviceMissing)
    assert missing.why == "cloudwatch refused to answer: AccessDenied"
    assert "25%" in missing.instead
    harness.cloudwatch.silent = ""
    await harness.run(seconds=1.0)
    assert harness.wcu == 800.0
    assert harness.events[1:] == [AdviceBack("headroom")]


async def test_a_short_gap_in_the_metrics_changes_nothing() -> None:
    """The last answer applies for five minutes."""
    harness = Harness()
    harness.live(300.0, 60)
    await harness.run(seconds=1.0)
    harness.cloudwatch.silent = "no"
    await harness.run(seconds=STALE_S - POLL_EVERY_S)
    assert (harness.wcu, harness.events) == (pytest.approx(500.0), [])
    await harness.run(seconds=2 * POLL_EVERY_S)
    assert harness.wcu == pytest.approx(200.0)
    assert len(harness.of(AdviceMissing)) == 1


async def test_metrics_of_another_resource_are_detected() -> None:
    """The run's own writes do not show, for example because the metrics are of another region."""
    harness = Harness()

    async def write_unseen() -> None:
        while True:
            await anyio.sleep(1.0)
            harness.headroom.handle(BatchWritten(0, 1, 100.0, 0.01))

    await harness.run(write_unseen, seconds=600.0)
    assert harness.wcu == pytest.approx(200.0)
    assert [event.why for event in harness.of(AdviceMissing)] == [
        "cloudwatch does not show what this run has written"
    ]


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
async def test_a_partial_answer_counts_as_none(status: str) -> None:
    harness = Harness()
    harness.cloudwatch.status = status
    await harness.run(seconds=1.0)
    assert harness.wcu == pytest.approx(200.0)
    assert status in harness.of(AdviceMissing)[0].why

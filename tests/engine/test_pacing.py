"""Budgets end to end: the engine against the sandbox's own model of capacity, on one virtual clock.

The sandbox counts what it has accepted and refused by itself; it knows nothing of the engine's budgets.
"""

from typing import Any

import anyio
import orjson
import pytest

from refire_async.aws.types import Request, Response
from refire_async.errors import ExitCode
from refire_async.events import BudgetChanged, RateChanged, RunStarted
from refire_async.model.stop import StopRequest
from refire_async.settings import Budget, Tuning
from tests.engine.conftest import Runs, Service
from tests.support.inprocess_server import WRITES, InProcess, table_spec


def provisioned(write: int, read: int = 5_000, **more: Any) -> dict[str, Any]:
    throughput = {"ReadCapacityUnits": read, "WriteCapacityUnits": write}
    return table_spec(BillingMode="PROVISIONED", ProvisionedThroughput=throughput, **more)


def generated(count: int, size: int | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = {"Count": count, "HashPrefix": "k"}
    return {"Generate": spec if size is None else {**spec, "ItemBytes": size}}


class Meter:
    """Counts sent statements by time, to find the maximum in any window of a second."""

    def __init__(self, db: InProcess) -> None:
        self.sent: list[tuple[float, int]] = []
        db.watch = self._count

    def _count(self, operation: str, request: dict[str, Any]) -> None:
        if operation in WRITES:
            self.sent.append((anyio.current_time(), len(request.get("Statements", [0]))))

    def highest(self) -> int:
        return max(
            sum(items for at, items in self.sent[first:] if at < begin + 1.0)
            for first, (begin, _) in enumerate(self.sent)
        )

    def seconds(self) -> float:
        return self.sent[-1][0] - self.sent[0][0]


@pytest.mark.parametrize("wcu", [100, 1_000])
async def test_the_run_uses_exactly_its_budget(service: Service, runs: Runs, wcu: int):
    """Capacity equals the budget, without burst capacity, so buckets begin empty: 97% used, few throttled writes."""
    items = wcu * 12
    db = service(provisioned(wcu, **generated(items)), burst_seconds=0.0)
    meter = Meter(db)
    result = await runs.run(budget=Budget(wcu_percent=100.0))
    assert (result.exit_code, result.summary.counts.touched) == (ExitCode.COMPLETE, items)
    assert meter.highest() <= wcu * 1.1
    assert items / meter.seconds() >= wcu * 0.97
    assert result.summary.throttled <= items * 0.01


async def test_a_share_of_the_capacity_leaves_the_rest_free(service: Service, runs: Runs):
    db = service(provisioned(500, **generated(2_000)), burst_seconds=0.0)
    meter = Meter(db)
    result = await runs.run()  # 80%
    assert meter.highest() <= 440
    assert 2_000 / meter.seconds() >= 400 * 0.97
    assert result.summary.throttled <= 10


async def test_large_items_are_charged_in_full(service: Service, runs: Runs):
    """8 KB each: nine units with the marker. The budget learns the price from the first replies."""
    db = service(provisioned(900, read=50_000, **generated(1_000, 8_300)), burst_seconds=0.0)
    meter = Meter(db)
    result = await runs.run(budget=Budget(wcu_percent=100.0))
    assert result.summary.wcu == 9_000.0
    assert meter.highest() * 9 <= 900 * 1.1
    assert 9_000 / meter.seconds() >= 900 * 0.95
    assert result.summary.throttled <= 20


async def test_the_scarcest_index_limits_the_run(service: Service, runs: Runs):
    """It projects the marker and has a quarter of the table's capacity: the run reaches that rate and reports it."""
    index = {
        "IndexName": "small",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        "ProvisionedThroughput": {"ReadCapacityUnits": 10, "WriteCapacityUnits": 250},
    }
    db = service(provisioned(1_000, GlobalSecondaryIndexes=[index], **generated(2_000)), burst_seconds=0.0)
    meter = Meter(db)
    result = await runs.run(budget=Budget(wcu_percent=100.0))
    assert runs.of(RunStarted)[0].bound_by == "index small"
    assert result.summary.counts.touched == 2_000
    assert meter.highest() <= 275
    assert result.summary.throttled <= 20
    assert result.summary.wcu == 4_000.0


async def test_items_per_second_for_a_slow_consumer(service: Service, runs: Runs):
    db = service(provisioned(10_000, **generated(400)))
    meter = Meter(db)
    await runs.run(budget=Budget(max_rate=50.0))
    assert meter.highest() <= 55
    assert 400 / meter.seconds() >= 50 * 0.95


async def test_reduced_capacity_slows_the_run_without_a_failed_item(service: Service, runs: Runs):
    """Capacity is halved during the run: it is throttled for a while and slower, but complete."""
    db = service(provisioned(1_000, **generated(10_000)), burst_seconds=0.0)
    meter = Meter(db)
    async with anyio.create_task_group() as tasks:

        async def halve() -> None:
            await anyio.sleep(3.0)
            half = {"ReadCapacityUnits": 5_000, "WriteCapacityUnits": 500}
            db("UpdateTable", TableName="orders", ProvisionedThroughput=half)

        tasks.start_soon(halve)
        result = await runs.run(budget=Budget(wcu_percent=100.0))
    assert (result.exit_code, result.summary.counts.touched) == (ExitCode.COMPLETE, 10_000)
    assert any(event.wcu < event.ceiling for event in runs.of(RateChanged))
    # 3 s at 1,000 and the rest at 500, most of that used, with few throttled writes.
    assert meter.seconds() <= 3.0 + 7_000 / 500 / 0.75
    assert result.summary.throttled <= 700
    assert meter.highest() <= 1_100
    assert set(db.fired("orders").values()) == {1}


async def test_the_run_follows_restored_capacity_within_a_minute(service: Service, runs: Runs):
    """Down within seconds by throttling and a description, up again by the next description: no item fails."""
    db = service(provisioned(400, **generated(20_000)), burst_seconds=0.0)
    meter = Meter(db)
    async with anyio.create_task_group() as tasks:

        async def change() -> None:
            for wait, write in ((5.0, 200), (30.0, 400)):
                await anyio.sleep(wait)
                throughput = {"ReadCapacityUnits": 5_000, "WriteCapacityUnits": write}
                db("UpdateTable", TableName="orders", ProvisionedThroughput=throughput)

        tasks.start_soon(change)
        begin = anyio.current_time()
        result = await runs.run(budget=Budget(wcu_percent=100.0))
    assert (result.exit_code, result.summary.counts.touched) == (ExitCode.COMPLETE, 20_000)
    assert result.summary.throttled <= 20_000 * 0.02
    assert [event.wcu for event in runs.of(BudgetChanged)] == [200.0, 400.0]

    def rate(since: float, until: float) -> float:
        return sum(n for at, n in meter.sent if since <= at - begin < until) / (until - since)

    assert rate(10.0, 35.0) == pytest.approx(200.0, rel=0.05)
    assert rate(60.0, 66.0) == pytest.approx(400.0, rel=0.05)


async def test_the_run_follows_the_growth_of_an_on_demand_table(service: Service, runs: Runs):
    """From 4,000 on, with a table that adapts to a peak after 3 s instead of 30 min: few throttled writes."""
    items = 100_000
    db = service(table_spec(**generated(items)), growth_after=3.0)
    begin = anyio.current_time()
    result = await runs.run()
    assert (result.exit_code, result.summary.counts.touched) == (ExitCode.COMPLETE, items)
    assert result.summary.throttled <= items * 0.02
    changes = [event.wcu for event in runs.of(BudgetChanged)]
    assert changes == sorted(changes)
    assert changes[0] > 3_200.0
    assert anyio.current_time() - begin < items / 3_200 - 1.0
    assert set(db.fired("orders").values()) == {1}


async def test_the_first_event_states_the_budget_and_its_reason(service: Service, runs: Runs):
    service(provisioned(500, **generated(10)))
    await runs.run()
    (begun,) = runs.of(RunStarted)
    assert begun.budget == "400 WCU/s: 80% of the table's provisioned capacity (500 WCU/s)"


async def test_a_read_budget_limits_reads(service: Service, runs: Runs):
    """1,000 items of 1 KB are 125 units: at 25 units/s they take five seconds."""
    service(provisioned(10_000, **generated(1_000, 1_024)))
    begin = anyio.current_time()
    result = await runs.run(budget=Budget(max_rcu=25.0))
    assert anyio.current_time() - begin == pytest.approx(5.0, rel=0.25)
    assert result.summary.rcu <= 125 * 1.25


async def test_a_stop_takes_effect_at_once_with_any_budget(service: Service, runs: Runs):
    service(provisioned(1, **generated(50)), burst_seconds=0.0)
    stop = StopRequest()
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            await anyio.sleep(7.0)
            stop.request("interrupted")

        tasks.start_soon(ask)
        begin = anyio.current_time()
        result = await runs.run(stop, tuning=Tuning(workers=8))
    assert anyio.current_time() - begin < 7.2
    assert 1 <= result.summary.counts.touched <= 8


async def test_lanes_that_are_read_first_do_not_exhaust_their_partitions(
    service: Service, runs: Runs, monkeypatch: pytest.MonkeyPatch
):
    """Each segment returns its first page later than the one before.

    The first lanes would get the whole budget and reach the limits of their partitions, which looks like a table
    without capacity. No write is throttled, no time is lost.
    """
    db = service(provisioned(8_000, read=20_000, **generated(16_000, 1_000)), burst_seconds=0.0)
    transport, seen = db._transport, set[int]()

    async def late(request: Request) -> Response:
        if request.operation == "Scan" and (segment := orjson.loads(request.body)["Segment"]) not in seen:
            seen.add(segment)
            await anyio.sleep(0.1 * len(seen))
        return await transport(request)

    monkeypatch.setattr(db, "_transport", late)
    meter = Meter(db)
    await anyio.sleep(1.5)  # the buckets fill
    result = await runs.run(budget=Budget(wcu_percent=100.0))
    assert result.summary.counts.touched == 16_000
    assert result.summary.throttled == 0
    assert runs.of(RateChanged) == []
    assert meter.seconds() <= 2.3

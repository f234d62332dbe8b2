"""A run with a bound for the age, against the sandbox's stream and a consumer with a given rate."""

import time
from typing import Any

import anyio
import pytest

from benchmarks.consumer.function import StreamConsumer
from refire_async.errors import ExitCode, RefusedError
from refire_async.events import ConsumerSeen, Paused
from refire_async.settings import Budget, PacingSettings
from tests.engine.conftest import Runs, Service
from tests.support.inprocess_server import InProcess, LoopClock, table_spec
from tests.support.lambda_functions import Function, Lambdas


@pytest.fixture
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's clock follows the sandbox's."""
    monkeypatch.setattr(time, "time", LoopClock().time)


def one_shard(items: int, write: int) -> dict[str, Any]:
    throughput = {"ReadCapacityUnits": 1_000, "WriteCapacityUnits": write}
    return table_spec(
        BillingMode="PROVISIONED",
        ProvisionedThroughput=throughput,
        Generate={"Count": items, "HashPrefix": "k"},
    )


def steady_consumer(service: Service, items: int, rate: float) -> tuple[InProcess, StreamConsumer]:
    """A table that allows 600 records/s, and a function with `rate` records/s and metrics that are 75 s late."""
    db = service(one_shard(items, 750))
    function = Function(lag_s=75.0)
    db.services = Lambdas(time.time, orders=function)  # type: ignore[assignment]
    return db, StreamConsumer(db, function, lambda _: rate)


@pytest.mark.soak  # the control loop alone: tests/pacing/test_consumer.py
@pytest.mark.usefixtures("virtual_clock")
async def test_the_age_stays_below_the_bound_and_the_consumer_is_busy(service: Service, runs: Runs):
    """A table that allows 600 records/s, a consumer with 40 records/s, metrics that are minutes old.

    The run does not know the rate of the consumer.
    """
    items, rate = 20_000, 40.0
    db, consumer = steady_consumer(service, items, rate)
    begun = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(consumer.run)
        result = await runs.run(pacing=PacingSettings(max_iterator_age_s=30.0))
        ended = anyio.current_time()
        tasks.cancel_scope.cancel()
    assert (result.exit_code, result.summary.counts.touched) == (ExitCode.COMPLETE, items)
    assert set(db.fired("orders").values()) == {1}
    assert consumer.oldest_s < 30.0
    assert consumer.busy_share(begun + 240.0, ended) > 0.95
    assert consumer.busy_share(begun, ended) > 0.75
    assert ended - begun < items / rate * 1.25
    assert runs.of(ConsumerSeen)[-1].rate == pytest.approx(rate, rel=0.1)


@pytest.mark.usefixtures("virtual_clock")
async def test_a_known_consumer_rate_keeps_the_consumer_busy_from_the_start(service: Service, runs: Runs):
    """Before the first data point can arrive, and for any history."""
    items, rate = 2_000, 40.0
    db, consumer = steady_consumer(service, items, rate)
    begun = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(consumer.run)
        await runs.run(pacing=PacingSettings(max_iterator_age_s=30.0, consumer_rate=rate))
        ended = anyio.current_time()
        tasks.cancel_scope.cancel()
    assert consumer.oldest_s < 30.0
    assert consumer.busy_share(begun, ended) > 0.95
    assert len(db.fired("orders")) == items


@pytest.mark.usefixtures("virtual_clock")
async def test_a_consumer_that_fails_too_often_stops_the_run_which_can_be_resumed(
    service: Service, runs: Runs
):
    items = 3_000
    db = service(one_shard(items, 200))
    function = Function(0.0)
    db.services = Lambdas(time.time, orders=function)  # type: ignore[assignment]
    function.metrics["Errors"].add(1.0, time.time())
    pacing = PacingSettings(max_consumer_errors=0)
    result = await runs.run(budget=Budget(max_rate=100.0), pacing=pacing)
    assert (result.exit_code, result.reason) == (
        ExitCode.STOPPED,
        "consumer orders has failed more than 0 times (1); fix the function, then run 'refire resume'",
    )
    await anyio.sleep(120.0)
    result = await runs.resume(pacing=pacing)
    assert result.exit_code is ExitCode.COMPLETE
    assert set(db.fired("orders").values()) == {1}
    assert len(db.fired("orders")) == items


@pytest.mark.usefixtures("virtual_clock")
async def test_the_run_waits_for_a_consumer_that_is_behind(service: Service, runs: Runs):
    """It is ten minutes behind with live events; when it has caught up, the run begins."""
    db = service(one_shard(100, 200))
    function = Function(0.0)
    db.services = Lambdas(time.time, orders=function)  # type: ignore[assignment]
    begun = anyio.current_time()

    async def catch_up() -> None:
        while (age := 600.0 - 2.0 * (anyio.current_time() - begun)) > 0:
            function.metrics["IteratorAge"].add(age, time.time())
            await anyio.sleep(1.0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(catch_up)
        tasks.start_soon(StreamConsumer(db, function, lambda _: 100.0).run)
        await anyio.sleep(0.1)
        with anyio.fail_after(3_600.0):
            result = await runs.run(pacing=PacingSettings(max_iterator_age_s=60.0))
        tasks.cancel_scope.cancel()
    assert result.exit_code is ExitCode.COMPLETE
    assert anyio.current_time() - begun > 250.0
    assert runs.of(Paused)[-1].why == "waiting for consumer orders"


@pytest.mark.usefixtures("virtual_clock")
async def test_run_and_resume_are_refused_if_consumers_cannot_be_monitored(service: Service, runs: Runs):
    db = service(one_shard(100, 100))
    pacing = PacingSettings(max_iterator_age_s=300.0)
    with pytest.raises(RefusedError, match="cannot monitor the consumers: lambda was not asked"):
        await runs.run(pacing=pacing)
    assert not runs.checkpoint.exists()
    assert db.fired("orders") == {}
    assert (await runs.run(max_items=10)).exit_code is ExitCode.STOPPED
    with pytest.raises(RefusedError, match="or run without --max-iterator-age"):
        await runs.resume(pacing=pacing)
    result = await runs.run(pacing=pacing, dry_run=True, checkpoint=None)
    assert result.summary.status == "dry-run"

"""Events during a long run: outages, updates of the table, clock changes. In virtual time."""

import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from refire_async.aws.transport_errors import failure
from refire_async.errors import ExitCode
from refire_async.events import Recovered, Waiting
from refire_async.model.counts import Counts
from refire_async.sandbox.errors import ServiceError
from refire_async.settings import Budget, Tuning
from tests.engine.conftest import Runs, Service
from tests.engine.test_run import once, orders
from tests.support.inprocess_server import EPOCH, table_spec


def between(start_s: float, end_s: float, fail: Callable[[], Exception]) -> Callable[[str, Any], None]:
    """Every call fails from `start_s` to `end_s` seconds after now."""
    begin = anyio.current_time()

    def watch(_operation: str, _request: Any) -> None:
        if begin + start_s <= anyio.current_time() < begin + end_s:
            raise fail()

    return watch


OUTAGES: dict[str, Callable[[], Exception]] = {
    "no address": lambda: failure("ConnectError", "dynamodb.example", "Name or service not known"),
    "no answer": lambda: failure("Timeout", "dynamodb.example"),
    "proxy down": lambda: failure("ProxyError", "dynamodb.example", "HTTP 502"),
    "service down": lambda: ServiceError("InternalServerError", "", status=500),
    "table in use": lambda: ServiceError("ResourceInUseException", "being updated"),
    "limit exceeded": lambda: ServiceError("LimitExceededException", "too many control plane operations"),
}


@pytest.mark.parametrize("kind", OUTAGES)
async def test_two_minutes_without_the_service(service: Service, runs: Runs, kind: str):
    """The run waits, reports the outage after 5 s and then every 30 s, reports its end, and continues."""
    db = service(table_spec())
    db.fill("orders", orders(300))
    db.watch = between(1.0, 121.0, OUTAGES[kind])
    result = await runs.run(budget=Budget(max_rate=100))
    assert (result.exit_code, result.reason) == (ExitCode.COMPLETE, None)
    assert result.summary.counts == Counts(scanned=300, touched=300)
    assert db.fired("orders") == once(300)
    waits = runs.of(Waiting)
    assert 3 <= len(waits) <= 6
    assert 5 <= waits[0].since_s < 30
    assert waits[-1].since_s > 60
    (over,) = runs.of(Recovered)
    assert 90 < over.after_s <= 125
    assert result.summary.seconds < 160, "it continued soon after the outage"


@pytest.mark.parametrize("limit_s", [10.0, 120.0])
async def test_the_run_stops_after_give_up_after(service: Service, runs: Runs, limit_s: float):
    """After --give-up-after the run stops with exit code 3; when the service works again it can be resumed."""
    db = service(table_spec())
    db.fill("orders", orders(300))
    begun = anyio.current_time()
    db.watch = between(1.0, 1e9, OUTAGES["no address"])
    stopped = await runs.run(budget=Budget(max_rate=100), tuning=Tuning(give_up_after_s=limit_s))
    assert (stopped.exit_code, stopped.summary.status) == (ExitCode.STOPPED, "stopped")
    assert "cannot connect to dynamodb.example (Name or service not known)" in str(stopped.reason)
    # One more wait of at most 20 s may begin before the limit.
    assert limit_s <= anyio.current_time() - begun <= limit_s + 30
    assert 0 < stopped.summary.counts.touched < 300
    assert stopped.summary.counts.failed == 0
    db.watch = None
    resumed = await runs.resume()
    assert resumed.exit_code is ExitCode.COMPLETE
    assert db.fired("orders") == once(300)


async def test_repeated_short_failures_are_not_an_outage(service: Service, runs: Runs):
    """The limit applies to one period without any success: failures of an hour do not add up."""
    db = service(table_spec())
    db.fill("orders", orders(200))
    begun = anyio.current_time()

    def watch(_operation: str, _request: Any) -> None:
        if (anyio.current_time() - begun) % 60 < 50:
            raise failure("ConnectError", "dynamodb.example", "Name or service not known")

    db.watch = watch
    result = await runs.run(budget=Budget(max_rate=1), tuning=Tuning(give_up_after_s=240.0))
    assert result.exit_code is ExitCode.COMPLETE
    assert result.summary.seconds > 600
    assert db.fired("orders") == once(200)


@pytest.mark.parametrize("jump_s", [86_400.0, -86_400.0, 30 * 365 * 86_400.0])
async def test_a_change_of_the_wall_clock_has_no_effect(
    service: Service, runs: Runs, monkeypatch: pytest.MonkeyPatch, jump_s: float
):
    """Delays, pacing and outages use a monotonic clock."""
    db = service(table_spec())
    db.fill("orders", orders(300))
    begun = anyio.current_time()

    def jumping() -> float:
        elapsed = anyio.current_time() - begun
        return EPOCH + elapsed + (jump_s if elapsed > 1.5 else 0.0)

    monkeypatch.setattr(time, "time", jumping)
    db.watch = between(1.0, 8.0, OUTAGES["no address"])
    result = await runs.run(budget=Budget(max_rate=50), tuning=Tuning(give_up_after_s=60.0))
    assert result.exit_code is ExitCode.COMPLETE
    assert 6 < result.summary.seconds < 45
    assert db.fired("orders") == once(300)


async def test_a_table_that_is_being_updated(service: Service, runs: Runs, monkeypatch: pytest.MonkeyPatch):
    """A table with status UPDATING can be read and written: a run begins, continues and ends as usual."""
    db = service(table_spec())
    db.fill("orders", orders(300))
    described = db.__call__

    def updating(operation: str, **request: Any) -> Any:
        answer = described(operation, **request)
        if operation == "DescribeTable":
            answer["Table"]["TableStatus"] = "UPDATING"
        return answer

    monkeypatch.setattr(
        type(db), "__call__", lambda _self, operation, **request: updating(operation, **request)
    )
    stopped = await runs.run(max_items=100)
    assert stopped.exit_code is ExitCode.STOPPED
    assert (await runs.resume()).exit_code is ExitCode.COMPLETE
    monkeypatch.undo()
    assert db.fired("orders") == once(300)

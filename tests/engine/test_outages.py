"""After an outage a run continues at its budget: every delay ends. In virtual time."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from refire_async.aws.transport_errors import failure
from refire_async.errors import ExitCode
from refire_async.pacing.outage import MAX_ATTEMPTS, PROBE_S, Outage
from refire_async.sandbox.errors import ServiceError
from refire_async.settings import Budget, SelectionSettings, Tuning
from tests.engine.conftest import Runs, Service
from tests.engine.test_run import once, orders
from tests.engine.test_selection import index
from tests.support.examples import thinned
from tests.support.inprocess_server import table_spec

RATE = 500
ITEMS = 3_000
FEWER = 1_500
BEGINS_S = 3.0

PROBED_S = 1.5
"""Longest time (s) until the run detects that the service works again."""

Watch = Callable[[str, Any], None]


def outage(lasts_s: float, fail: Callable[[], Exception], *operations: str) -> Watch:
    """All calls (of `operations`) fail from `BEGINS_S` on, for `lasts_s` seconds."""
    begin = anyio.current_time() + BEGINS_S

    def watch(operation: str, _request: Any) -> None:
        if begin <= anyio.current_time() < begin + lasts_s and (not operations or operation in operations):
            raise fail()

    return watch


def unreachable() -> Exception:
    return failure("ConnectError", "dynamodb.example", "Name or service not known")


def throttled() -> Exception:
    return ServiceError("ProvisionedThroughputExceededException", "slow down")


def throttled_for_capacity() -> Exception:
    """With the reason that newer services name: the capacity of the table."""
    arn = "arn:aws:dynamodb:eu-west-1:1:table/orders"
    reason = {"reason": "TableWriteProvisionedThroughputExceeded", "resource": arn}
    return ServiceError("ThrottlingException", "slow down", extra={"throttlingReasons": [reason]})


@pytest.mark.parametrize("lasts_s", [6.0, 15.0, 60.0])
@pytest.mark.parametrize("segments", [1, 8, 64])
async def test_the_first_success_ends_all_delays(service: Service, runs: Runs, lasts_s: float, segments: int):
    """For any number of lanes and batches, and any length of the outage."""
    db = service(table_spec())
    db.fill("orders", orders(ITEMS))
    db.watch = outage(lasts_s, unreachable)
    result = await runs.run(budget=Budget(max_rate=RATE), tuning=Tuning(segments=segments))
    assert result.exit_code is ExitCode.COMPLETE
    assert db.fired("orders") == once(ITEMS)
    assert result.summary.seconds < ITEMS / RATE + lasts_s + PROBED_S


@pytest.mark.parametrize("lasts_s", [6.0, 15.0])
async def test_after_an_outage_the_run_stays_within_its_budget(service: Service, runs: Runs, lasts_s: float):
    """Waiting batches are not written faster than the budget allows."""
    db = service(table_spec())
    db.fill("orders", orders(ITEMS))
    down, written = outage(lasts_s, unreachable), []

    def watch(operation: str, request: Any) -> None:
        down(operation, request)
        if operation == "BatchExecuteStatement":
            written.append((anyio.current_time(), len(request["Statements"])))

    db.watch = watch
    await runs.run(budget=Budget(max_rate=RATE))
    for start, _ in written:
        within = sum(items for moment, items in written if start <= moment < start + 1.0)
        assert within <= RATE * 1.1 + 25


@pytest.mark.parametrize("operation", ["Scan", "Query", "BatchGetItem"])
async def test_readers_and_look_ups_continue_too(service: Service, runs: Runs, operation: str):
    """A run that has nothing to write, because its reads or its look-ups fail."""
    gsi = index("by-day", projection="KEYS_ONLY")
    db = service(
        table_spec(
            GlobalSecondaryIndexes=[gsi],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "day")],
        )
    )
    days = [f"d{n}" for n in range(10)]
    db.fill("orders", [{**item, "day": {"S": days[n % 10]}} for n, item in enumerate(orders(FEWER))])
    choices = {
        "Scan": SelectionSettings(),
        "Query": SelectionSettings(index="by-day", key_values=tuple(days)),
    }
    db.watch = outage(15.0, unreachable, operation)
    budget = Budget(max_rate=RATE, max_rcu=3 if operation == "Scan" else 40)
    selection = choices.get(operation, SelectionSettings(index="by-day"))
    result = await runs.run(selection=selection, budget=budget)
    assert db.fired("orders") == once(FEWER)
    alone = await Runs(runs.checkpoint.with_name("again.refire")).run(selection=selection, budget=budget)
    assert alone.summary.seconds > BEGINS_S, "the outage fell into the time of these calls"
    assert result.summary.seconds < alone.summary.seconds + 15.0 + PROBED_S


@pytest.mark.parametrize("lasts_s", [2.0, 10.0, 60.0])
@pytest.mark.parametrize("segments", thinned({"1": 1, "8": 8, "64": 64}, "8"))
@pytest.mark.parametrize("fail", [unreachable, throttled, throttled_for_capacity])
async def test_the_rest_takes_what_the_budget_allows(
    service: Service, runs: Runs, lasts_s: float, segments: int, fail: Callable[[], Exception]
):
    """From the first success on at most 1.2 times that, without a second above 110% of the budget."""
    db = service(table_spec())
    db.fill("orders", orders(ITEMS))
    down, written = outage(lasts_s, fail), []
    until = anyio.current_time() + BEGINS_S + lasts_s

    def watch(operation: str, request: Any) -> None:
        down(operation, request)
        if operation == "BatchExecuteStatement":
            written.append((anyio.current_time(), len(request["Statements"])))

    db.watch = watch
    result = await runs.run(budget=Budget(max_wcu=RATE), tuning=Tuning(segments=segments))
    assert db.fired("orders") == once(ITEMS)
    after = [(moment, items) for moment, items in written if moment >= until]
    rest = sum(items for _, items in after)
    assert rest > ITEMS / 3
    assert after[-1][0] - after[0][0] <= 1.2 * rest / RATE
    assert after[0][0] - until < 3.0, "the run notices that the service works again"
    for start, _ in written:
        within = sum(items for moment, items in written if start <= moment < start + 1.0)
        assert within <= RATE * 1.1 + 25
    assert result.exit_code is ExitCode.COMPLETE


def test_one_request_that_always_fails_is_given_up_while_others_sometimes_succeed():
    """Probes do not count as its failures, and do not prevent that it is given up either."""
    timer, attempts, now = Outage(600.0, lambda _event: None), 0, 0.0
    for _ in range(100):
        for _ in range(4):  # between two successes of others
            now += 2.0
            timer.failed("x", now)
            attempts = timer.attempts(attempts + 1, now)
        timer.succeeded()
        if attempts >= MAX_ATTEMPTS:
            return
    raise AssertionError(attempts)


def test_while_nothing_succeeds_one_request_is_tried_every_second():
    """Only one: the others keep their own delays."""
    timer = Outage(600.0, lambda _event: None)
    timer.failed("x", 0.0)
    assert timer.delay(20.0, 0.0) == 20.0, "a single failure is not an outage"
    timer.failed("x", 0.3)
    timer.failed("x", 0.6)
    assert timer.halted
    assert timer.delay(20.0, 0.6) == PROBE_S
    assert timer.delay(20.0, 0.7) == 20.0
    assert timer.delay(0.2, 1.6) == 0.2
    woken: list[str] = []
    timer.on_recovery = lambda: woken.append("all")
    timer.succeeded()
    timer.succeeded()
    assert woken == ["all"]

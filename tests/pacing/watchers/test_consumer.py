"""Lambda consumers are found and monitored and pace the run; a run that cannot monitor them does not begin."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from refire_async.errors import ExitCode, RefusedError
from refire_async.events import AdviceBack, AdviceMissing, BatchWritten, ConsumerSeen, Event
from refire_async.model.stop import StopRequest
from refire_async.model.table import Stream, Table, Throughput
from refire_async.pacing.consumer import BLIND_S, FIRST_RATE, LOST_S
from refire_async.pacing.governor import Governor
from refire_async.pacing.watchers.consumer import ConsumerWatch
from refire_async.pacing.watchers.functions import Function, find_functions
from refire_async.settings import Budget, PacingSettings
from tests.support.lambda_functions import Function as Lambda
from tests.support.lambda_functions import Lambdas
from tests.support.table_descriptions import described_table
from tests.support.virtual_time import VIRTUAL_TIME

EPOCH = 1_800_000_017.0
ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026"


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


def table(stream: Stream | None = None) -> Table:
    capacity = Throughput(provisioned_read=500.0, provisioned_write=1_000.0)
    return described_table(throughput=capacity, stream=stream or Stream(enabled=True, arn=ARN))


class Harness:
    """A run with 800 WCU/s, and its consumers `a` and possibly `b`."""

    def __init__(self, pacing: PacingSettings, **functions: Lambda) -> None:
        self.started = anyio.current_time()
        self.lambdas = Lambdas(self.clock, **functions)
        self.governor = Governor(table(), "revision", Budget())
        self.events: list[Event] = []
        self.stop = StopRequest()
        self.watch = ConsumerWatch(
            [Function(name=name, live_share=0.0) for name in functions],
            pacing,
            self.governor,
            self.lambdas,  # type: ignore[arg-type]
            emit=self.events.append,
            stop=self.stop,
            clock=self.clock,
        )

    def clock(self) -> float:
        return EPOCH + anyio.current_time() - self.started

    async def run(self, *tasks: Callable[[], Awaitable[None]], seconds: float) -> None:
        """Run the watcher and `tasks` for `seconds`."""
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as group:
                for task in (self.watch.poll, self.watch.adjust, *tasks):
                    group.start_soon(task)

    async def write(self) -> None:
        """Write as fast as the limits allow; the consumers handle the records at once."""
        while True:
            await anyio.sleep(0.5)
            rate_limits = self.governor.rate_limits
            rate = 0.0 if rate_limits.paused else min(800.0, rate_limits.max_rate or 800.0)
            self.watch.handle(BatchWritten(0, round(rate / 2), rate / 2, 0.01))
            for function in self.lambdas.functions.values():
                function.metrics["IteratorAge"].add(0.3, self.clock())

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


BY_AGE = PacingSettings(max_iterator_age_s=30.0)
BY_ERRORS = PacingSettings(max_consumer_errors=3)


async def find(lambdas: Lambdas, stream: Stream | None = None) -> tuple[Function, ...]:
    return await find_functions(lambdas, table(stream), EPOCH)  # type: ignore[arg-type]


async def test_enabled_mappings_are_found_on_all_pages_each_function_once():
    """With any alias. A batching window adds to the age of records at a function that keeps up."""
    lambdas = Lambdas(lambda: EPOCH, **{"a": Lambda(MaximumBatchingWindowInSeconds=20), "a:live": Lambda()})
    lambdas.functions |= {"off": Lambda(State="Disabled"), "b": Lambda()}
    assert await find(lambdas) == (
        Function(name="a", baseline_age_s=21.0),
        Function(name="b", baseline_age_s=1.0),
    )
    asked = {query["MetricStat"]["Metric"]["MetricName"] for query in lambdas.asked[0]["MetricDataQueries"]}
    assert asked == {"IteratorAge", "Errors", "Throttles"}


@pytest.mark.parametrize("service", ["lambda", "cloudwatch"])
async def test_a_service_that_does_not_answer_refuses_the_run(service: str):
    lambdas = Lambdas(lambda: EPOCH, a=Lambda())
    lambdas.refused[service] = f"{service} refused to answer: AccessDenied"
    with pytest.raises(
        RefusedError, match=f"{service} refused to answer: AccessDenied; allow lambda:List"
    ) as caught:
        await find(lambdas)
    assert caught.value.exit_code is ExitCode.REFUSED


@pytest.mark.parametrize("functions", [{}, {"off": Lambda(State="Disabling")}])
async def test_a_stream_without_a_consumer_refuses_the_run(functions: dict[str, Lambda]):
    with pytest.raises(RefusedError, match="no Lambda function reads the stream of table orders"):
        await find(Lambdas(lambda: EPOCH, **functions))


async def test_a_table_without_a_stream_refuses_the_run():
    with pytest.raises(RefusedError, match="table orders has no stream"):
        await find(Lambdas(lambda: EPOCH, a=Lambda()), Stream(enabled=False))


async def test_the_run_waits_for_the_first_poll_and_begins_slowly():
    harness = Harness(BY_AGE, a=Lambda())
    assert harness.governor.rate_limits.paused
    await harness.run(seconds=0.1)
    assert harness.governor.rate_limits.max_rate == pytest.approx(FIRST_RATE * 31, rel=0.01)
    await harness.run(harness.write, seconds=20.0)
    assert harness.governor.rate_limits.max_rate == pytest.approx(FIRST_RATE, rel=0.1)


async def test_a_consumer_that_keeps_up_gets_more_until_the_table_limits_the_run():
    harness = Harness(BY_AGE, a=Lambda())
    await harness.run(harness.write, seconds=900.0)
    assert harness.governor.rate_limits.max_rate is not None
    assert harness.governor.rate_limits.max_rate > 800.0
    assert harness.of(AdviceMissing) == []
    seen = harness.of(ConsumerSeen)[-1]
    assert isinstance(seen, ConsumerSeen)
    assert (seen.name, seen.age_s, seen.errors, seen.throttles) == ("a", 0.3, 0, 0)


async def test_the_slowest_consumer_limits_the_run():
    """One keeps up, the other is at the bound before the run begins."""
    harness = Harness(BY_AGE, a=Lambda(), b=Lambda())
    harness.lambdas.functions["a"].metrics["IteratorAge"].add(0.5, EPOCH - 70.0)
    harness.lambdas.functions["b"].metrics["IteratorAge"].add(31.0, EPOCH - 70.0)
    await harness.run(seconds=1.0)
    assert harness.governor.rate_limits.paused
    assert harness.governor.rate_limits.why == "waiting for consumer b"


async def test_a_consumer_that_is_half_a_day_behind_ends_the_run():
    harness = Harness(BY_ERRORS, a=Lambda())
    harness.lambdas.functions["a"].metrics["IteratorAge"].add(12 * 3_600.0 + 1.0, EPOCH - 70.0)
    await harness.run(seconds=1.0)
    assert harness.stop.error is not None
    assert harness.stop.error.exit_code is ExitCode.STOPPED
    assert "a is 12.0 hours behind" in str(harness.stop.error)


async def test_failures_end_the_run_and_those_before_it_do_not_count():
    """Three are allowed. They occur in several minutes, and CloudWatch returns each minute repeatedly."""
    harness = Harness(BY_ERRORS, a=Lambda())
    errors = harness.lambdas.functions["a"].metrics["Errors"]
    errors.add(50.0, EPOCH - 70.0)

    async def fail() -> None:
        for failures in (1.0, 2.0, 1.0):
            errors.add(failures, harness.clock())
            await anyio.sleep(1_200.0)

    await harness.run(fail, seconds=2_400.0)
    assert harness.stop.reason is None
    assert not harness.governor.rate_limits.paused
    await harness.run(seconds=1.0)
    errors.add(1.0, harness.clock())
    await harness.run(seconds=100.0)
    assert harness.stop.reason == "error"
    assert "consumer a has failed more than 3 times (4)" in str(harness.stop.error)


async def test_throttled_invocations_are_reported():
    harness = Harness(BY_ERRORS, a=Lambda(lag_s=0.0))
    harness.lambdas.functions["a"].metrics["Throttles"].add(7.0, EPOCH)
    await harness.run(seconds=1.0)
    assert harness.of(ConsumerSeen) == [ConsumerSeen("a", None, 0, 7)]


async def test_missing_metrics_slow_the_run_then_pause_it_until_they_return():
    """Each change is reported once."""
    harness = Harness(BY_AGE, a=Lambda())
    await harness.run(harness.write, seconds=600.0)
    before = harness.governor.rate_limits.max_rate
    assert before is not None
    harness.lambdas.refused["cloudwatch"] = "cloudwatch did not answer within 10 s"
    since = harness.clock()
    while not harness.of(AdviceMissing):
        assert harness.governor.rate_limits.max_rate is not None
        await harness.run(harness.write, seconds=1.0)
    # The newest data point was one to two and a half minutes old when CloudWatch stopped answering.
    assert BLIND_S - 150.0 < harness.clock() - since < BLIND_S - 60.0
    slowed = harness.governor.rate_limits.max_rate
    assert slowed is not None
    assert slowed < before / 2
    since = harness.clock()
    while not harness.governor.rate_limits.paused:
        await harness.run(harness.write, seconds=1.0)
    assert harness.clock() - since == pytest.approx(30.0, abs=2.0)
    assert harness.governor.rate_limits.why == "no metrics of consumer a"
    (missing,) = harness.of(AdviceMissing)
    assert isinstance(missing, AdviceMissing)
    assert missing.why == "cloudwatch did not answer within 10 s"
    harness.lambdas.refused.clear()
    await harness.run(harness.write, seconds=200.0)
    assert not harness.governor.rate_limits.paused
    assert harness.of(AdviceBack) == [AdviceBack("consumer")]


async def test_a_consumer_without_any_data_point_does_not_count_as_fast():
    """CloudWatch answers without data points: filters drop every event, or the function is in another account."""
    harness = Harness(BY_AGE, a=Lambda(lag_s=1e9))
    await harness.run(harness.write, seconds=BLIND_S + 60.0)
    assert harness.governor.rate_limits.paused
    (missing,) = harness.of(AdviceMissing)
    assert isinstance(missing, AdviceMissing)
    assert missing.why == "cloudwatch shows no iterator age of a"


async def test_a_run_that_only_counts_failures_pauses_after_half_an_hour_without_metrics():
    harness = Harness(BY_ERRORS, a=Lambda())
    await harness.run(seconds=1.0)
    harness.lambdas.refused["cloudwatch"] = "no"
    await harness.run(seconds=BLIND_S + LOST_S - 30.0)
    assert not harness.governor.rate_limits.paused
    await harness.run(seconds=60.0)
    assert harness.governor.rate_limits.paused
    harness.lambdas.refused.clear()
    await harness.run(seconds=20.0)
    assert not harness.governor.rate_limits.paused


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
async def test_a_partial_answer_counts_as_none(status: str):
    lambdas = Lambdas(lambda: EPOCH, a=Lambda())
    lambdas.status = status
    with pytest.raises(RefusedError, match=status):
        await find(lambdas)

"""Looking after Lambda functions: they are found, asked about, paced by, and a run that cannot do so does not begin."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from refire_async.errors import ExitCode, RefusedError
from refire_async.events import AdviceBack, AdviceMissing, BatchWritten, ConsumerSeen, Event
from refire_async.model.keys import KeySchema
from refire_async.model.stop import StopRequest
from refire_async.model.table import Stream, Table, Throughput
from refire_async.pacing.consumer import BLIND_S, FIRST_RATE, LOST_S
from refire_async.pacing.governor import Governor
from refire_async.pacing.watchers.consumer import ConsumerWatch
from refire_async.pacing.watchers.functions import Function, find_functions
from refire_async.settings import Budget, PacingSettings
from tests.support.lambda_functions import Function as Lambda
from tests.support.lambda_functions import Lambdas
from tests.support.virtual_time import VIRTUAL_TIME

EPOCH = 1_800_000_017.0
ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026"


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


def table(stream: Stream | None = None) -> Table:
    capacity = Throughput(provisioned_read=500.0, provisioned_write=1_000.0)
    stream = stream or Stream(enabled=True, arn=ARN)
    return Table(
        "orders", "arn", "id", "ACTIVE", KeySchema("pk", "S"), "PROVISIONED", capacity, (), stream, 0, 0
    )


class World:
    """A table of 800 WCU/s for the run, and its consumers `a` and perhaps `b`, each with 30 s as its bound."""

    def __init__(self, pacing: PacingSettings, **functions: Lambda) -> None:
        self.started = anyio.current_time()
        self.lambdas = Lambdas(self.clock, **functions)
        self.governor = Governor(table(), "revision", Budget())
        self.events: list[Event] = []
        self.stop = StopRequest()
        self.watch = ConsumerWatch(
            [Function(name=name, others=0.0) for name in functions],
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
        """The watcher and `tasks` for so long."""
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as group:
                for task in (self.watch.poll, self.watch.adjust, *tasks):
                    group.start_soon(task)

    async def write(self) -> None:
        """The run, as fast as it may be; what it makes is handled at once."""
        while True:
            await anyio.sleep(0.5)
            target = self.governor.rate_limits
            rate = 0.0 if target.paused else min(800.0, target.max_rate or 800.0)
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
    """Whatever their alias; a window in which batches fill makes records old without fault."""
    lambdas = Lambdas(lambda: EPOCH, **{"a": Lambda(MaximumBatchingWindowInSeconds=20), "a:live": Lambda()})
    lambdas.functions |= {"off": Lambda(State="Disabled"), "b": Lambda()}
    assert await find(lambdas) == (Function(name="a", blur_s=21.0), Function(name="b", blur_s=1.0))
    asked = {query["MetricStat"]["Metric"]["MetricName"] for query in lambdas.asked[0]["MetricDataQueries"]}
    assert asked == {"IteratorAge", "Errors", "Throttles"}


@pytest.mark.parametrize("service", ["lambda", "cloudwatch"])
async def test_a_service_that_cannot_be_asked_refuses_the_run(service: str):
    lambdas = Lambdas(lambda: EPOCH, a=Lambda())
    lambdas.refused[service] = f"{service} refused to answer: AccessDenied"
    with pytest.raises(
        RefusedError, match=f"{service} refused to answer: AccessDenied; allow lambda:List"
    ) as caught:
        await find(lambdas)
    assert caught.value.exit_code is ExitCode.REFUSED


@pytest.mark.parametrize("functions", [{}, {"off": Lambda(State="Disabling")}])
async def test_a_stream_that_nobody_reads_refuses_the_run(functions: dict[str, Lambda]):
    with pytest.raises(RefusedError, match="no Lambda function reads the stream of table orders"):
        await find(Lambdas(lambda: EPOCH, **functions))


async def test_a_table_without_a_stream_refuses_the_run():
    with pytest.raises(RefusedError, match="table orders has no stream"):
        await find(Lambdas(lambda: EPOCH, a=Lambda()), Stream(enabled=False))


async def test_the_run_waits_for_the_first_look_and_begins_slowly():
    world = World(BY_AGE, a=Lambda())
    assert world.governor.rate_limits.paused
    await world.run(seconds=0.1)
    assert world.governor.rate_limits.max_rate == pytest.approx(FIRST_RATE * 31, rel=0.01)
    await world.run(world.write, seconds=20.0)
    assert world.governor.rate_limits.max_rate == pytest.approx(FIRST_RATE, rel=0.1)


async def test_a_consumer_that_keeps_up_gets_more_and_more_till_the_table_bounds_the_run():
    world = World(BY_AGE, a=Lambda())
    await world.run(world.write, seconds=900.0)
    assert world.governor.rate_limits.max_rate is not None
    assert world.governor.rate_limits.max_rate > 800.0
    assert world.of(AdviceMissing) == []
    seen = world.of(ConsumerSeen)[-1]
    assert isinstance(seen, ConsumerSeen)
    assert (seen.name, seen.age_s, seen.errors, seen.throttles) == ("a", 0.3, 0, 0)


async def test_the_slowest_consumer_rules():
    """One keeps up, the other is at the bound before the run begins."""
    world = World(BY_AGE, a=Lambda(), b=Lambda())
    world.lambdas.functions["a"].metrics["IteratorAge"].add(0.5, EPOCH - 70.0)
    world.lambdas.functions["b"].metrics["IteratorAge"].add(31.0, EPOCH - 70.0)
    await world.run(seconds=1.0)
    assert world.governor.rate_limits.paused
    assert world.governor.rate_limits.why == "waiting for consumer b"


async def test_a_consumer_that_is_half_a_day_behind_ends_the_run():
    world = World(BY_ERRORS, a=Lambda())
    world.lambdas.functions["a"].metrics["IteratorAge"].add(12 * 3_600.0 + 1.0, EPOCH - 70.0)
    await world.run(seconds=1.0)
    assert world.stop.error is not None
    assert world.stop.error.exit_code is ExitCode.STOPPED
    assert "a is 12.0 hours behind" in str(world.stop.error)


async def test_failures_end_the_run_and_those_before_it_do_not_count():
    """Three are allowed. They come in several minutes, and each minute is told again and again."""
    world = World(BY_ERRORS, a=Lambda())
    errors = world.lambdas.functions["a"].metrics["Errors"]
    errors.add(50.0, EPOCH - 70.0)

    async def fail() -> None:
        for failures in (1.0, 2.0, 1.0):
            errors.add(failures, world.clock())
            await anyio.sleep(1_200.0)

    await world.run(fail, seconds=2_400.0)
    assert world.stop.reason is None
    assert not world.governor.rate_limits.paused
    await world.run(seconds=1.0)
    errors.add(1.0, world.clock())
    await world.run(seconds=100.0)
    assert world.stop.reason == "error"
    assert "consumer a has failed more than 3 times (4)" in str(world.stop.error)


async def test_refused_invocations_are_shown():
    world = World(BY_ERRORS, a=Lambda(lag_s=0.0))
    world.lambdas.functions["a"].metrics["Throttles"].add(7.0, EPOCH)
    await world.run(seconds=1.0)
    assert world.of(ConsumerSeen) == [ConsumerSeen("a", None, 0, 7)]


async def test_silence_slows_the_run_then_pauses_it_and_answers_end_that():
    """Each is said once."""
    world = World(BY_AGE, a=Lambda())
    await world.run(world.write, seconds=600.0)
    before = world.governor.rate_limits.max_rate
    assert before is not None
    world.lambdas.refused["cloudwatch"] = "cloudwatch did not answer within 10 s"
    since = world.clock()
    while not world.of(AdviceMissing):
        assert world.governor.rate_limits.max_rate is not None
        await world.run(world.write, seconds=1.0)
    # The newest figure was one to two and a half minutes old when the silence began.
    assert BLIND_S - 150.0 < world.clock() - since < BLIND_S - 60.0
    slowed = world.governor.rate_limits.max_rate
    assert slowed is not None
    assert slowed < before / 2
    since = world.clock()
    while not world.governor.rate_limits.paused:
        await world.run(world.write, seconds=1.0)
    assert world.clock() - since == pytest.approx(30.0, abs=2.0)
    assert world.governor.rate_limits.why == "no metrics of consumer a"
    (missing,) = world.of(AdviceMissing)
    assert isinstance(missing, AdviceMissing)
    assert missing.why == "cloudwatch did not answer within 10 s"
    world.lambdas.refused.clear()
    await world.run(world.write, seconds=200.0)
    assert not world.governor.rate_limits.paused
    assert world.of(AdviceBack) == [AdviceBack("consumer")]


async def test_a_consumer_of_which_nothing_ever_shows_is_not_taken_for_a_fast_one():
    """CloudWatch answers, but has no figure: filters that drop every event, or another account's function."""
    world = World(BY_AGE, a=Lambda(lag_s=1e9))
    await world.run(world.write, seconds=BLIND_S + 60.0)
    assert world.governor.rate_limits.paused
    (missing,) = world.of(AdviceMissing)
    assert isinstance(missing, AdviceMissing)
    assert missing.why == "cloudwatch shows no iterator age of a"


async def test_a_run_that_only_counts_failures_pauses_after_half_an_hour_of_silence():
    world = World(BY_ERRORS, a=Lambda())
    await world.run(seconds=1.0)
    world.lambdas.refused["cloudwatch"] = "no"
    await world.run(seconds=BLIND_S + LOST_S - 30.0)
    assert not world.governor.rate_limits.paused
    await world.run(seconds=60.0)
    assert world.governor.rate_limits.paused
    world.lambdas.refused.clear()
    await world.run(seconds=20.0)
    assert not world.governor.rate_limits.paused


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
async def test_half_an_answer_is_none(status: str):
    lambdas = Lambdas(lambda: EPOCH, a=Lambda())
    lambdas.status = status
    with pytest.raises(RefusedError, match=status):
        await find(lambdas)

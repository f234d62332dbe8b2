"""Estimates from the metrics of a function before the run. Missing metrics are not an error."""

import pytest

from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.streams import Shard
from refire_async.pacing.consumer import FIRST_RATE, UNKNOWN_LIVE_SHARE
from refire_async.pacing.consumer_history import HOUR_S
from refire_async.pacing.watchers.function_history import with_history
from refire_async.pacing.watchers.functions import Function
from tests.pacing.watchers.test_consumer import EPOCH, table
from tests.support.lambda_functions import Function as Lambda
from tests.support.lambda_functions import Lambdas

HOUR = int(EPOCH // HOUR_S) * HOUR_S


class Shards:
    """A fake stream with `number` open shards and a closed one. `refused` is raised instead."""

    def __init__(self, number: int, refused: AwsError | None = None) -> None:
        self._number = number
        self._refused = refused

    async def shards(self, stream_arn: str) -> list[Shard]:
        assert stream_arn == table().stream.arn
        if self._refused is not None:
            raise self._refused
        return [
            Shard("closed", None, "1", "2"),
            *(Shard(f"s{n}", None, "3", None) for n in range(self._number)),
        ]


def lambdas() -> Lambdas:
    """One function: 25 ms per invocation, 12 minutes per hour, four at once; metrics in ms."""
    known = Lambda()
    known.past = {
        ("Duration", "Average"): {HOUR - HOUR_S: 24.0, HOUR: 20.0},
        ("Duration", "Sum"): {HOUR - HOUR_S: 720_000.0},
        ("ConcurrentExecutions", "Maximum"): {HOUR - 2 * HOUR_S: 4.0},
    }
    return Lambdas(lambda: EPOCH, a=known, b=Lambda())


async def estimate(services: Lambdas, streams: Shards) -> tuple[Function, ...]:
    functions = (Function(name="a", parallelization=2), Function(name="b"))
    return await with_history(functions, services, streams, table(), EPOCH)  # type: ignore[arg-type]


async def test_the_history_gives_the_minimum_rate_and_the_share_of_live_events():
    services = lambdas()
    a, b = await estimate(services, Shards(4))
    assert a == Function(
        name="a", parallelization=2, min_rate=pytest.approx(4 / 0.025), live_share=pytest.approx(0.05)
    )
    assert b == Function(name="b", min_rate=FIRST_RATE, live_share=0.0)
    (asked,) = services.asked
    assert (asked["EndTime"] - asked["StartTime"]).total_seconds() == 7 * 24 * HOUR_S
    assert {query["MetricStat"]["Period"] for query in asked["MetricDataQueries"]} == {HOUR_S}


async def test_a_stream_that_does_not_answer_counts_as_one_shard():
    a, _ = await estimate(lambdas(), Shards(4, AwsError("AccessDeniedException", "no", Disposition.FATAL)))
    assert a.min_rate == pytest.approx(2 / 0.025)


@pytest.mark.parametrize("status", ["refused", "PartialData"])
async def test_a_missing_history_is_not_an_error(status: str):
    """Then half of the function is left to live events."""
    services = lambdas()
    services.status = status
    if status == "refused":
        services.refused["cloudwatch"] = "cloudwatch did not answer within 10 s"
    found = await estimate(services, Shards(4))
    assert found == (Function(name="a", parallelization=2), Function(name="b"))
    assert {(one.min_rate, one.live_share) for one in found} == {(FIRST_RATE, UNKNOWN_LIVE_SHARE)}

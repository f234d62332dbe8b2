"""How consumers process a canary, according to Lambda and CloudWatch."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from refire_async.aws.config import AwsSession
from refire_async.aws.endpoint import Endpoint
from refire_async.aws.other_services import ServiceName, Services
from refire_async.engine.canary_consumers import wait_for_consumers
from refire_async.model.canary import Consumers as Seen
from refire_async.settings import Connection
from tests.preflight.harness import Consumers
from tests.support.backends import REGION
from tests.support.moto import Moto, moto

__all__ = ["moto"]

ARN = f"arn:aws:dynamodb:{REGION}:123456789012:table/orders/stream/2026-01-01T00:00:00.000"


@pytest.fixture
def consumers(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> Iterator[Consumers]:
    """Lambda and CloudWatch, with two functions on the stream."""
    for name, value in {**moto.environment, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:
        yield Consumers(moto, stack)


@pytest.fixture
def functions(consumers: Consumers) -> list[str]:
    """Two functions that the stream invokes."""
    names = [consumers.make_function() for _ in range(2)]
    for name in names:
        consumers.map(name, ARN)
    return names


def put_metrics(consumers: Consumers, function: str, **metrics: float) -> None:
    """Give CloudWatch data points of a function."""
    consumers.metrics.put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {
                "MetricName": metric,
                "Dimensions": [{"Name": "FunctionName", "Value": function}],
                "Value": value,
                "Timestamp": datetime.now(UTC),
            }
            for metric, value in metrics.items()
        ],
    )


class WithoutTimeout:
    """The same services without a timeout, so that the test does not depend on the speed of the machine."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def open(self, service: ServiceName, _timeout_s: float | None = None) -> AbstractAsyncContextManager[Any]:
        return self._services.open(service, None)


async def consumers_of(
    consumers: Consumers, naps: list[float], during: Callable[[], None] | None = None
) -> Seen:
    async def nap(seconds: float) -> None:
        naps.append(seconds)
        if during is not None:
            during()

    services: Any = WithoutTimeout(consumers.services)
    return await wait_for_consumers(services, ARN, time.time() - 5, timeout_s=30.0, sleep=nap)


async def test_the_check_waits_until_consumers_keep_up(consumers: Consumers, functions: list[str]) -> None:
    """First CloudWatch has no data of one function, then both were invoked and keep up."""
    first, second = functions
    put_metrics(consumers, first, Invocations=2, Errors=0, IteratorAge=900)
    naps: list[float] = []
    late = partial(put_metrics, consumers, second, Invocations=1, Errors=0, IteratorAge=10)
    found = await consumers_of(consumers, naps, late)
    assert len(naps) == 1
    assert [one.function for one in found.known] == sorted(functions)
    assert (found.unknown, found.behind, found.failing) == (None, (), ())


async def test_errors_end_the_wait(consumers: Consumers, functions: list[str]) -> None:
    put_metrics(consumers, functions[0], Invocations=2, Errors=2, IteratorAge=900)
    naps: list[float] = []
    assert (await consumers_of(consumers, naps)).failing == (functions[0],)
    assert naps == []


async def test_the_wait_ends(consumers: Consumers, functions: list[str]) -> None:
    """A function that lags is behind; one without data points is unknown."""
    first, second = functions
    put_metrics(consumers, first, Invocations=2, Errors=0, IteratorAge=90_000)
    naps: list[float] = []
    found = await consumers_of(consumers, naps)
    assert found.behind == (first,)
    assert found.unknown == f"CloudWatch has told nothing yet of {second}"
    assert sum(naps) == 30


async def test_without_mappings_or_services_nothing_is_known(consumers: Consumers) -> None:
    """And the check does not wait."""
    naps: list[float] = []
    assert (await consumers_of(consumers, naps)).unknown == "no Lambda function is mapped to the stream"
    emulator = Endpoint("http://127.0.0.1:9/", "127.0.0.1:9")
    services = Services(AwsSession(Connection(region=REGION, endpoint_url="http://127.0.0.1:9")), emulator)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_ENDPOINT_URL_LAMBDA")
        assert "was not asked" in str((await wait_for_consumers(services, ARN, 0.0)).unknown)
    assert naps == []

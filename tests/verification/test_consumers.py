"""How consumers took a canary, asked of Lambda and CloudWatch."""

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
from refire_async.engine.canary_consumers import settled
from refire_async.model.canary import Consumers as Seen
from refire_async.settings import Connection
from tests.preflight.world import Consumers
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


def tell(consumers: Consumers, function: str, **metrics: float) -> None:
    """CloudWatch has data points for a function."""
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


class Patient:
    """The same services without a bound on time: what is tested is not how quick this machine is."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def open(self, service: ServiceName, _timeout_s: float | None = None) -> AbstractAsyncContextManager[Any]:
        return self._services.open(service, None)


async def ask(consumers: Consumers, naps: list[float], during: Callable[[], None] | None = None) -> Seen:
    async def nap(seconds: float) -> None:
        naps.append(seconds)
        if during is not None:
            during()

    services: Any = Patient(consumers.services)
    return await settled(services, ARN, time.time() - 5, patience_s=30.0, sleep=nap)


async def test_consumers_are_waited_for_until_they_have_followed(
    consumers: Consumers, functions: list[str]
) -> None:
    """First CloudWatch knows nothing of one, then that both were invoked and keep up."""
    first, second = functions
    tell(consumers, first, Invocations=2, Errors=0, IteratorAge=900)
    naps: list[float] = []
    late = partial(tell, consumers, second, Invocations=1, Errors=0, IteratorAge=10)
    found = await ask(consumers, naps, late)
    assert len(naps) == 1
    assert [one.function for one in found.known] == sorted(functions)
    assert (found.unknown, found.behind, found.failing) == (None, (), ())


async def test_errors_end_the_waiting(consumers: Consumers, functions: list[str]) -> None:
    tell(consumers, functions[0], Invocations=2, Errors=2, IteratorAge=900)
    naps: list[float] = []
    assert (await ask(consumers, naps)).failing == (functions[0],)
    assert naps == []


async def test_patience_ends(consumers: Consumers, functions: list[str]) -> None:
    """Who lags is behind; of whom nothing is heard nothing is known."""
    first, second = functions
    tell(consumers, first, Invocations=2, Errors=0, IteratorAge=90_000)
    naps: list[float] = []
    found = await ask(consumers, naps)
    assert found.behind == (first,)
    assert found.unknown == f"CloudWatch has told nothing yet of {second}"
    assert sum(naps) == 30


async def test_without_mappings_or_services_nothing_is_known(consumers: Consumers) -> None:
    """And nothing is waited for."""
    naps: list[float] = []
    assert (await ask(consumers, naps)).unknown == "no Lambda function is mapped to the stream"
    emulator = Endpoint("http://127.0.0.1:9/", "127.0.0.1:9")
    services = Services(AwsSession(Connection(region=REGION, endpoint_url="http://127.0.0.1:9")), emulator)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_ENDPOINT_URL_LAMBDA")
        assert "was not asked" in str((await settled(services, ARN, 0.0)).unknown)
    assert naps == []

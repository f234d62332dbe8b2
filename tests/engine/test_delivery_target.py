"""A delivery asks for everything about its function at once, and names the same reason every time."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from botocore.exceptions import ClientError

from refire_async.aws.other_services import asking
from refire_async.engine.delivery_target import FoundTarget, find_target
from refire_async.errors import RefusedError
from refire_async.settings import DeliverySettings
from tests.support.virtual_time import VIRTUAL_TIME

STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:turnover"

ANSWERS: dict[str, Any] = {
    "get_function_configuration": {"FunctionName": "turnover", "FunctionArn": FUNCTION, "MemorySize": 512},
    "get_function_concurrency": {"ReservedConcurrentExecutions": 8},
    "list_event_source_mappings": {"EventSourceMappings": []},
    "list_pipes": {"Pipes": []},
    "get_metric_data": {"MetricDataResults": []},
}


@pytest.fixture
def anyio_backend() -> Any:
    """A second passes at once, and never by chance."""
    return VIRTUAL_TIME


class _Services:
    """Answers each call a second after it, and knows how many were open at a time. `refuse`: error codes by call."""

    def __init__(self, refuse: dict[str, tuple[float, str]] | None = None) -> None:
        self._refuse = refuse or {}
        self._open = 0
        self.most = 0

    @asynccontextmanager
    async def open(self, service: Any, timeout_s: float | None = 3.0) -> AsyncIterator[Any]:
        async with asking(service, timeout_s):
            yield SimpleNamespace(
                **{name: self._call(name) for name in ANSWERS}, meta=SimpleNamespace(region_name="eu-west-1")
            )

    def _call(self, name: str) -> Callable[..., Any]:
        async def answer(**_: Any) -> Any:
            after_s, code = self._refuse.get(name, (1.0, ""))
            self._open += 1
            self.most = max(self.most, self._open)
            await anyio.sleep(after_s)
            self._open -= 1
            if code:
                raise ClientError({"Error": {"Code": code, "Message": "no"}}, name)
            return ANSWERS[name]

        return answer


async def _find(services: _Services, **settings: Any) -> FoundTarget:
    session = SimpleNamespace(services=services, clock=SimpleNamespace(now=lambda: 1_796_000_000.0))
    return await find_target(session, DeliverySettings(function="turnover", **settings), STREAM)  # type: ignore[arg-type]


async def test_all_is_asked_at_once() -> None:
    """Function, mappings, reserved concurrency, duration: four calls, and Pipes once there is no mapping."""
    services, began_at = _Services(), anyio.current_time()
    target = await _find(services)
    assert services.most == 4
    assert anyio.current_time() - began_at == pytest.approx(2.0, abs=0.01)
    assert (target.version, target.memory_mb, target.concurrency, target.batch_s) == ("$LATEST", 512, 4, None)


@pytest.mark.parametrize("first", ["get_function_configuration", "get_metric_data"])
async def test_the_reason_does_not_depend_on_which_answer_comes_first(first: str) -> None:
    """Without the function and without the metrics that --max-iterator-age needs, the function is what is named."""
    refuse = {
        "get_function_configuration": (1.0, "ResourceNotFoundException"),
        "get_metric_data": (1.0, "AccessDenied"),
    }
    refuse[first] = (0.1, refuse[first][1])
    with pytest.raises(RefusedError, match="there is no function turnover in eu-west-1"):
        await _find(_Services(refuse), max_iterator_age_s=60.0)


async def test_what_is_only_advice_is_named_in_order() -> None:
    """Mapping and reserved concurrency are unknown: two findings, and the defaults apply."""
    denied = (1.0, "AccessDenied")
    refuse = {"list_event_source_mappings": denied, "get_function_concurrency": (0.1, denied[1])}
    target = await _find(_Services(refuse))
    assert [one.message.partition(":")[0] for one in target.findings] == [
        "the settings of the function's event source mapping are unknown",
        "the function's reserved concurrency is unknown",
    ]
    assert target.concurrency == 10

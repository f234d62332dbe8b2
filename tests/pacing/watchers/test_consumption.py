"""The query for consumed capacity, against moto's CloudWatch."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from refire_async.aws.other_services import Services, UnansweredError
from refire_async.aws.session import open_session
from refire_async.model.capacity import TABLE
from refire_async.pacing.watchers.headroom import consumed_writes
from refire_async.settings import Connection
from tests.support.moto import Moto, moto  # noqa: F401 - a fixture

HERE = Connection(region="eu-west-1", endpoint_url="http://127.0.0.1:9")
MINUTE = 60
NOW = 1_800_000_030.0
"""A time in the middle of a minute."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def cloudwatch(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:  # noqa: F811 - the fixture
    """A client that publishes data points; the session under test uses the same service."""
    for name, value in {
        **moto.environment,
        "AWS_ACCESS_KEY_ID": "SCENARIO",
        "AWS_SECRET_ACCESS_KEY": "s",
    }.items():
        monkeypatch.setenv(name, value)
    client = moto.client("cloudwatch")
    yield client
    client.close()


def plant(cloudwatch: Any, units: float, at: float, table: str = "orders", index: str = "") -> None:
    """Publish one data point as DynamoDB does."""
    dimensions = [{"Name": "TableName", "Value": table}]
    if index:
        dimensions.append({"Name": "GlobalSecondaryIndexName", "Value": index})
    cloudwatch.put_metric_data(
        Namespace="AWS/DynamoDB",
        MetricData=[
            {
                "MetricName": "ConsumedWriteCapacityUnits",
                "Dimensions": dimensions,
                "Timestamp": datetime.fromtimestamp(at, UTC),
                "Value": units,
            }
        ],
    )


async def asked(*resources: str) -> dict[str, dict[int, float]]:
    async with open_session(HERE, 1) as session:
        return await consumed_writes(session.services, "orders", resources, NOW)


async def test_sums_by_resource_and_minute(cloudwatch: Any) -> None:
    """Of this table and these indexes; not of the current minute, nor of other tables."""
    plant(cloudwatch, 600.0, NOW - 60)
    plant(cloudwatch, 30.0, NOW - 60 + 5)
    plant(cloudwatch, 900.0, NOW - 180)
    plant(cloudwatch, 70.0, NOW - 120, index="by-day")
    plant(cloudwatch, 5.0, NOW)
    plant(cloudwatch, 5.0, NOW - 60, table="other")
    plant(cloudwatch, 5.0, NOW - 60, index="other")
    plant(cloudwatch, 5.0, NOW - 3_600)
    start = int(NOW) - 30
    assert await asked(TABLE, "by-day") == {
        TABLE: {start - 60: 630.0, start - 180: 900.0},
        "by-day": {start - 120: 70.0},
    }


async def test_no_data_points_are_an_answer(cloudwatch: Any) -> None:
    """A table without writes has none."""
    assert await asked(TABLE, "by-day") == {TABLE: {}, "by-day": {}}


def answering(answer: dict[str, Any]) -> Services:
    """Services whose CloudWatch sends `answer`."""

    class Client:
        async def get_metric_data(self, **_request: Any) -> dict[str, Any]:
            return answer

    class Stand:
        @asynccontextmanager
        async def open(self, service: str, _timeout_s: float) -> AsyncIterator[Client]:
            assert service == "cloudwatch"
            yield Client()

    return cast("Services", Stand())


GOOD = {"Id": "r0", "Timestamps": [datetime.fromtimestamp(NOW, UTC)], "Values": [5.0]}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"MetricDataResults": []},
        {"MetricDataResults": None},
        {"MetricDataResults": ["r0"]},
        {"MetricDataResults": [{**GOOD, "Id": "r7"}]},
        {"MetricDataResults": [{**GOOD, "Id": "x"}]},
        {"MetricDataResults": [{**GOOD, "Values": []}]},
        {"MetricDataResults": [{**GOOD, "Values": [float("nan")]}]},
        {"MetricDataResults": [{**GOOD, "Values": [-1.0]}]},
        {"MetricDataResults": [{**GOOD, "Values": ["many"]}]},
        {"MetricDataResults": [{**GOOD, "Timestamps": ["now"]}]},
        {"MetricDataResults": [{**GOOD, "StatusCode": "PartialData"}]},
    ],
)
async def test_a_malformed_answer_counts_as_none(answer: dict[str, Any]) -> None:
    """Any answer of a foreign endpoint: it does not count as traffic, and does not end the run."""
    assert (await consumed_writes(answering({"MetricDataResults": [GOOD]}), "orders", [TABLE], NOW))[TABLE]
    with pytest.raises(UnansweredError, match="cloudwatch"):
        await consumed_writes(answering(answer), "orders", [TABLE], NOW)


async def test_a_closed_port(cloudwatch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:9")
    with pytest.raises(UnansweredError, match="cloudwatch"):
        await asked(TABLE)

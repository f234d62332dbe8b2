"""Requests to Lambda and CloudWatch with a real client, against moto."""

import time
from datetime import UTC, datetime

import pytest

from refire_async.model.table import Stream, Throughput
from refire_async.pacing.watchers.functions import Figures, Function, find_functions, minute_of, query_figures
from tests.preflight.harness import consumers_of
from tests.support.moto import moto_server, unhurried  # noqa: F401 - the fixture
from tests.support.table_descriptions import described_table

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-23T00:00:00.000"


@pytest.mark.usefixtures("unhurried")
async def test_a_function_and_its_metrics_are_found(monkeypatch: pytest.MonkeyPatch):
    """Ages arrive in milliseconds and are returned in seconds, the highest of the minute; failures are summed."""
    now = time.time()
    minute = minute_of(now) - 120
    with moto_server() as moto, consumers_of(moto) as consumers:
        for variable, value in {
            **moto.environment,
            "AWS_ACCESS_KEY_ID": "k",
            "AWS_SECRET_ACCESS_KEY": "s",
        }.items():
            monkeypatch.setenv(variable, value)
        name = consumers.make_function()
        consumers.map(name, ARN, MaximumBatchingWindowInSeconds=5)
        for metric, values in {"IteratorAge": (1_500.0, 42_000.0), "Errors": (1.0, 2.0)}.items():
            consumers.metrics.put_metric_data(
                Namespace="AWS/Lambda",
                MetricData=[
                    {
                        "MetricName": metric,
                        "Dimensions": [{"Name": "FunctionName", "Value": name}],
                        "Timestamp": datetime.fromtimestamp(minute + 10 * n, UTC),
                        "Value": value,
                    }
                    for n, value in enumerate(values)
                ],
            )
        capacity = Throughput(provisioned_read=5.0, provisioned_write=5.0)
        table = described_table(throughput=capacity, stream=Stream(enabled=True, arn=ARN))
        assert await find_functions(consumers.services, table, now) == (
            Function(name=name, baseline_age_s=6.0),
        )
        found = await query_figures(consumers.services, [name], now - 900, now)
    assert found == {name: Figures({minute: 42.0}, {minute: 3.0}, {})}

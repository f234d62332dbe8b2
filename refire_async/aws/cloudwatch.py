"""GetMetricData of CloudWatch: build queries, send them, parse the answer into series by minute or hour."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from refire_async.aws.other_services import TIMEOUT_S, Services, UnansweredError
from refire_async.model.units import MINUTE_S, minute_of

Series: TypeAlias = dict[int, float]
"""Values by the start of their period (seconds since 1970). A period without data points is missing."""


def metric_query(
    name: str,
    namespace: str,
    metric: str,
    dimensions: Mapping[str, str],
    statistic: str,
    *,
    period_s: int = MINUTE_S,
) -> dict[str, Any]:
    """One entry of MetricDataQueries; `name` is the Id that CloudWatch repeats in its answer.

    A minute is the shortest period for which the services used here publish metrics.
    """
    named = [{"Name": dimension, "Value": value} for dimension, value in dimensions.items()]
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": named},
            "Period": period_s,
            "Stat": statistic,
        },
    }


def lambda_query(
    name: str, metric: str, function: str, statistic: str, *, period_s: int = MINUTE_S
) -> dict[str, Any]:
    """A query for a function's metric (Lambda Developer Guide: Types of metrics for Lambda functions)."""
    dimensions = {"FunctionName": function}
    return metric_query(name, "AWS/Lambda", metric, dimensions, statistic, period_s=period_s)


async def get_metric_data(
    services: Services,
    queries: Sequence[Mapping[str, Any]],
    *,
    since: float,
    until: float,
    timeout_s: float = TIMEOUT_S,
) -> dict[str, Series]:
    """The series of each query by its Id, from `since` until `until` (seconds since 1970) in whole minutes.

    Sends one request. The answer has at most 100,800 data points (CloudWatch API reference: GetMetricData).

    Raises:
        UnansweredError: CloudWatch did not answer within `timeout_s`, or the answer is incomplete or malformed.
    """
    async with services.open("cloudwatch", timeout_s) as client:
        answer = await client.get_metric_data(
            MetricDataQueries=queries,
            StartTime=datetime.fromtimestamp(minute_of(since), UTC),
            EndTime=datetime.fromtimestamp(math.ceil(until / MINUTE_S) * MINUTE_S, UTC),
        )
    found = parse_metric_data(answer)
    if any(query["Id"] not in found for query in queries):
        raise UnansweredError("cloudwatch left a metric out of its answer")
    return found


def parse_metric_data(answer: Mapping[str, Any]) -> dict[str, Series]:
    """The series of a GetMetricData answer by the Id of their query.

    Raises:
        UnansweredError: the answer is incomplete or malformed.
    """
    found: dict[str, Series] = {}
    try:
        for result in answer["MetricDataResults"]:
            # PartialData: there are more pages (CloudWatch API reference: MetricDataResult).
            if result.get("StatusCode", "Complete") != "Complete":
                raise UnansweredError(f"cloudwatch answered with {result['StatusCode']}")
            starts = [minute_of(instant.timestamp()) for instant in result["Timestamps"]]
            values = [float(value) for value in result["Values"]]
            if not all(math.isfinite(value) and value >= 0 for value in values):
                raise UnansweredError("cloudwatch answered with a negative or infinite value")
            found[result["Id"]] = dict(zip(starts, values, strict=True))
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError):
        raise UnansweredError("cloudwatch sent a malformed answer") from None
    return found

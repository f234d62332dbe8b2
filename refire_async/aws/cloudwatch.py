"""Questions to CloudWatch."""

from collections.abc import Mapping
from typing import Any


def metric_query(
    name: str,
    namespace: str,
    metric: str,
    dimensions: Mapping[str, str],
    statistic: str,
    *,
    period_s: int = 60,
) -> dict[str, Any]:
    """One of the MetricDataQueries of GetMetricData; `name` is the Id that its answer has.

    A minute is the shortest period that services keep figures for.
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
    name: str, metric: str, function: str, statistic: str, *, period_s: int = 60
) -> dict[str, Any]:
    """The same of a function (Lambda Developer Guide: Types of metrics for Lambda functions)."""
    dimensions = {"FunctionName": function}
    return metric_query(name, "AWS/Lambda", metric, dimensions, statistic, period_s=period_s)

"""What a table and its indexes have consumed by all who write to them, as CloudWatch tells."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from refire_async.aws.cloudwatch import metric_query
from refire_async.aws.other_services import Services, UnansweredError
from refire_async.model.capacity import TABLE
from refire_async.pacing.headroom import KEPT_S, minute_of
from refire_async.pacing.watchers.metric_series import nonsense, read_series

PATIENCE_S = 10.0


async def consumed_writes(
    services: Services, table: str, resources: Sequence[str], now: float
) -> dict[str, dict[int, float]]:
    """Write units by resource and minute (its first second since 1970) of the last quarter of an hour.

    A minute without consumption, and one whose figure has not come yet, is missing.

    Raises:
        UnansweredError: CloudWatch could not be asked or did not answer in full.
    """
    async with services.open("cloudwatch", PATIENCE_S) as client:
        answer = await client.get_metric_data(**_question(table, resources, now))
    return _read(answer, resources)


def _question(table: str, resources: Sequence[str], now: float) -> dict[str, Any]:
    """Sums of ConsumedWriteCapacityUnits (DynamoDB Developer Guide: Metrics and dimensions).

    A global index has a figure of its own, which the table's does not include.
    """
    queries = []
    for number, resource in enumerate(resources):
        dimensions = {"TableName": table}
        if resource != TABLE:
            dimensions["GlobalSecondaryIndexName"] = resource
        queries.append(
            metric_query(f"r{number}", "AWS/DynamoDB", "ConsumedWriteCapacityUnits", dimensions, "Sum")
        )
    end = minute_of(now)
    return {
        "MetricDataQueries": queries,
        "StartTime": datetime.fromtimestamp(end - KEPT_S, UTC),
        "EndTime": datetime.fromtimestamp(end, UTC),
        "ScanBy": "TimestampDescending",
    }


def _read(answer: Mapping[str, Any], resources: Sequence[str]) -> dict[str, dict[int, float]]:
    series = read_series(answer)
    try:
        found = {resources[int(query[1:])]: units for query, units in series.items()}
    except (LookupError, ValueError, TypeError):
        raise nonsense() from None
    if len(found) < len(resources):
        raise UnansweredError("cloudwatch left a metric out of its answer")
    return found

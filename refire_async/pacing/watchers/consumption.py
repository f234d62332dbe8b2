"""The write units that a table and its indexes consumed, by minute, from CloudWatch."""

from collections.abc import Sequence

from refire_async.aws.cloudwatch import Series, get_metric_data, metric_query
from refire_async.aws.other_services import Services
from refire_async.model.capacity import TABLE
from refire_async.model.units import minute_of
from refire_async.pacing.headroom import KEPT_S

TIMEOUT_S = 10.0


async def consumed_writes(
    services: Services, table: str, resources: Sequence[str], now: float
) -> dict[str, Series]:
    """Write units by resource and minute of the last quarter of an hour, from all writers together.

    Sums of ConsumedWriteCapacityUnits (DynamoDB Developer Guide: Metrics and dimensions). The table's metric does not
    include its global indexes, which have their own. A minute without consumption, or whose data point has not arrived
    yet, is missing; so is the current minute.

    Raises:
        UnansweredError: CloudWatch could not be asked or did not answer in full.
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
    found = await get_metric_data(services, queries, since=end - KEPT_S, until=end, timeout_s=TIMEOUT_S)
    return {resource: found[f"r{number}"] for number, resource in enumerate(resources)}

"""What other services know: questions to Lambda, CloudWatch, autoscaling and Kinesis, and their answers as facts.

Every function raises UnansweredError where its service cannot be asked.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from refire_async.aws.cloudwatch import lambda_query, metric_query
from refire_async.aws.other_services import Services, reading
from refire_async.model.table import Table
from refire_async.preflight.facts import FunctionHealth, KinesisStream, Scaling

MOST_FUNCTIONS = 20
"""Functions whose health is asked for, in one call."""

_HEALTH = {
    "iterator_age": ("IteratorAge", "Maximum"),
    "errors": ("Errors", "Sum"),
    "throttles": ("Throttles", "Sum"),
}
_RECENT = timedelta(minutes=15)
_HOUR = timedelta(hours=1)


async def ask_metrics(
    services: Services, functions: Iterable[str], table: str, now: datetime | None = None
) -> tuple[tuple[FunctionHealth, ...], float | None]:
    """The health of the first functions in the last 15 minutes, and the table's busiest minute of the last hour.

    The latter in write units per second; None without data points.
    """
    names = list(dict.fromkeys(name.partition(":")[0] for name in functions))[:MOST_FUNCTIONS]
    queries = [
        lambda_query(f"f{n}_{key}", metric, name, statistic)
        for n, name in enumerate(names)
        for key, (metric, statistic) in _HEALTH.items()
    ]
    queries.append(
        metric_query("table", "AWS/DynamoDB", "ConsumedWriteCapacityUnits", {"TableName": table}, "Sum")
    )
    end = now or datetime.now(UTC)
    async with services.open("cloudwatch") as client:
        answer = await client.get_metric_data(
            MetricDataQueries=queries, StartTime=end - _HOUR, EndTime=end + timedelta(minutes=1)
        )
    with reading("cloudwatch"):
        series = {result["Id"]: result for result in answer.get("MetricDataResults", ())}
    health = tuple(_health(name, n, series, end - _RECENT) for n, name in enumerate(names))
    minutes = (series.get("table") or {}).get("Values") or ()
    return health, max(minutes) / 60 if minutes else None


def _health(name: str, number: int, series: dict[str, Any], since: datetime) -> FunctionHealth:
    def recent(key: str) -> list[float]:
        result = series.get(f"f{number}_{key}") or {}
        pairs: Sequence[tuple[datetime, float]] = list(
            zip(result.get("Timestamps", ()), result.get("Values", ()), strict=False)
        )
        return [value for moment, value in pairs if moment >= since]

    ages, errors, throttles = (recent(key) for key in _HEALTH)
    return FunctionHealth(
        name,
        iterator_age_s=max(ages) / 1000 if ages else None,
        errors=sum(errors) if errors else None,
        throttles=sum(throttles) if throttles else None,
    )


async def ask_scaling(services: Services, table: Table) -> tuple[Scaling, ...]:
    """Scalable targets of write capacity, of the table and its global indexes."""
    resources = [f"table/{table.name}"]
    resources += [f"{resources[0]}/index/{index.name}" for index in table.indexes if index.scope == "global"]
    async with services.open("application-autoscaling") as client:
        answer = await client.describe_scalable_targets(ServiceNamespace="dynamodb", ResourceIds=resources)
    with reading("application-autoscaling"):
        return tuple(
            Scaling(target["ResourceId"], target["MinCapacity"], target["MaxCapacity"])
            for target in answer.get("ScalableTargets", ())
            if target["ScalableDimension"].endswith(":WriteCapacityUnits")
        )


async def ask_kinesis(services: Services, arn: str) -> KinesisStream:
    """How many shards a Kinesis data stream has."""
    async with services.open("kinesis") as client:
        answer = await client.describe_stream_summary(StreamARN=arn)
    with reading("kinesis"):
        summary = answer["StreamDescriptionSummary"]
        on_demand = (summary.get("StreamModeDetails") or {}).get("StreamMode") == "ON_DEMAND"
        return KinesisStream(arn, None if on_demand else summary["OpenShardCount"])

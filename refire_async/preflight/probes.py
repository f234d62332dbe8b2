"""Facts from CloudWatch and Kinesis.

Every function raises UnansweredError if its service does not answer.
"""

from collections.abc import Iterable

from refire_async.aws.cloudwatch import Series, get_metric_data, lambda_query, metric_query
from refire_async.aws.other_services import Services, reading
from refire_async.model.units import MINUTE_S
from refire_async.preflight.facts import FunctionHealth, KinesisStream

MOST_FUNCTIONS = 20
"""Maximum number of functions whose health is queried, in one call."""

_HEALTH = {
    "iterator_age": ("IteratorAge", "Maximum"),
    "errors": ("Errors", "Sum"),
    "throttles": ("Throttles", "Sum"),
}
_RECENT_S = 15 * 60
_HOUR_S = 60 * 60


async def query_metrics(
    services: Services, functions: Iterable[str], table: str, now: float
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
    series = await get_metric_data(services, queries, since=now - _HOUR_S, until=now + MINUTE_S)
    health = tuple(_health(name, n, series, now - _RECENT_S) for n, name in enumerate(names))
    return health, max(series["table"].values()) / MINUTE_S if series["table"] else None


def _health(name: str, number: int, series: dict[str, Series], since: float) -> FunctionHealth:
    def recent(key: str) -> list[float]:
        return [value for minute, value in series[f"f{number}_{key}"].items() if minute >= since]

    ages, errors, throttles = (recent(key) for key in _HEALTH)
    return FunctionHealth(
        name,
        iterator_age_s=max(ages) / 1000 if ages else None,
        errors=sum(errors) if errors else None,
        throttles=sum(throttles) if throttles else None,
    )


async def query_kinesis(services: Services, arn: str) -> KinesisStream:
    """The number of shards of a Kinesis data stream."""
    async with services.open("kinesis") as client:
        answer = await client.describe_stream_summary(StreamARN=arn)
    with reading("kinesis"):
        summary = answer["StreamDescriptionSummary"]
        on_demand = (summary.get("StreamModeDetails") or {}).get("StreamMode") == "ON_DEMAND"
        return KinesisStream(arn, None if on_demand else summary["OpenShardCount"])

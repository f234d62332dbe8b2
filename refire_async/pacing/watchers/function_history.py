"""CloudWatch metrics of functions before the run: duration of invocations, concurrent executions."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import anyio

from refire_async.aws.cloudwatch import get_metric_data, lambda_query
from refire_async.aws.errors import AwsError
from refire_async.aws.other_services import Services, UnansweredError
from refire_async.aws.streams import StreamReader
from refire_async.model.table import Table
from refire_async.pacing.consumer_history import HOUR_S, History, lanes, live_share, min_rate
from refire_async.pacing.watchers.functions import TIMEOUT_S, Function

BACK_S = 7 * 24 * HOUR_S
"""Period queried. 168 hours of each metric fit in one page (CloudWatch API: GetMetricData)."""

# Lambda Developer Guide: Types of metrics for Lambda functions. Duration is in milliseconds.
_METRICS = {
    "average": ("Duration", "Average"),
    "sum": ("Duration", "Sum"),
    "concurrency": ("ConcurrentExecutions", "Maximum"),
}


async def with_history(
    functions: Sequence[Function], services: Services, streams: StreamReader, table: Table, now: float
) -> tuple[Function, ...]:
    """The functions with estimates from their history. Missing metrics are not an error: then the defaults remain."""
    try:
        found = await _query_history(services, [one.name for one in functions], now)
    except UnansweredError:
        return tuple(functions)
    shards = await _count_shards(streams, table)
    known = []
    for one in functions:
        history = found[one.name]
        concurrency = lanes(history, one.parallelization, shards)
        known.append(
            replace(
                one,
                min_rate=min_rate(history, concurrency, one.batch_size),
                live_share=live_share(history, concurrency),
            )
        )
    return tuple(known)


async def _count_shards(streams: StreamReader, table: Table) -> int:
    """Open shards of the table's stream; 1 if unknown."""
    if table.stream.arn is None:
        return 1
    with anyio.move_on_after(TIMEOUT_S), contextlib.suppress(AwsError):
        return max(1, sum(shard.is_open for shard in await streams.shards(table.stream.arn)))
    return 1


async def _query_history(services: Services, names: Sequence[str], now: float) -> dict[str, History]:
    """The metrics of each function in the last `BACK_S`. Raises UnansweredError."""
    queries = [
        lambda_query(f"f{number}_{key}", metric, name, statistic, period_s=HOUR_S)
        for number, name in enumerate(names)
        for key, (metric, statistic) in _METRICS.items()
    ]
    end = now - now % HOUR_S + HOUR_S
    series = await get_metric_data(services, queries, since=end - BACK_S, until=end, timeout_s=TIMEOUT_S)
    return {
        name: History(
            {hour: average / 1000.0 for hour, average in series[f"f{number}_average"].items()},
            {hour: total / 1000.0 for hour, total in series[f"f{number}_sum"].items()},
            series[f"f{number}_concurrency"],
        )
        for number, name in enumerate(names)
    }

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
from refire_async.pacing.consumer_history import HOUR_S, History, lanes, least_rate, taken_by_others
from refire_async.pacing.watchers.functions import TIMEOUT_S, Function

BACK_S = 7 * 24 * HOUR_S
"""Period queried. One page: 168 hours of each figure (CloudWatch API: GetMetricData)."""

# Lambda Developer Guide: Types of metrics for Lambda functions. Duration is in milliseconds.
_FIGURES = {
    "average": ("Duration", "Average"),
    "sum": ("Duration", "Sum"),
    "at_once": ("ConcurrentExecutions", "Maximum"),
}


async def with_history(
    functions: Sequence[Function], services: Services, streams: StreamReader, table: Table, now: float
) -> tuple[Function, ...]:
    """The functions with what their history tells of their speed. One that cannot be known is no error."""
    try:
        found = await _query_history(services, [one.name for one in functions], now)
    except UnansweredError:
        return tuple(functions)
    shards = await _count_shards(streams, table)
    known = []
    for one in functions:
        history = found[one.name]
        at_once = lanes(history, one.parallelization, shards)
        known.append(
            replace(
                one,
                least_rate=least_rate(history, at_once, one.batch_size),
                others=taken_by_others(history, at_once),
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
    """The last hours of each function. Raises UnansweredError."""
    queries = [
        lambda_query(f"f{number}_{key}", metric, name, statistic, period_s=HOUR_S)
        for number, name in enumerate(names)
        for key, (metric, statistic) in _FIGURES.items()
    ]
    end = now - now % HOUR_S + HOUR_S
    series = await get_metric_data(services, queries, since=end - BACK_S, until=end, timeout_s=TIMEOUT_S)
    return {
        name: History(
            {hour: average / 1000.0 for hour, average in series[f"f{number}_average"].items()},
            {hour: total / 1000.0 for hour, total in series[f"f{number}_sum"].items()},
            series[f"f{number}_at_once"],
        )
        for number, name in enumerate(names)
    }

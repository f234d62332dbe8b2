"""The Lambda functions that read a table's stream, and their CloudWatch metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from refire_async.aws.cloudwatch import get_metric_data, lambda_query
from refire_async.aws.event_source_mappings import ask_mappings
from refire_async.aws.other_services import Services, UnansweredError
from refire_async.errors import RefusedError
from refire_async.model.table import Table
from refire_async.model.units import MINUTE_S, minute_of
from refire_async.pacing.consumer import BASELINE_AGE_S, FIRST_RATE, UNKNOWN_LIVE_SHARE

TIMEOUT_S = 10.0
_METRICS = (("IteratorAge", "Maximum"), ("Errors", "Sum"), ("Throttles", "Sum"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function that reads the stream. `baseline_age_s` is the age (s) of records at a function that keeps up.

    A batch has at most `batch_size` records; each shard has `parallelization` concurrent batches. Known before the
    run: it processes at least `min_rate` records/s, of which live events take the share `live_share` (0 to 1).
    """

    name: str
    baseline_age_s: float = BASELINE_AGE_S
    batch_size: int = 100
    parallelization: int = 1
    min_rate: float = FIRST_RATE
    live_share: float = UNKNOWN_LIVE_SHARE


@dataclass(frozen=True, slots=True)
class Figures:
    """Metrics of one function by minute (its first second since 1970): highest age in seconds, errors, throttles.

    A minute without invocations, or whose data points have not arrived yet, is missing.
    """

    ages: Mapping[int, float] = field(default_factory=dict)
    errors: Mapping[int, float] = field(default_factory=dict)
    throttles: Mapping[int, float] = field(default_factory=dict)


async def find_functions(services: Services, table: Table, now: float) -> tuple[Function, ...]:
    """The functions with an enabled mapping of the table's stream. Also checks that CloudWatch answers.

    Raises:
        RefusedError: there is no function, or a service does not answer. A run that cannot monitor its consumers must
            not begin if the user asked for that.
    """
    instead = "or run without --max-iterator-age and --max-consumer-errors"
    if not table.stream.enabled or table.stream.arn is None:
        raise RefusedError(
            f"table {table.name} has no stream and so no consumers", instead.removeprefix("or ")
        )
    try:
        mappings = await ask_mappings(services, table.stream.arn)
        found: dict[str, Function] = {}
        for mapping in mappings:
            name = mapping.function.partition(":")[0]  # the metrics of an alias are those of its function
            if mapping.enabled:
                found[name] = _slower(
                    found.get(name),
                    Function(
                        name=name,
                        baseline_age_s=BASELINE_AGE_S + mapping.window_s,
                        batch_size=mapping.batch_size,
                        parallelization=mapping.parallelization,
                    ),
                )
        if found:
            await query_figures(services, list(found), now - MINUTE_S, now)
    except UnansweredError as error:
        raise RefusedError(
            f"cannot monitor the consumers: {error}",
            f"allow lambda:ListEventSourceMappings and cloudwatch:GetMetricData, {instead}",
        ) from error
    if not found:
        raise RefusedError(
            f"no Lambda function reads the stream of table {table.name}", f"enable its mapping, {instead}"
        )
    return tuple(found.values())


def _slower(one: Function | None, other: Function) -> Function:
    """Merge two mappings of one function: the slower of each setting."""
    if one is None:
        return other
    return Function(
        name=one.name,
        baseline_age_s=max(one.baseline_age_s, other.baseline_age_s),
        batch_size=min(one.batch_size, other.batch_size),
        parallelization=min(one.parallelization, other.parallelization),
    )


async def query_figures(
    services: Services, functions: Sequence[str], since: float, now: float
) -> dict[str, Figures]:
    """The metrics of each function from the minute of `since` to that of `now` (seconds since 1970).

    Raises:
        UnansweredError: CloudWatch did not answer, or not in full.
    """
    # Lambda Developer Guide: Types of metrics for Lambda functions. IteratorAge is in milliseconds.
    queries = [
        lambda_query(f"f{number}_{metric.lower()}", metric, name, statistic)
        for number, name in enumerate(functions)
        for metric, statistic in _METRICS
    ]
    series = await get_metric_data(
        services, queries, since=since, until=minute_of(now) + MINUTE_S, timeout_s=TIMEOUT_S
    )
    return {
        name: Figures(
            {minute: age / 1000.0 for minute, age in series[f"f{number}_iteratorage"].items()},
            series[f"f{number}_errors"],
            series[f"f{number}_throttles"],
        )
        for number, name in enumerate(functions)
    }

"""The Lambda functions that read a table's stream, and what CloudWatch tells of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from refire_async.aws.cloudwatch import get_metric_data, lambda_query
from refire_async.aws.event_source_mappings import ask_mappings
from refire_async.aws.other_services import Services, UnansweredError
from refire_async.errors import RefusedError
from refire_async.model.table import Table
from refire_async.model.units import MINUTE_S, minute_of
from refire_async.pacing.consumer import BLURRED_S, FIRST_RATE, OTHERS_UNKNOWN

TIMEOUT_S = 10.0
_METRICS = (("IteratorAge", "Maximum"), ("Errors", "Sum"), ("Throttles", "Sum"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function, and the age (s) that records may have when it keeps up.

    It is handed `batch_size` records at most, and by each shard `parallelization` batches at the same time. What is
    known of it before the run: it handles `least_rate` records per second, and others take a share of that.
    """

    name: str
    blur_s: float = BLURRED_S
    batch_size: int = 100
    parallelization: int = 1
    least_rate: float = FIRST_RATE
    others: float = OTHERS_UNKNOWN


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one function, by minute (its first second since 1970): highest age in seconds, failures, refusals.

    A minute in which it was not invoked, and one whose figures have not come yet, is missing.
    """

    ages: Mapping[int, float] = field(default_factory=dict)
    errors: Mapping[int, float] = field(default_factory=dict)
    throttles: Mapping[int, float] = field(default_factory=dict)


async def find_functions(services: Services, table: Table, now: float) -> tuple[Function, ...]:
    """The functions with an enabled mapping of the table's stream. CloudWatch is asked too, whether it answers.

    Raises:
        RefusedError: there is none, or one of the services cannot be asked: who wants consumers to be looked after
            does not want a run that cannot.
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
                        blur_s=BLURRED_S + mapping.window_s,
                        batch_size=mapping.batch_size,
                        parallelization=mapping.parallelization,
                    ),
                )
        if found:
            await query_figures(services, list(found), now - MINUTE_S, now)
    except UnansweredError as error:
        raise RefusedError(
            f"consumers cannot be looked after: {error}",
            f"allow lambda:ListEventSourceMappings and cloudwatch:GetMetricData, {instead}",
        ) from error
    if not found:
        raise RefusedError(
            f"no Lambda function reads the stream of table {table.name}", f"enable its mapping, {instead}"
        )
    return tuple(found.values())


def _slower(one: Function | None, other: Function) -> Function:
    """What two mappings of the same function have in common: each is as slow as the slower of them."""
    if one is None:
        return other
    return Function(
        name=one.name,
        blur_s=max(one.blur_s, other.blur_s),
        batch_size=min(one.batch_size, other.batch_size),
        parallelization=min(one.parallelization, other.parallelization),
    )


async def query_figures(
    services: Services, functions: Sequence[str], since: float, now: float
) -> dict[str, Figures]:
    """The figures of each function from the minute of `since` to that of `now` (seconds since 1970).

    Raises:
        UnansweredError: CloudWatch could not be asked or did not answer in full.
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

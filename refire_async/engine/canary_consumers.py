"""How the stream's Lambda functions took a canary: CloudWatch is asked until it tells, for a while.

Metrics come a minute or two late (CloudWatch User Guide), so what is not known in time is reported as not known.
"""

import time
from collections.abc import Awaitable, Callable, Sequence

import anyio

from refire_async.aws.cloudwatch import Series, get_metric_data, lambda_query
from refire_async.aws.event_source_mappings import ask_mappings
from refire_async.aws.other_services import Services, UnansweredError
from refire_async.model.canary import Consumer, Consumers
from refire_async.model.units import MINUTE_S
from refire_async.preflight.probes import MOST_FUNCTIONS

SETTLE_S = 240.0
"""How long consumers have to show that they follow."""

FOLLOWS_S = 60.0
"""A consumer whose last batch is younger than this keeps up."""

_ASK_EVERY_S = 10.0
_METRICS = (("Invocations", "Sum"), ("Errors", "Sum"), ("IteratorAge", "Maximum"))


async def wait_for_consumers(
    services: Services,
    stream_arn: str,
    since: float,
    *,
    timeout_s: float = SETTLE_S,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Consumers:
    """The stream's consumers once each was invoked and keeps up, one fails, or `timeout_s` is over.

    `since` is when the canary began (seconds since the epoch), `now` the service's time.
    """
    try:
        mappings = await ask_mappings(services, stream_arn)
        functions = sorted({m.function.partition(":")[0] for m in mappings if m.enabled})[:MOST_FUNCTIONS]
        if not functions:
            return Consumers(unknown="no Lambda function is mapped to the stream")
        waited = 0.0
        while True:
            known = await _ask(services, functions, since, now())
            waiting = tuple(one.function for one in known if not _follows(one))
            if not waiting or any(one.errors for one in known):
                return Consumers(known)
            if waited >= timeout_s:
                return _timed_out(known)
            await sleep(_ASK_EVERY_S)
            waited += _ASK_EVERY_S
    except UnansweredError as error:
        return Consumers(unknown=str(error))


def _follows(consumer: Consumer) -> bool:
    return consumer.invocations > 0 and consumer.age_s is not None and consumer.age_s < FOLLOWS_S


def _timed_out(known: tuple[Consumer, ...]) -> Consumers:
    behind = tuple(one.function for one in known if one.age_s is not None and one.age_s >= FOLLOWS_S)
    silent = [one.function for one in known if one.age_s is None or not one.invocations]
    unknown = f"CloudWatch has told nothing yet of {', '.join(silent)}" if silent else None
    return Consumers(known, unknown, behind)


async def _ask(
    services: Services, functions: Sequence[str], since: float, until: float
) -> tuple[Consumer, ...]:
    queries = [
        lambda_query(f"f{n}_{metric.lower()}", metric, name, statistic)
        for n, name in enumerate(functions)
        for metric, statistic in _METRICS
    ]
    series = await get_metric_data(services, queries, since=since, until=until + MINUTE_S)
    return tuple(_consumer(name, n, series) for n, name in enumerate(functions))


def _consumer(name: str, number: int, series: dict[str, Series]) -> Consumer:
    ages = series[f"f{number}_iteratorage"]
    return Consumer(
        name,
        invocations=sum(series[f"f{number}_invocations"].values()),
        errors=sum(series[f"f{number}_errors"].values()),
        age_s=ages[max(ages)] / 1000 if ages else None,
    )

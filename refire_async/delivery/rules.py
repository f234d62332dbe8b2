"""How records become batches, and what follows a failed one: the settings of an event source mapping."""

from dataclasses import dataclass, fields, replace

from refire_async.aws.event_source_mappings import Mapping
from refire_async.aws.pipes import Pipe
from refire_async.errors import RefusedError
from refire_async.settings import DeliverySettings

DEFAULT_BATCH = 100
"""Records per batch where neither an option nor a mapping says otherwise (Lambda's default for DynamoDB)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRules:
    """The settings of a delivery, as an event source mapping has them (Lambda API reference: EventSourceMapping).

    `window_s` is how long a batch may wait to fill, `parallelization` the lanes per shard. `retries` is per batch and
    `max_record_age_s` in seconds; None stands for no limit. `bisect` halves a batch after a function error,
    `partial_failures` reads `batchItemFailures` in the answer. `filters` are patterns as JSON texts; a record passes
    if it matches one of them, or if there are none.
    """

    batch_size: int = DEFAULT_BATCH
    window_s: float = 0.0
    parallelization: int = 1
    retries: int | None = None
    max_record_age_s: float | None = None
    bisect: bool = False
    partial_failures: bool = False
    filters: tuple[str, ...] = ()


LARGEST_BATCH = 10_000
MOST_LANES = 10
LONGEST_WINDOW_S = 300.0
"""Bounds of a mapping's settings (Lambda API reference: CreateEventSourceMapping)."""


def rules_of(reader: Mapping | Pipe) -> DeliveryRules:
    """The rules of the event source mapping or pipe.

    Raises:
        RefusedError: its filters are encrypted, and the key may not be used.
    """
    if reader.filters is None:
        raise RefusedError(
            f"the filters of {reader.function} are encrypted and cannot be read",
            "allow kms:Decrypt on their key, or give --filter-pattern",
        )
    return DeliveryRules(
        batch_size=min(max(reader.batch_size, 1), LARGEST_BATCH),
        window_s=min(max(float(reader.window_s), 0.0), LONGEST_WINDOW_S),
        parallelization=min(max(reader.parallelization, 1), MOST_LANES),
        retries=_limit(reader.max_retries),
        max_record_age_s=_limit(reader.max_age_s),
        bisect=reader.bisects,
        partial_failures=reader.partial_failures,
        filters=reader.filters,
    )


def _limit(value: int | None) -> int | None:
    """Lambda says "no limit" by -1 or by leaving the member out."""
    return None if value is None or value < 0 else value


def with_options(rules: DeliveryRules, settings: DeliverySettings) -> DeliveryRules:
    """The rules with what the user's options override. An option that is None leaves the rule as it is.

    Retries may be UNLIMITED, as Lambda writes it.
    """
    given = {
        one.name: getattr(settings, one.name)
        for one in fields(rules)
        if getattr(settings, one.name) is not None
    }
    if "retries" in given:
        given["retries"] = _limit(given["retries"])
    return replace(rules, **given)


def describe_rules(rules: DeliveryRules) -> str:
    """The rules in one line: `up to 100 records, 2 at a time per shard, 3 retries, halved after an error`."""
    words = [f"up to {rules.batch_size:,} records"]
    if rules.window_s:
        words.append(f"gathered for {rules.window_s:g} s")
    words.append(f"{rules.parallelization} at a time per shard")
    words.append("retries without limit" if rules.retries is None else f"{rules.retries:,} retries")
    if rules.max_record_age_s is not None:
        words.append(f"none older than {rules.max_record_age_s:,.0f} s")
    if rules.bisect:
        words.append("halved after an error")
    if rules.partial_failures:
        words.append("partial failures")
    if rules.filters:
        words.append(f"{len(rules.filters)} filter pattern{'s' * (len(rules.filters) > 1)}")
    return ", ".join(words)

"""Rules about consumers: which exist, which events their filters pass, whether they keep up. Pure."""

from refire_async.aws.event_filters import FilterError, Match, mentions, parse
from refire_async.aws.event_source_mappings import Mapping
from refire_async.model.finding import Finding
from refire_async.model.units import STREAM_RETENTION_S
from refire_async.preflight import findings
from refire_async.preflight.emission import Emission, emission_of
from refire_async.preflight.facts import Facts
from refire_async.preflight.record import any_event, passes, refired

BATCHES_PER_S = 4.0
"""Batches per second of one concurrent invocation at 250 ms per batch: the interval at which Lambda polls an idle shard
(Lambda Developer Guide: Using Lambda with DynamoDB), and a typical duration."""

SHARD_RECORDS_PER_S = 1_000.0
"""Of a Kinesis shard (Kinesis Data Streams Developer Guide: Quotas and limits)."""

BEHIND_S = 60.0
CATCH_UP_S = 60.0
"""A backlog that is processed within this time after the run is no finding."""


def check_consumers(facts: Facts) -> list[Finding]:
    """All findings about Lambda mappings and Kinesis destinations."""
    emission = emission_of(facts)
    found = _kinesis(facts, emission)
    mappings = facts.mappings
    if facts.run.table.stream.enabled and mappings is not None:
        passing = [_passes_refires(mapping, facts) for mapping in mappings]
        if not mappings and not facts.kinesis:
            found.append(
                findings.NO_CONSUMER.found(
                    "no Lambda function is mapped to the stream, and no other reader is known"
                )
            )
        if mappings and not facts.kinesis and not any(passing):
            found.append(
                findings.NO_LISTENER.found(
                    f"none of the stream's {len(mappings)} event source mappings is enabled and passes re-fired events"
                )
            )
        for mapping in mappings:
            found += _mapping(mapping, facts)
            if mapping.enabled:
                found += _keeps_up(mapping, facts, emission)
    found += _health(facts)
    if facts.run.table.stream.enabled or facts.kinesis:
        name = facts.run.marker_attribute
        found.append(
            findings.CONSUMER_EFFECTS.found(
                f"re-fired events are MODIFY and change {name} only: consumers add up totals and send messages again, "
                "see no other change between the images, and do nothing if they wait for INSERT"
            )
        )
    return found


def filter_match(mapping: Mapping, facts: Facts) -> tuple[Match, Match]:
    """Whether re-fired events pass the mapping's filters, and whether any event of theirs would."""
    if mapping.filters is None:
        return Match.MAY, Match.MAY
    if not mapping.filters:
        return Match.ALWAYS, Match.ALWAYS
    run = facts.run
    result = []
    for record in (refired(run), any_event(run)):
        try:
            result.append(max(passes(parse(text), run, record) for text in mapping.filters))
        except FilterError:
            # Lambda took it, so it means something to Lambda.
            result.append(Match.MAY)
    return result[0], result[1]


def _passes_refires(mapping: Mapping, facts: Facts) -> bool:
    return mapping.enabled and filter_match(mapping, facts)[0] is not Match.NEVER


def _mapping(mapping: Mapping, facts: Facts) -> list[Finding]:
    """Findings about its state and its filters."""
    name = mapping.function
    found = []
    if not mapping.enabled:
        found.append(findings.MAPPING_DISABLED.found(f"the event source mapping of {name} is disabled"))
    touch, any_kind = filter_match(mapping, facts)
    if touch is Match.NEVER and any_kind is not Match.NEVER:
        found.append(
            findings.FILTER_NO_MODIFY.found(
                f"the filters of {name} do not match MODIFY, which re-fired events are"
            )
        )
    elif touch is Match.NEVER:
        found.append(findings.FILTER_NO_MATCH.found(f"the filters of {name} cannot match a re-fired event"))
    elif mapping.filters:
        found += _partial(mapping, touch)
    elif mapping.filters is None:
        found.append(
            findings.NOT_ASKED.found(
                f"the filters of {name} are encrypted and cannot be read with these credentials"
            )
        )
    return found


def _partial(mapping: Mapping, touch: Match) -> list[Finding]:
    name, filters = mapping.function, mapping.filters or ()
    found = []
    patterns = []
    for text in filters:
        try:
            patterns.append(parse(text))
        except FilterError:
            continue
    if touch is Match.MAY:
        if any(mentions(pattern, "OldImage") for pattern in patterns):
            found.append(
                findings.FILTER_OLD_IMAGE.found(
                    f"the filters of {name} use OldImage, which equals NewImage but for the marker"
                )
            )
        else:
            found.append(
                findings.FILTER_SOME.found(
                    f"the filters of {name} match only some items; which ones is not known"
                )
            )
    if any(mentions(pattern, "INSERT") for pattern in patterns):
        found.append(
            findings.FILTER_INSERT.found(
                f"the filters of {name} name INSERT: the function may treat a MODIFY differently"
            )
        )
    return found


def _keeps_up(mapping: Mapping, facts: Facts, emission: Emission) -> list[Finding]:
    """Whether it keeps up, and what happens to records that wait."""
    name, rate = mapping.function, emission.records_per_s
    found = []
    seconds = emission.seconds
    if facts.open_shards:
        at_once = facts.open_shards * mapping.parallelization
        takes = at_once * mapping.batch_size * BATCHES_PER_S
        each = f"{facts.open_shards:,} shards x {mapping.parallelization}, batches of {mapping.batch_size:,}"
        backlog = (emission.items or 0) * max(0.0, 1 - takes / rate)
        if backlog / takes > CATCH_UP_S:
            found.append(
                findings.CONSUMER_SLOW.found(
                    f"{name} ({each}) processes {_number(takes)} records/s at 250 ms per batch, "
                    f"and the run emits up to {_number(rate)}: {round(backlog):,} would wait at its end"
                )
            )
        else:
            found.append(
                findings.CONSUMER_LOAD.found(
                    f"{name} ({each}) gets up to {_number(rate)} records/s, "
                    f"{_number(rate / at_once)} in each of {at_once:,} concurrent invocations"
                )
            )
    limit_s = mapping.max_age_s
    if (
        limit_s is not None
        and limit_s >= 0
        and seconds is not None
        and limit_s < min(seconds, STREAM_RETENTION_S)
    ):
        older = f"records older than {limit_s:,} s"
        loses = (
            f"sends {older} to its failure destination"
            if mapping.has_failure_destination
            else f"drops {older}"
        )
        found.append(findings.RECORDS_EXPIRE.found(f"{name} {loses}, and the run takes {round(seconds):,} s"))
    endless = mapping.max_retries in (None, -1) and (limit_s is None or limit_s < 0)
    if endless and not mapping.bisects:
        found.append(
            findings.CONSUMER_BLOCKS.found(
                f"{name} retries a failing batch for up to 24 hours, which blocks its shard"
            )
        )
    return found


def _health(facts: Facts) -> list[Finding]:
    found = []
    for health in facts.health:
        if health.iterator_age_s is not None and health.iterator_age_s > BEHIND_S:
            found.append(
                findings.CONSUMER_BEHIND.found(
                    f"{health.function} is already up to {_number(health.iterator_age_s)} s behind its stream"
                )
            )
        if health.errors or health.throttles:
            found.append(
                findings.CONSUMER_FAILING.found(
                    f"{health.function} had {_number(health.errors or 0)} errors and was throttled "
                    f"{_number(health.throttles or 0)} times in the last 15 minutes"
                )
            )
    return found


def _kinesis(facts: Facts, emission: Emission) -> list[Finding]:
    found = []
    for stream in facts.kinesis:
        name = stream.arn.rpartition("/")[2]
        found.append(
            findings.KINESIS_DESTINATION.found(f"changes are also sent to Kinesis data stream {name}")
        )
        if stream.shards is not None and stream.shards * SHARD_RECORDS_PER_S < emission.records_per_s:
            found.append(
                findings.KINESIS_SLOW.found(
                    f"Kinesis data stream {name} accepts {_number(stream.shards * SHARD_RECORDS_PER_S)} records/s, "
                    f"and the run emits up to {_number(emission.records_per_s)}"
                )
            )
    return found


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:,.3g}"

"""`redrive`: failed batches out of a queue, S3 or a file, delivered again."""

from dataclasses import replace
from functools import partial

import orjson

from refire_async.aws.session import Session, open_session
from refire_async.delivery.failed_batch import FailedBatch, merge
from refire_async.delivery.patterns import Patterns
from refire_async.delivery.sink import Preview
from refire_async.delivery.sources.failed_batches import FailedBatches
from refire_async.delivery.sources.failures import Failures, open_failures
from refire_async.delivery.spec import DeliverySpec
from refire_async.engine.delivering import Prepared, run_prepared
from refire_async.engine.delivery_target import find_target
from refire_async.engine.questions import Confirm
from refire_async.errors import RefusedError, UsageError
from refire_async.events import Emit, ignore
from refire_async.model.delivery import DeliveryResult
from refire_async.model.finding import Finding
from refire_async.model.run import new_run_id
from refire_async.model.stop import StopRequest
from refire_async.preflight.findings import RANGE_HOLDS_OTHERS, RECORDS_TRIMMED
from refire_async.settings import RedriveSettings

_READERS = 16
_MOST_NAMED = 3


async def redrive(
    settings: RedriveSettings,
    *,
    emit: Emit = ignore,
    stop: StopRequest | None = None,
    confirm: Confirm | None = None,
) -> DeliveryResult:
    """Deliver failed batches again, in ascending order per shard.

    `emit` is called with each event and must return at once. `stop` ends the delivery in order. `confirm` answers
    whether to deliver what the preview found; without it, `assume_yes` must be set.

    Raises:
        RefireError: the redrive could not begin. Once it has begun, every end is a result.
    """
    stop = stop or StopRequest()
    async with (
        open_session(settings.connection, _READERS) as session,
        open_failures(session.services, settings.source, emit, keep=settings.keep) as failures,
    ):
        batches = await failures.collect(stop, settings.delivery.ignore)
        prepared = await _prepare(session, settings, failures, batches, emit)
        return await run_prepared(prepared, emit=emit, stop=stop, confirm=confirm)


async def _prepare(
    session: Session, settings: RedriveSettings, failures: Failures, batches: list[FailedBatch], emit: Emit
) -> Prepared:
    _check_region(session, batches)
    delivery = settings.delivery
    if delivery.to is None and delivery.function is None:
        delivery = replace(delivery, function=_only_function(batches))
    stream_arn = batches[0].stream_arn if batches else None
    target = await find_target(session, delivery, stream_arn)
    ranges = merge(batches)
    source = FailedBatches(
        ranges,
        session.streams,
        Patterns(target.rules.filters),
        target.rules,
        emit=emit,
        settled=failures.settle,
        now=session.clock.now,
    )
    spec = DeliverySpec(
        run_id=delivery.run_id or new_run_id(),
        command="redrive",
        source=settings.source,
        function=target.function,
        rules=target.rules,
        stream_arn=stream_arn,
        selection=orjson.dumps(
            {"to": delivery.to, "whole_events": delivery.whole_events, "keep": settings.keep}
        ).decode(),
    )
    return Prepared(
        spec=spec,
        settings=delivery,
        connection=settings.connection,
        source=source,
        target=target,
        findings=partial(_findings, source),
        begins=failures.count_in,
        clock=session.clock.now,
    )


def _findings(source: FailedBatches, preview: Preview) -> list[Finding]:
    found = []
    if source.mismatches:
        more = len(source.mismatches) - _MOST_NAMED
        named = "; ".join(
            f"{one.name} holds {number:,} records and its batches had {one.expected:,}"
            for one, number in source.mismatches[:_MOST_NAMED]
        )
        found.append(RANGE_HOLDS_OTHERS.found(named + (f"; and {more:,} more ranges" if more > 0 else "")))
    if preview.skipped.lost:
        found.append(
            RECORDS_TRIMMED.found(
                f"{preview.skipped.lost:,} records of failed batches are no longer in the stream"
            )
        )
    return found


def _only_function(batches: list[FailedBatch]) -> str:
    """The function that all batches were for. Raises UsageError."""
    functions = {batch.function for batch in batches if batch.function is not None}
    if len(functions) == 1:
        return functions.pop()
    if functions:
        names = ", ".join(sorted(functions)[:_MOST_NAMED])
        raise UsageError(
            f"the failed batches are those of {len(functions)} functions: {names}", "name one with --function"
        )
    what = "the failed batches name no function" if batches else "there is no failed batch in the source"
    raise UsageError(what, "name one with --function" if batches else "check the source")


def _check_region(session: Session, batches: list[FailedBatch]) -> None:
    """Refuse streams of another region: they would look as if all of their records were gone."""
    if not session.route.endpoint.is_aws:
        return
    for batch in batches:
        region = batch.stream_arn.split(":")[3]
        if region != session.region:
            raise RefusedError(
                f"{batch.where} is about a stream in {region}, and the session is in {session.region}",
                f"give --region {region}",
            )

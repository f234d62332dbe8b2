"""Replays and redrives, from their settings to their result: preview, question, ledger, dispatcher, summary."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Protocol

import anyio
import orjson
from anyio import to_thread

from refire_async.aws.config import configured
from refire_async.checkpoint import catalog
from refire_async.checkpoint.identity import merge_connections
from refire_async.checkpoint.lock import locked
from refire_async.delivery.failures import FailuresFile, failures_path
from refire_async.delivery.invoking import DeliveryContext
from refire_async.delivery.journal import Journal
from refire_async.delivery.ledger import Ledger
from refire_async.delivery.pace import Pace
from refire_async.delivery.run import open_journal, run_delivery
from refire_async.delivery.saved import SavedDelivery, peek
from refire_async.delivery.sink import Preview, Source
from refire_async.delivery.spec import DeliverySpec, refuse_other
from refire_async.engine.delivery_control import DeliveryControl
from refire_async.engine.delivery_target import FoundTarget
from refire_async.engine.questions import Confirm
from refire_async.engine.summary import exit_code_of
from refire_async.errors import (
    CheckpointRefusedError,
    ExitCode,
    RefireError,
    RefusedError,
    StoppedError,
    UsageError,
    first_of,
)
from refire_async.events import DeliveryEnded, DeliveryStarted, Emit, Noticed
from refire_async.model.address import TableAddress
from refire_async.model.delivery import (
    DeliveryCounts,
    DeliveryOutlook,
    DeliveryResult,
    DeliverySummary,
)
from refire_async.model.finding import Finding
from refire_async.model.run import RunStatus
from refire_async.model.stop import StopRequest
from refire_async.pacing.outage import Outage
from refire_async.pacing.watchers.operator import answer_operator
from refire_async.planning.forecast.cost import DEFAULT_PRICES
from refire_async.planning.forecast.delivery import (
    READS,
    DeliveryForecast,
    DeliveryLoad,
    DeliverySpeed,
    forecast_delivery,
)
from refire_async.preflight.rules import refuse
from refire_async.settings import (
    UNLIMITED,
    Connection,
    DeliverySettings,
    RedriveSettings,
    ReplaySettings,
    ResumeSettings,
    SelectionSettings,
)


class Attempt(Protocol):
    """One attempt of a delivery. `expected` is the number of records of a new one, None for a resumed one."""

    async def __call__(
        self,
        prepared: "Prepared",
        ledger: Ledger,
        saved: SavedDelivery,
        expected: int | None,
        *,
        emit: Emit,
        stop: StopRequest,
    ) -> DeliveryResult: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A replay or redrive that can begin: everything about its source and its target is known.

    `findings` is what deserves attention before it begins, beside what the target says. `begins` is called with the
    counts of the attempt, for what the source counts by itself. `repeats` is a line about what a resume may deliver
    again beside the batches that it names. `reads_stream`: the records come from the stream itself. `attempt` delivers
    in another way than by invoking the target from here.
    """

    spec: DeliverySpec
    settings: DeliverySettings
    connection: Connection
    source: Source
    target: FoundTarget
    findings: Callable[[Preview], list[Finding]] = field(default=lambda _preview: [])
    begins: Callable[[DeliveryCounts], None] = field(default=lambda _counts: None)
    repeats: str = ""
    reads_stream: bool = False
    clock: Callable[[], float] = time.time
    attempt: Attempt | None = None

    @property
    def concurrency(self) -> int:
        """Invocations at a time."""
        return self.settings.concurrency or self.target.concurrency


async def run_prepared(
    prepared: Prepared, *, emit: Emit, stop: StopRequest, confirm: Confirm | None
) -> DeliveryResult:
    """Show what there is to deliver, ask, and deliver it, or continue what an earlier attempt left.

    Raises:
        RefireError: it could not begin. Once it has begun, every end is a result.
    """
    settings = prepared.settings
    run_id = prepared.spec.run_id
    attempt = prepared.attempt or _invoke
    path = settings.checkpoint or catalog.path_of(run_id)
    if not settings.dry_run and path.exists():
        with locked(path), closing(await to_thread.run_sync(Ledger.open, path)) as ledger:
            saved = await to_thread.run_sync(ledger.load)
            refuse_other(path, saved.spec, replace(prepared.spec, run_id=saved.spec.run_id))
            return await attempt(prepared, ledger, saved, None, emit=emit, stop=stop)
    preview = await prepared.source.preview()
    _stop_early(stop)
    findings = [*prepared.target.findings, *prepared.findings(preview)]
    outlook = _outlook(prepared, preview, findings)
    for finding in findings:
        emit(Noticed(finding))
    if settings.dry_run:
        return _dry_result(prepared, run_id, outlook)
    refuse(findings, settings.ignore)
    await _ask(prepared, outlook, confirm)
    _stop_early(stop)
    spec = replace(prepared.spec, run_id=run_id, limits_age=settings.max_record_age_s is not None)
    with locked(path):
        await to_thread.run_sync(FailuresFile(failures_path(path)).check)
        make = partial(Ledger.create, path, spec, configured(prepared.connection))
        with closing(await to_thread.run_sync(make)) as ledger:
            saved = await to_thread.run_sync(ledger.load)
            try:
                result = await attempt(prepared, ledger, saved, preview.records, emit=emit, stop=stop)
            except (UsageError, RefusedError):  # such as a target that cannot be opened: nothing has begun
                await to_thread.run_sync(catalog.discard, path)
                raise
        if result.exit_code is ExitCode.REFUSED:
            await to_thread.run_sync(catalog.discard, path)
            result = replace(result, summary=replace(result.summary, checkpoint=None))
        return result


def started(ledger: Ledger, saved: SavedDelivery, *, resumed: bool, expected: int | None) -> DeliveryStarted:
    """The event of an attempt that begins, with `expected` records to deliver in all (None: unknown)."""
    spec = saved.spec
    return DeliveryStarted(
        run_id=spec.run_id,
        source=spec.source,
        function=spec.function,
        resumed=resumed,
        expected=expected,
        checkpoint=str(ledger.path),
        counts=replace(saved.counts),
    )


def saved_spec(settings: DeliverySettings) -> DeliverySpec | None:
    """What an earlier attempt of the delivery was begun with; None if there is none. Raises CheckpointRefusedError."""
    path = settings.checkpoint
    if path is None and settings.run_id is not None:
        path = catalog.path_of(settings.run_id)
    return peek(path).spec if path is not None and path.exists() and not settings.dry_run else None


def _stop_early(stop: StopRequest) -> None:
    if stop.reason is not None:
        error = StoppedError("stopped before the first invocation; nothing was delivered")
        if stop.reason == "interrupted":
            error.exit_code = ExitCode.INTERRUPTED
        raise error


def _outlook(prepared: Prepared, preview: Preview, findings: Sequence[Finding]) -> DeliveryOutlook:
    spec, forecast = prepared.spec, _forecast(prepared, preview)
    return DeliveryOutlook(
        command=spec.command,
        source=spec.source,
        function=spec.function,
        version=prepared.target.version,
        records=preview.records,
        invocations=preview.batches,
        size_bytes=preview.size_bytes,
        first_at=preview.first_at,
        last_at=preview.last_at,
        by_kind=preview.by_kind,
        filtered=preview.skipped.filtered,
        lost=preview.skipped.lost,
        cost_usd=forecast.cost.requests + forecast.cost.reads,
        run_cost_usd=forecast.cost.run_time,
        seconds=forecast.seconds,
        bound_by=forecast.bound_by,
        plan=forecast.to_json(),
        mapping=prepared.target.mapping,
        warnings=tuple(f"{finding.message}; {finding.action}" for finding in findings),
        stale_keys=preview.stale_keys,
        samples=preview.samples,
    )


def _forecast(prepared: Prepared, preview: Preview) -> DeliveryForecast:
    """The time and cost of the delivery if nothing fails."""
    settings = prepared.settings
    load = DeliveryLoad(
        records=preview.records,
        size_bytes=preview.size_bytes,
        invocations=preview.batches,
        busiest_lane=preview.busiest_lane or 0,
        reads=READS if prepared.reads_stream else 0,
    )
    speed = DeliverySpeed(
        concurrency=prepared.concurrency,
        batch_s=prepared.target.batch_s,
        max_rate=settings.max_rate,
        memory_mb=prepared.target.memory_mb,
    )
    if prepared.target.is_local:  # a file or a local handler costs nothing
        return forecast_delivery(load, speed, replace(DEFAULT_PRICES, lambda_million=0.0))
    return forecast_delivery(load, speed)


async def _ask(prepared: Prepared, outlook: DeliveryOutlook, confirm: Confirm | None) -> None:
    """Raises UsageError without a terminal, RefusedError if the answer is no."""
    if prepared.target.is_local or prepared.settings.assume_yes:
        return
    if confirm is None:
        raise UsageError(
            f"{outlook.records:,} records would be delivered to {outlook.function}, "
            "and there is no terminal to confirm it",
            "look with --dry-run, then give --yes",
        )
    if not await confirm(outlook):
        raise RefusedError("not confirmed, so nothing was delivered", "answer y, or use --yes")


async def _invoke(
    prepared: Prepared,
    ledger: Ledger,
    saved: SavedDelivery,
    expected: int | None,
    *,
    emit: Emit,
    stop: StopRequest,
) -> DeliveryResult:
    """An attempt that invokes the target from here."""
    settings = prepared.settings
    # What is the same in every attempt comes from the ledger.
    spec = saved.spec
    failures = FailuresFile(failures_path(ledger.path))
    journal = open_journal(ledger, saved, failures, emit)
    prepared.begins(journal.counts)
    emit(started(ledger, saved, resumed=expected is None, expected=expected))
    concurrency = prepared.concurrency
    status: RunStatus = "stopped"
    failure: RefireError | None = None
    try:
        async with prepared.target.open(concurrency=concurrency, resumed=expected is None) as target:
            pace = Pace(concurrency, settings.max_rate)
            control = DeliveryControl(spec.run_id, pace, emit, settings.max_rate)
            context = DeliveryContext(
                target=target,
                rules=prepared.spec.rules,
                journal=journal,
                pace=pace,
                outage=Outage(settings.give_up_after_s, emit),
                stop=stop,
                emit=emit,
                stream_arn=spec.stream_arn,
                clock=prepared.clock,
                aging_from=-math.inf
                if spec.limits_age
                else datetime.fromisoformat(saved.created_at).timestamp(),
            )
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(answer_operator, ledger.path, {"rate": control.rate_verb()}, emit)
                if prepared.target.follow is not None:
                    tasks.start_soon(prepared.target.follow, control)
                status = await run_delivery(prepared.source, context, saved)
                tasks.cancel_scope.cancel()
    except* RefireError as group:
        failure = first_of(group)
    finally:
        failures.close()
    if failure is not None:
        raise failure
    counts = journal.counts
    code, reason = exit_code_of(status, counts.failed + counts.lost, stop, wrote=counts.invocations > 0)
    summary = DeliverySummary(
        run_id=spec.run_id,
        source=spec.source,
        function=spec.function,
        status="failed" if code is ExitCode.REFUSED else status,
        counts=replace(counts, selected=counts.delivered + counts.failed),
        seconds=journal.seconds,
        checkpoint=str(ledger.path),
        failed_records_file=str(failures.path) if counts.failed else None,
    )
    emit(DeliveryEnded(summary))
    return DeliveryResult(
        spec.command, summary, code, reason, _repeats(prepared, journal, resumed=expected is None)
    )


def _repeats(prepared: Prepared, journal: Journal, *, resumed: bool) -> tuple[str, ...]:
    """The batches that may have run twice, a line each."""
    lines = tuple(map(str, journal.doubtful))
    return (*lines, prepared.repeats) if resumed and prepared.repeats else lines


def _dry_result(prepared: Prepared, run_id: str, outlook: DeliveryOutlook) -> DeliveryResult:
    counts = DeliveryCounts(
        selected=outlook.records,
        filtered=outlook.filtered,
        lost=outlook.lost,
        invocations=outlook.invocations,
    )
    spec = prepared.spec
    summary = DeliverySummary(
        run_id=run_id,
        source=spec.source,
        function=spec.function,
        status="dry-run",
        counts=counts,
        seconds=0.0,
        checkpoint=None,
        failed_records_file=None,
    )
    return DeliveryResult(spec.command, summary, ExitCode.COMPLETE, outlook=outlook)


def resumed(settings: ResumeSettings, connection: Connection) -> ReplaySettings | RedriveSettings:
    """The settings of a delivery that is to be continued: those that its ledger holds.

    Its connection too, but the values of `connection`, which the user gave, take precedence.

    Raises CheckpointRefusedError if it cannot be read, or says something that no delivery has.
    """
    if isinstance(checkpoint := settings.checkpoint, TableAddress):
        raise CheckpointRefusedError(f"{checkpoint} has no delivery", "a delivery is in a file")
    saved = peek(checkpoint)
    merged = merge_connections(saved.connection, connection, configured(connection))
    try:
        again = _from_spec(saved.spec, settings, merged)
    except (KeyError, TypeError, ValueError):
        raise CheckpointRefusedError(
            f"checkpoint {checkpoint} does not say what its delivery selects", "begin a new one"
        ) from None
    return replace(again, delivery=replace(again.delivery, checkpoint=checkpoint))


def _from_spec(
    spec: DeliverySpec, settings: ResumeSettings, connection: Connection
) -> ReplaySettings | RedriveSettings:
    chosen = orjson.loads(spec.selection)
    rules = spec.rules
    delivery = DeliverySettings(
        function=None if chosen["to"] is not None else spec.function,
        to=chosen["to"],
        whole_events=chosen["whole_events"],
        batch_size=rules.batch_size,
        window_s=rules.window_s,
        parallelization=rules.parallelization,
        retries=UNLIMITED if rules.retries is None else rules.retries,
        max_record_age_s=rules.max_record_age_s,
        bisect=rules.bisect,
        partial_failures=rules.partial_failures,
        filters=rules.filters,
        how=chosen.get("how", "direct"),
        max_rate=settings.budget.max_rate,
        max_iterator_age_s=settings.pacing.max_iterator_age_s,
        give_up_after_s=settings.tuning.give_up_after_s,
        assume_yes=settings.assume_yes,
        ignore=settings.ignore,
    )
    again: ReplaySettings | RedriveSettings
    if spec.command == "redrive":
        again = RedriveSettings(
            source=spec.source, delivery=delivery, connection=connection, keep=chosen["keep"]
        )
    else:
        selection = chosen["selection"]
        again = ReplaySettings(
            table=spec.table or "",
            delivery=delivery,
            connection=connection,
            since=spec.since,
            until=spec.until,
            exports=tuple(chosen["exports"]),
            as_event=chosen["as_event"],
            kinds=frozenset(chosen["kinds"]),
            selection=SelectionSettings(
                **{
                    **selection,
                    "key_values": tuple(selection["key_values"]),
                    "names": tuple(map(tuple, selection["names"])),
                    "values": tuple(map(tuple, selection["values"])),
                    "where_words": tuple(selection["where_words"]),
                }
            ),
            latest_per_key=chosen["latest_per_key"],
        )
    return again

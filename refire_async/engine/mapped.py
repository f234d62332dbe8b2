"""`replay --how mapping`: a temporary event source mapping of Lambda's own delivers the window from the stream.

The ledger says what is about to be made before it is made, so that a later attempt, or `refire forget`, finds it again
and takes it away. The original mapping is never touched.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio

from refire_async import failpoints
from refire_async.aws.event_source_mappings import Mapping
from refire_async.aws.function_names import parse_function
from refire_async.aws.other_services import Services
from refire_async.aws.session import open_session
from refire_async.aws.temporary_mapping import MappingPlane, alias_name
from refire_async.checkpoint.lock import locked
from refire_async.delivery.ledger import Ledger
from refire_async.delivery.mapping_filters import window_patterns
from refire_async.delivery.mapping_watch import Verdict, Watch
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.saved import SavedDelivery, peek
from refire_async.delivery.window import Window
from refire_async.engine.delivering import Prepared, started
from refire_async.engine.delivery_target import FoundTarget
from refire_async.engine.mapping_book import MappingBook, MappingState, read_state
from refire_async.engine.mapping_progress import Progress
from refire_async.engine.summary import exit_code_of
from refire_async.errors import ExitCode, RefireError, StoppedError, UsageError
from refire_async.events import DeliveryCounted, DeliveryEnded, Emit
from refire_async.model.delivery import DeliveryResult, DeliverySummary
from refire_async.model.run import RunStatus
from refire_async.model.stop import StopRequest
from refire_async.settings import UNLIMITED, ReplaySettings, SelectionSettings

LEAST_AGE_S, MOST_AGE_S = 60, 604_800
"""Bounds of MaximumRecordAgeInSeconds (Lambda API reference: CreateEventSourceMapping)."""

CANCELLED_S = 30.0
"""After a second Ctrl-C, how long taking away may take (s)."""


def check_mapping(settings: ReplaySettings) -> None:
    """Refuse what a mapping cannot do. Raises UsageError."""
    delivery = settings.delivery
    refused = {
        "--export": bool(settings.exports),
        "--as": settings.as_event is not None,
        "--latest-per-key": settings.latest_per_key,
        "--to": delivery.to is not None,
        "--concurrency": delivery.concurrency is not None,
        "--max-rate": delivery.max_rate is not None,
        "--max-iterator-age": delivery.max_iterator_age_s is not None,
        "a selection by keys or conditions": settings.selection != SelectionSettings(),
    }
    for what, given in refused.items():
        if given:
            raise UsageError(f"--how mapping and {what} cannot be combined", "use --how direct")
    if settings.since is None:
        raise UsageError("--how mapping needs --since", "say since when, for example --since 2h")


def by_mapping(
    prepared: Prepared, services: Services, target: FoundTarget, settings: ReplaySettings
) -> Prepared:
    """The same delivery, done by a temporary mapping. Raises UsageError where patterns cannot hold its window."""
    since = -math.inf if settings.since is None else settings.since
    until = math.inf if settings.until is None else settings.until
    patterns = window_patterns(target.rules.filters, Window(since, until), settings.kinds)
    original = target.reader if isinstance(target.reader, Mapping) else None
    delivery = MappedDelivery(services, target.name, target.version, target.timeout_s, patterns, original)
    described = f"{target.mapping}, by a temporary event source mapping"
    return replace(prepared, target=replace(target, mapping=described), attempt=delivery.attempt)


def mapping_settings(
    rules: DeliveryRules, patterns: tuple[str, ...], original: Mapping | None, older_s: float
) -> dict[str, Any]:
    """What CreateEventSourceMapping takes for these rules. Pure.

    A limit on the age of records is extended by `older_s`, the age of the window: records that are delivered again are
    old by intent.
    """
    age_s = rules.max_record_age_s
    if age_s is not None:
        age_s = min(max(math.ceil(age_s + older_s), LEAST_AGE_S), MOST_AGE_S)
    made: dict[str, Any] = {
        "BatchSize": rules.batch_size,
        "MaximumBatchingWindowInSeconds": round(rules.window_s),
        "ParallelizationFactor": rules.parallelization,
        "MaximumRetryAttempts": UNLIMITED if rules.retries is None else rules.retries,
        "MaximumRecordAgeInSeconds": UNLIMITED if age_s is None else age_s,
        "BisectBatchOnFunctionError": rules.bisect,
        "FunctionResponseTypes": ["ReportBatchItemFailures"] if rules.partial_failures else [],
        "FilterCriteria": {"Filters": [{"Pattern": pattern} for pattern in patterns]},
    }
    if original is not None and original.tumbling_s:
        made["TumblingWindowInSeconds"] = original.tumbling_s
    if original is not None and original.failure_destination is not None:
        made["DestinationConfig"] = {"OnFailure": {"Destination": original.failure_destination}}
    return made


@dataclass(frozen=True, slots=True)
class MappedDelivery:
    """What the attempts of a delivery by mapping need: the function and its version, and the mapping's settings."""

    services: Services
    function: str
    version: str
    timeout_s: float
    patterns: tuple[str, ...]
    original: Mapping | None

    async def attempt(
        self,
        prepared: Prepared,
        ledger: Ledger,
        saved: SavedDelivery,
        expected: int | None,
        *,
        emit: Emit,
        stop: StopRequest,
    ) -> DeliveryResult:
        """Make the mapping or find it again, watch it through, and take it away whatever happens."""
        spec, state = saved.spec, read_state(saved)
        resumed = expected is None
        if state is None:
            if expected is None:  # the program ended before it planned anything
                expected = (await prepared.source.preview()).records
            state = MappingState(phase="planned", expected=expected)
        book = MappingBook(ledger, saved, state)
        emit(started(ledger, saved, resumed=resumed, expected=state.expected))
        done = not state.expected
        if not done:
            plane = MappingPlane(self.services, self.function, alias_name(spec.run_id), str(spec.stream_arn))
            try:
                await self._through(prepared, book, plane, emit, stop, resumed=resumed)
            except RefireError as error:
                stop.request("error", error)
            finally:
                done = await _take_away(book, plane, stop)
        return await _conclude(prepared, book, ledger.path, emit, stop, done=done)

    async def _through(
        self,
        prepared: Prepared,
        book: MappingBook,
        plane: MappingPlane,
        emit: Emit,
        stop: StopRequest,
        *,
        resumed: bool,
    ) -> None:
        """Until the mapping is through, or a stop is requested. Raises RefireError."""
        if book.state.phase == "through":
            return
        if book.state.phase == "removing":
            await plane.take_away(reached)
            book.begin_again()
        found = await plane.find() if resumed else None
        if found is None:
            if book.state.uuid:
                book.begin_again()
            await book.save(replace(book.state, phase="planned", at=prepared.clock()))
            reached("mapping-planned")
            await plane.make_alias(self.version, f"temporary, of refire replay {book.spec.run_id}")
            reached("alias-made")
            found = await plane.make_mapping(self._settings(prepared, book))
            reached("mapping-made")
        await book.save(replace(book.state, phase="made", uuid=found.uuid))
        reached("mapping-watched")
        progress = Progress(
            services=self.services,
            plane=plane,
            uuid=found.uuid,
            since=book.state.at,
            now=prepared.clock,
            emit=emit,
            delivered=book.counts.delivered,
            failed=book.counts.failed,
        )
        watch = Watch(
            book.state.expected,
            timeout_s=self.timeout_s,
            give_up_after_s=prepared.settings.give_up_after_s,
            now=anyio.current_time(),
        )

        async def count(watch: Watch) -> None:
            await book.count(watch)
            emit(DeliveryCounted(replace(book.counts)))

        verdict = await progress.follow(watch, stop, count)
        if verdict is not None:
            end, lost = _describe(verdict, watch)
            await book.save(replace(book.state, phase="through", end=end, unaccounted=lost))
            reached("mapping-through")

    def _settings(self, prepared: Prepared, book: MappingBook) -> dict[str, Any]:
        """The new mapping's. Whether the user limited the age of records is known from the first attempt."""
        since = book.spec.since
        older_s = 0.0 if book.spec.limits_age or since is None else prepared.clock() - since
        return mapping_settings(prepared.spec.rules, self.patterns, self.original, older_s)


def _describe(verdict: Verdict, watch: Watch) -> tuple[str, int]:
    """One line about what stays open at the end, and the number of records whose fate is unknown."""
    settled = watch.delivered + watch.failed
    open_ = watch.expected - settled
    if verdict == "metrics" or not open_:
        return "", 0
    said = "Lambda finds no more records"
    if watch.figures is None:
        return f"{said}; how many it delivered is unknown, since its metrics cannot be read", open_
    return f"{said}, but its metrics count {settled:,} of {watch.expected:,}", open_


async def _take_away(book: MappingBook, plane: MappingPlane, stop: StopRequest) -> bool:
    """Take mapping and alias away, also when the attempt is cancelled. Returns whether the delivery is complete.

    What may still be there is named by the stop.
    """
    cancelled = anyio.current_effective_deadline() == -math.inf
    limit_s = CANCELLED_S if cancelled else math.inf
    through = book.state.phase == "through"
    try:
        with anyio.fail_after(limit_s) as scope:
            scope.shield = True
            if not through:
                await book.save(replace(book.state, phase="removing"))
            await plane.take_away(reached)
    except (RefireError, TimeoutError) as error:
        said = error.message if isinstance(error, RefireError) else f"not gone within {limit_s:.0f} s"
        run_id = book.spec.run_id
        left = StoppedError(
            f"alias {alias_name(run_id)} and its event source mapping may still be there: {said}",
            f"'refire resume {run_id}' or 'refire forget {run_id}' takes them away",
        )
        # Why the delivery stopped before is less urgent than what still delivers.
        stop.reason, stop.error = stop.reason or "error", left
        return False
    return through


async def _conclude(
    prepared: Prepared, book: MappingBook, path: Path, emit: Emit, stop: StopRequest, *, done: bool
) -> DeliveryResult:
    """Save the status, and say how the attempt ended."""
    status: RunStatus = "complete" if done else "stopped"
    await book.save(book.state, status)
    counts, state = book.counts, book.state
    code, reason = exit_code_of(
        status, counts.failed + state.unaccounted, stop, wrote=bool(state.uuid) or counts.delivered > 0
    )
    if done:
        reason = state.end or None
    elif code is not ExitCode.REFUSED and stop.error is None:
        reason = f"{reason}; the mapping is taken away, and a resume delivers everything again"
    summary = DeliverySummary(
        run_id=book.spec.run_id,
        source=book.spec.source,
        function=book.spec.function,
        status="failed" if code is ExitCode.REFUSED else status,
        counts=replace(counts, selected=counts.delivered + counts.failed + state.unaccounted),
        seconds=book.seconds,
        checkpoint=str(path),
        failed_records_file=None,
        unaccounted=state.unaccounted,
    )
    emit(DeliveryEnded(summary))
    return DeliveryResult(prepared.spec.command, summary, code, reason)


def has_mapping(path: Path) -> bool:
    """Whether a delivery may have left alias and mapping at Lambda. Raises CheckpointRefusedError."""
    saved = peek(path)
    return saved.status != "complete" and read_state(saved) is not None


async def remove_mapping(path: Path) -> None:
    """Take away what the delivery of the ledger at `path` left at Lambda.

    Raises RefireError: it may still be there, or a process is working on it.
    """
    with locked(path):
        saved = peek(path)
        spec = saved.spec
        async with open_session(saved.connection, 1) as session:
            await MappingPlane(
                session.services,
                parse_function(spec.function).name,
                alias_name(spec.run_id),
                str(spec.stream_arn),
            ).take_away(reached)


def reached(point: str) -> None:
    """Passes a failpoint."""
    if failpoints.reached is not None:
        failpoints.reached(point)

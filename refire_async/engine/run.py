"""`run`, `resume` and `check`: preflight and checkpoint, then an attempt with its canary and verification."""

import contextlib
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import anyio
from anyio import to_thread

from refire_async import failpoints
from refire_async.aws.config import configured
from refire_async.aws.session import Session, open_session
from refire_async.checkpoint import catalog
from refire_async.checkpoint.file_store import FileStore
from refire_async.checkpoint.identity import Known, adopt, merge_connections
from refire_async.checkpoint.lock import locked
from refire_async.checkpoint.reading import SavedRun
from refire_async.checkpoint.run_store import RunStore
from refire_async.checkpoint.store import Store
from refire_async.engine.attempt import Attempt, expected_items, run_attempt, run_dry
from refire_async.engine.beginning import Start, begin, begin_again, specify
from refire_async.engine.canary import run_canary, with_verification
from refire_async.engine.questions import Confirm
from refire_async.engine.shared import Shared, check_archive, check_task, number_of
from refire_async.engine.summary import check_output_paths
from refire_async.errors import (
    CheckpointRefusedError,
    ExitCode,
    RefusedError,
    UsageError,
)
from refire_async.events import Emit, Event, RunStarted, ignore
from refire_async.model.address import TableAddress
from refire_async.model.counts import Counts
from refire_async.model.finding import Finding
from refire_async.model.run import Result
from refire_async.model.stop import StopRequest
from refire_async.model.table import Table
from refire_async.planning.forecast.outlook import Outlook, look_ahead
from refire_async.preflight.check import check as check_table_and_consumers
from refire_async.settings import ResumeSettings, RunSettings
from refire_async.sources.importing import ImportContext, fingerprint, import_keys
from refire_async.sources.key_list import list_path
from refire_async.verification.verify import check_readable, stream_of

__all__ = ["check", "resume", "run"]

CONCURRENCY = 640
"""Most connections: those of the largest numbers of workers and readers, and some for look-ups."""

CHECK_CONCURRENCY = 8
"""Most connections of a check."""


async def run(
    settings: RunSettings,
    *,
    emit: Emit = ignore,
    stop: StopRequest | None = None,
    confirm: Confirm | None = None,
) -> Result:
    """Re-fire what `settings` select, from the start (or from a checkpoint of the same run).

    `emit` is called with each event (refire_async/events.py) and must return at once. `stop` ends the run in order
    when its `request` is called.

    `confirm` answers the run's questions (refire_async/engine/questions.py): begin now (if there is no canary),
    continue after a canary, run beside another unfinished run of the table. With `assume_yes` the run asks only after
    a canary that is not clean. Without `confirm` and `assume_yes` it begins at once, stops after a canary, and is
    refused where another run is unfinished.

    Raises:
        RefireError: the run could not begin. Once it has begun, every end is a Result.
    """
    stop = stop or StopRequest()
    work = partial(_run, settings, stop=stop, confirm=confirm)
    if isinstance(settings.checkpoint, TableAddress) and not settings.dry_run:
        work = partial(_run_task, settings, settings.checkpoint, stop=stop, confirm=confirm)
    return await _cancellable_before_start(work, emit, stop)


async def prepare(settings: RunSettings) -> None:
    """Create a run in a checkpoint table, with its list of keys, unless it is there: before tasks begin on machines
    that cannot read the input.

    Raises:
        RefireError: as `run`.
    """
    address = settings.checkpoint
    if not isinstance(address, TableAddress):
        raise UsageError("only a run in a checkpoint table is prepared", "set checkpoint to a TableAddress")
    settings = replace(settings, task=0)
    async with _shared(settings, address) as shared:
        if await shared.result_of_ended() is None:
            attempt = await _attempt_of_task(shared.session, settings, ignore, None)
            await shared.prepare(attempt, settings, emit=ignore, stop=StopRequest())


async def _run_task(
    settings: RunSettings, address: TableAddress, *, emit: Emit, stop: StopRequest, confirm: Confirm | None
) -> Result:
    """One task of a run in a checkpoint table."""
    async with _shared(settings, address) as shared:
        if (ended := await shared.result_of_ended()) is not None:
            return ended
        attempt = await _attempt_of_task(shared.session, settings, emit, confirm)
        return await shared.work(attempt, settings, emit=emit, stop=stop)


@contextlib.asynccontextmanager
async def _shared(settings: RunSettings, address: TableAddress) -> AsyncIterator[Shared]:
    tasks, number = check_task(settings, address)
    async with open_session(settings.connection, CONCURRENCY) as session:
        yield Shared(session, address, number, tasks)


async def _attempt_of_task(
    session: Session, settings: RunSettings, emit: Emit, confirm: Confirm | None
) -> Attempt:
    assert isinstance(settings.checkpoint, TableAddress)  # noqa: S101 - the caller has looked
    settings = replace(settings, run_id=settings.checkpoint.run_id)
    start = Start.now(settings.pacing)
    spec, table, limits = await specify(session, settings, emit, confirm)
    return await begin(
        session, settings, start, spec, table=table, ceilings=limits, connection=settings.connection
    )


async def _run(settings: RunSettings, *, emit: Emit, stop: StopRequest, confirm: Confirm | None) -> Result:
    for option, given in (("tasks", settings.tasks), ("archive", settings.archive)):
        if given is not None and not settings.dry_run:
            raise UsageError(
                f"--{option} is for a run in a checkpoint table", "add --checkpoint dynamodb://TABLE/RUN_ID"
            )
    start = Start.now(settings.pacing)
    async with open_session(settings.connection, CONCURRENCY) as session:
        spec, table, limits = await specify(session, settings, emit, confirm)
        attempt = await begin(
            session,
            settings,
            start,
            spec,
            table=table,
            ceilings=limits,
            connection=settings.connection,
            dry=settings.dry_run,
        )
        imports = ImportContext(session.services, emit, stop, settings.ignore)
        listed = spec.selection.listed
        if settings.dry_run:
            if listed:
                with TemporaryDirectory(prefix="refire-") as folder:
                    keys = Path(folder) / "list"
                    attempt = replace(
                        attempt, spec=await import_keys(spec, table, keys, imports), keys=str(keys)
                    )
                    return await run_dry(session, attempt, emit=emit, stop=stop)
            return await run_dry(session, attempt, emit=emit, stop=stop)
        path = settings.checkpoint if isinstance(settings.checkpoint, Path) else catalog.path_of(spec.run_id)
        await _check_outputs(session, path, table, verifies=settings.verify or settings.canary is not None)
        with locked(path) as lock:
            attempt = replace(attempt, checkpoint=str(path), keys=str(list_path(path)), lock=lock)
            if path.exists():
                async with _opened(path) as (store, saved):
                    spec = await fingerprint(spec, table, imports) if listed else spec
                    attempt = replace(attempt, spec=adopt(path, saved, settings, spec), resumed=True)
                    attempt = await _confirmed(attempt, settings, confirm, saved.counts)
                    return await _work(session, attempt, store, emit=emit, stop=stop)
            try:
                if listed:
                    spec = await import_keys(spec, table, list_path(path), imports)
                    attempt = replace(attempt, spec=spec)
                attempt = await _confirmed(attempt, settings, confirm)
                file = await to_thread.run_sync(
                    Store.create, path, spec, configured(settings.connection), session.clock.now
                )
            except BaseException:  # also if cancelled while the question is on the screen
                list_path(path).unlink(missing_ok=True)
                raise
            if failpoints.reached is not None:
                failpoints.reached("checkpoint-made")
            with contextlib.closing(file):
                store = FileStore(file)
                if session.clock.known:
                    await store.save_clock(session.clock.offset_s)
                result = await _work(
                    session,
                    attempt,
                    store,
                    emit=emit,
                    stop=stop,
                    canary=settings.canary,
                    assume_yes=settings.assume_yes,
                    confirm=confirm,
                )
            if result.exit_code is ExitCode.REFUSED and not result.summary.retries:
                # No write is in doubt and there is nothing to resume: remove the file.
                await to_thread.run_sync(catalog.discard, path)
                result = replace(result, summary=replace(result.summary, checkpoint=None))
            return result


async def _confirmed(
    attempt: Attempt, settings: RunSettings, confirm: Confirm | None, before: Counts | None = None
) -> Attempt:
    """Return the attempt, which begins once it is confirmed. A canary asks its own question later.

    `before` are the outcomes of earlier attempts of the run.

    Raises RefusedError if it was not confirmed.
    """
    if confirm is None or settings.assume_yes or settings.canary is not None:
        return attempt
    if not await confirm(await _outlook(attempt, before or Counts())):
        raise RefusedError("not confirmed, so nothing was written", "answer y, or use --yes")
    return replace(attempt, begun_at=anyio.current_time())


async def _outlook(attempt: Attempt, before: Counts) -> Outlook:
    """An estimate of the work of the attempt after items with the outcomes `before`."""
    items = await to_thread.run_sync(expected_items, attempt)
    selection = attempt.spec.selection
    if items is not None:
        items -= before.settled
        # The item count of DescribeTable is up to six hours old and does not account for a filter.
        if not selection.listed and (items <= 0 or selection.filter is not None):
            items = None
    if items is not None and attempt.max_items is not None:
        items = min(items, attempt.max_items)
    return look_ahead(attempt.table, attempt.ceilings.write, items, attempt.budget.max_rate)


async def check(settings: RunSettings) -> list[Finding]:
    """Check for problems before a run with these settings. Writes nothing.

    Raises:
        RefireError: the table cannot be described, or the settings do not fit it.
    """
    async with open_session(settings.connection, CHECK_CONCURRENCY) as session:
        return await check_table_and_consumers(session, settings)


async def resume(
    settings: ResumeSettings,
    *,
    emit: Emit = ignore,
    stop: StopRequest | None = None,
    confirm: Confirm | None = None,
) -> Result:
    """Resume the run in a checkpoint; `emit` and `stop` as for `run`.

    `confirm` answers whether to run at the same time as another run of the table.

    Raises:
        RefireError: the run could not be resumed. Once it has begun, every end is a Result.
    """
    stop = stop or StopRequest()
    return await _cancellable_before_start(partial(_resume, settings, stop=stop, confirm=confirm), emit, stop)


async def _resume(
    settings: ResumeSettings, *, emit: Emit, stop: StopRequest, confirm: Confirm | None
) -> Result:
    start = Start.now(settings.pacing)
    if not isinstance(settings.checkpoint, TableAddress) and settings.archive is not None:
        raise UsageError("--archive is for a run in a checkpoint table", "leave it out")
    if isinstance(path := settings.checkpoint, TableAddress):
        return await _resume_task(settings, path, start, emit=emit, stop=stop, confirm=confirm)
    with locked(path) as lock:
        async with _opened(path) as (store, saved):
            _refuse_complete(saved)
            own = configured(settings.connection)
            connection = merge_connections(saved.connection, settings.connection, own)
            async with open_session(connection, CONCURRENCY) as session:
                attempt = await begin_again(
                    session,
                    settings,
                    start,
                    saved.spec,
                    connection=connection,
                    emit=emit,
                    confirm=confirm,
                )
                attempt = replace(attempt, checkpoint=str(path), keys=str(list_path(path)), lock=lock)
                await _check_outputs(session, path, attempt.table, verifies=settings.verify)
                return await _work(session, attempt, store, emit=emit, stop=stop)


async def _resume_task(
    settings: ResumeSettings,
    address: TableAddress,
    start: Start,
    *,
    emit: Emit,
    stop: StopRequest,
    confirm: Confirm | None,
) -> Result:
    """One task of a run in a checkpoint table, which says what the run is."""
    async with open_session(settings.connection, CONCURRENCY) as session:
        item = await Shared.find(session, address)
        _refuse_complete(item)
        check_archive(item, settings.archive)
        shared = Shared(session, address, number_of(settings, item.tasks), item.tasks)
        attempt = await begin_again(
            session,
            settings,
            start,
            item.spec,
            connection=settings.connection,
            emit=emit,
            confirm=confirm,
        )
        return await shared.continue_run(attempt, item, emit=emit, stop=stop)


def _refuse_complete(saved: Known) -> None:
    if saved.status == "complete":
        raise CheckpointRefusedError(
            f"run {saved.spec.run_id} is complete", "begin a new one with 'refire run'"
        )


class _EngineCall(Protocol):
    async def __call__(self, *, emit: Emit) -> Result: ...


async def _cancellable_before_start(work: _EngineCall, emit: Emit, stop: StopRequest) -> Result:
    """Call `work`, and cancel it at once if a stop is requested before the run has begun.

    Until then it waits for credentials, descriptions and metrics, and has nothing to save. Later a stop is orderly.

    Raises:
        StoppedError: `work` was cancelled.
    """
    begun = False

    def relay(event: Event) -> None:
        nonlocal begun
        begun = begun or isinstance(event, RunStarted)
        emit(event)

    with anyio.CancelScope() as scope:
        stop.subscribe(lambda: None if begun else scope.cancel())
        return await work(emit=relay)
    raise stop.before_writing("before the run began")


@contextlib.asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[tuple[RunStore, SavedRun]]:
    with contextlib.closing(await to_thread.run_sync(Store.open, path)) as file:
        store = FileStore(file)
        yield store, await store.load()


async def _check_outputs(session: Session, path: Path, table: Table, *, verifies: bool) -> None:
    """Check before the first write that the end of the run can write its files and read the stream.

    Raises:
        RefusedError: it cannot.
    """
    await to_thread.run_sync(check_output_paths, path)
    stream = stream_of(table)
    if verifies and stream is not None:
        await check_readable(session.streams, stream)


async def _work(
    session: Session,
    attempt: Attempt,
    store: RunStore,
    *,
    emit: Emit,
    stop: StopRequest,
    canary: int | None = None,
    assume_yes: bool = False,
    confirm: Confirm | None = None,
) -> Result:
    """Run the attempt, after a canary and with a verification if the user wants them."""
    path, table = Path(attempt.checkpoint), attempt.table
    store.clock = session.clock.now
    if canary is not None and canary < (attempt.max_items or math.inf):
        few = replace(attempt, max_items=canary, per_segment=-(-canary // attempt.spec.total_segments))

        async def run_few(emit: Emit, stop: StopRequest) -> Result:
            return await run_attempt(session, few, store, emit=emit, stop=stop)

        more = None if attempt.max_items is None else attempt.max_items - canary
        attempt = replace(attempt, max_items=more, resumed=True)
        ended = await run_canary(
            run_few,
            path,
            session,
            table,
            remaining=partial(_outlook, attempt),
            assume_yes=assume_yes,
            confirm=confirm,
            emit=emit,
            stop=stop,
        )
        if ended is not None:
            return ended

    work = partial(run_attempt, session, attempt, store, emit=emit, stop=stop)
    return await (
        with_verification(work, path, session, table, emit=emit, stop=stop) if attempt.verify else work()
    )

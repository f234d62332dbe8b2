"""A run from its first look at the table to its summary: preflight, plan, parts, result."""

import contextlib
import math
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from anyio import to_thread

from refire_async import points
from refire_async.checkpoint import catalog
from refire_async.checkpoint.lock import locked
from refire_async.checkpoint.saved import SavedRun
from refire_async.checkpoint.schema import PARTS_PER_SITTING
from refire_async.checkpoint.store import Store
from refire_async.ending import conclude
from refire_async.errors import CheckpointRefusedError, ExitCode
from refire_async.events import Emit, Noticed, RunEnded, RunStarted, fan_out
from refire_async.gathering import Gathering, gather, recognise
from refire_async.identity import adopt, check_table, merge_connections
from refire_async.model.capacity import TABLE
from refire_async.model.finding import Finding
from refire_async.model.marker import DEFAULT_ATTRIBUTE, Marker
from refire_async.model.run import Result, RunSpec, RunStatus
from refire_async.model.table import Stream, Table
from refire_async.pacing.capacity import ceilings
from refire_async.pacing.steering import Steering, Target
from refire_async.pacing.timetable import Timetable
from refire_async.pacing.words import budget_line
from refire_async.parts.parent import Parent
from refire_async.parts.spec import PartResult, PartSpec
from refire_async.parts.work import work
from refire_async.pipeline import Context, StopRequest
from refire_async.planner import choose_readers, choose_segments, choose_workers
from refire_async.preflight.check import about_run, before_resume, before_run
from refire_async.preflight.check import check as check_table_and_consumers
from refire_async.preflight.gather import describe
from refire_async.preflight.judge import refuse
from refire_async.preflight.marker import check_marker
from refire_async.selecting import select
from refire_async.settings import Budget, Connection, Pace, ResumeSettings, RunSettings, Tuning
from refire_async.sources.key_list import list_path, open_list
from refire_async.verify.sitting import Ask, fly_canary, proved
from refire_async.watch.announce import Announcer
from refire_async.watch.autoscaling import largest_writes
from refire_async.watch.beside import beside
from refire_async.watch.capacity import CapacityWatch
from refire_async.watch.functions import Function, find_functions
from refire_async.watch.history import with_history
from refire_async.watch.pace import (
    begin_orders,
    read_timetable,
    watch_consumers,
    watch_headroom,
    watch_orders,
)
from refire_async.wire.session import Session, open_session

__all__ = ["StopRequest", "check", "resume", "run"]

CONCURRENCY = 640
"""Connections at most: the most workers and readers, and some to look up."""

FEW = 8
"""Connections of a check."""


@dataclass(frozen=True, slots=True)
class _Sitting:
    """One sitting of a run, new or gone on with."""

    spec: RunSpec
    table: Table
    begun_at: float
    connection: Connection
    budget: Budget
    timetable: Timetable | None
    pace: Pace
    tuning: Tuning
    max_items: int | None
    dry: bool
    resumed: bool = False
    functions: tuple[Function, ...] = ()
    verify: bool = False
    per_segment: int | None = None
    checkpoint: str = ""
    keys: str = ""
    lock: int = -1


async def run(settings: RunSettings, *, emit: Emit, stop: StopRequest, ask: Ask | None = None) -> Result:
    """Re-fire what `settings` select, from the start (or from a checkpoint of the same run).

    `ask` is asked whether to go on after a canary; without it such a run stops there, unless it need not ask.

    Raises:
        RefireError: the run could not begin. Once it has begun, every end is a Result.
    """
    begun_at, timetable = anyio.current_time(), read_timetable(settings.pace)
    async with open_session(settings.connection, CONCURRENCY) as session:
        spec, table = await _specify(session, settings, emit)
        sitting = _Sitting(
            spec,
            table,
            begun_at,
            settings.connection,
            settings.budget,
            timetable,
            settings.pace,
            settings.tuning,
            settings.max_items,
            dry=settings.dry_run,
            functions=await _functions(session, settings.pace, table, dry=settings.dry_run),
            verify=settings.verify,
        )
        world = Gathering(session.services, emit, stop, settings.ignore)
        listed = spec.selection.listed
        if settings.dry_run:
            if listed:
                with TemporaryDirectory(prefix="refire-") as folder:
                    keys = Path(folder) / "list"
                    sitting = replace(sitting, spec=await gather(spec, table, keys, world), keys=str(keys))
                    return await _look(session, sitting, emit=emit, stop=stop)
            return await _look(session, sitting, emit=emit, stop=stop)
        path = settings.checkpoint or catalog.path_of(spec.run_id)
        with locked(path) as lock:
            sitting = replace(sitting, checkpoint=str(path), keys=str(list_path(path)), lock=lock)
            if path.exists():
                with _opened(path) as (store, saved):
                    spec = await recognise(spec, table, world) if listed else spec
                    sitting = replace(sitting, spec=adopt(path, saved, settings, spec), resumed=True)
                    return await _work(session, sitting, store, emit=emit, stop=stop)
            if listed:
                spec = await gather(spec, table, list_path(path), world)
                sitting = replace(sitting, spec=spec)
            store = await to_thread.run_sync(Store.create, path, spec, settings.connection)
            if points.reached is not None:
                points.reached("checkpoint-made")
            with contextlib.closing(store):
                result = await _work(
                    session,
                    sitting,
                    store,
                    emit=emit,
                    stop=stop,
                    canary=settings.canary,
                    sure=settings.sure,
                    ask=ask,
                )
            if result.exit_code is ExitCode.REFUSED and not result.summary.retries:
                # No write is in doubt and there is nothing to go on with: the file's name is free again.
                await to_thread.run_sync(catalog.discard, path)
                result = replace(result, summary=replace(result.summary, checkpoint=None))
            return result


async def check(settings: RunSettings) -> list[Finding]:
    """What there is to know before a run with these settings. Writes nothing.

    Raises:
        RefireError: the table cannot be looked at, or the settings do not fit it.
    """
    async with open_session(settings.connection, FEW) as session:
        return await check_table_and_consumers(session, settings)


async def resume(settings: ResumeSettings, *, emit: Emit, stop: StopRequest) -> Result:
    """Go on with the run in a checkpoint.

    Raises:
        RefireError: the run could not go on. Once it has begun, every end is a Result.
    """
    path = settings.checkpoint
    begun_at, timetable = anyio.current_time(), read_timetable(settings.pace)
    with locked(path) as lock, _opened(path) as (store, saved):
        if saved.status == "complete":
            raise CheckpointRefusedError(
                f"run {saved.spec.run_id} is complete", "begin a new one with 'refire run'"
            )
        connection = merge_connections(saved.connection, settings.connection)
        async with open_session(connection, CONCURRENCY) as session:
            table = await describe(session, saved.spec.table)
            check_table(path, saved.spec, table)
            check_marker(table, saved.spec.marker.attribute)
            _tell(await before_resume(session, settings, saved.spec, table), settings.ignore, emit)
            sitting = _Sitting(
                saved.spec,
                table,
                begun_at,
                connection,
                settings.budget,
                timetable,
                settings.pace,
                settings.tuning,
                settings.max_items,
                dry=False,
                resumed=True,
                functions=await _functions(session, settings.pace, table, dry=False),
                verify=settings.verify,
                checkpoint=str(path),
                keys=str(list_path(path)),
                lock=lock,
            )
            return await _work(session, sitting, store, emit=emit, stop=stop)


async def _look(session: Session, sitting: _Sitting, *, emit: Emit, stop: StopRequest) -> Result:
    """A sitting that writes nothing, neither to the table nor to a checkpoint."""
    store = await to_thread.run_sync(Store.in_memory, sitting.spec, sitting.connection)
    with contextlib.closing(store):
        return await _sit(session, sitting, store, emit=emit, stop=stop)


def _tell(found: list[Finding], ignored: frozenset[str], emit: Emit) -> None:
    """Tell what deserves attention. Raises RefusedError for what stops the run."""
    for finding in found:
        if finding.level == "warn" or finding.id in ignored:
            emit(Noticed(finding))
    refuse(found, ignored)


async def _specify(session: Session, settings: RunSettings, emit: Emit) -> tuple[RunSpec, Table]:
    """What the run is, checked against the table."""
    table = await describe(session, settings.table)
    attribute = settings.marker_attribute or DEFAULT_ATTRIBUTE[settings.marker]
    ttl_attribute = await session.control.ttl_attribute(table.name)
    check_marker(table, attribute, ttl_attribute)
    selection = select(table, settings.choice)
    asked = about_run(session, settings, table, selection, ttl_attribute)
    _tell(await before_run(session, asked), settings.ignore, emit)
    limits = ceilings(table, attribute, settings.budget)
    run_id = settings.run_id or new_run_id()
    segments = len(selection.key_values) or 1
    if selection.kind == "scan":
        segments = settings.tuning.segments or choose_segments(table, limits.scarcest_write)
    spec = RunSpec(
        run_id=run_id,
        table=table.name,
        table_id=table.table_id,
        keys=table.keys,
        selection=selection,
        marker=Marker(settings.marker, attribute, run_id),
        total_segments=segments,
        ttl_attribute=None if selection.include_expired else ttl_attribute,
    )
    return spec, table


def new_run_id() -> str:
    """An id that sorts by time and is unlike any other."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Store, SavedRun]]:
    with contextlib.closing(Store.open(path)) as store:
        yield store, store.load()


async def _work(
    session: Session,
    sitting: _Sitting,
    store: Store,
    *,
    emit: Emit,
    stop: StopRequest,
    canary: int | None = None,
    sure: bool = False,
    ask: Ask | None = None,
) -> Result:
    """A sitting with what the user wants around it: a canary before, a proof beside."""
    path, table = Path(sitting.checkpoint), sitting.table
    if canary is not None and canary < (sitting.max_items or math.inf):
        few = replace(sitting, max_items=canary, per_segment=-(-canary // sitting.spec.total_segments))

        async def fly(emit: Emit, stop: StopRequest) -> Result:
            return await _sit(session, few, store, emit=emit, stop=stop)

        ended = await fly_canary(fly, path, session, table, sure=sure, ask=ask, emit=emit, stop=stop)
        if ended is not None:
            return ended
        more = None if sitting.max_items is None else sitting.max_items - canary
        sitting = replace(sitting, max_items=more, resumed=True)

    async def sit() -> Result:
        return await _sit(session, sitting, store, emit=emit, stop=stop)

    return await (proved(sit, path, session, table, emit=emit, stop=stop) if sitting.verify else sit())


async def _sit(session: Session, sitting: _Sitting, store: Store, *, emit: Emit, stop: StopRequest) -> Result:
    """Work until the end or a stop, and say how it went."""
    saved = await to_thread.run_sync(store.load)
    spec = sitting.spec
    steering = Steering(sitting.table, spec.marker.attribute, sitting.budget, spec.selection.index)
    orders = begin_orders(steering, sitting.timetable)
    headroom = None if sitting.dry else sitting.pace.headroom_percent
    services = session.services
    emit, watchers = watch_headroom(headroom, steering, services, emit)
    emit, more = watch_consumers(sitting.pace, sitting.functions, steering, services, emit=emit, stop=stop)
    watchers += more
    watchers += watch_orders(
        orders,
        sitting.timetable,
        steering,
        run_id=spec.run_id,
        checkpoint=sitting.checkpoint,
        emit=emit,
    )
    capacity = CapacityWatch(steering, session.control.describe_table)
    emit = fan_out(emit, capacity)
    watchers += [capacity.look, capacity.grow]
    parts = _parts(sitting, saved, steering.target)
    limits = steering.target.ceilings
    emit(
        RunStarted(
            spec=spec,
            resumed=sitting.resumed,
            expected_items=await to_thread.run_sync(_expected_items, sitting),
            max_wcu=limits.write[TABLE],
            max_rcu=limits.read,
            bound_by=limits.bound_by,
            checkpoint=str(store.path),
            settled_before=saved.counts,
            budget=await _budget_line(session, sitting, steering),
            billing=sitting.table.billing,
            indexes={name: units for name, units in limits.write.items() if name != TABLE},
        )
    )
    steering.listen(Announcer(steering.target, emit).told)
    await _save_begin(store, sitting.table.stream)

    async def work_on() -> list[PartResult]:
        if len(parts) > 1:
            return await Parent(parts, steering, emit=emit, stop=stop, keep_open=sitting.lock).run()
        steer = partial(_steer, steering)
        return [await work(parts[0], session.data, store, emit=emit, stop=stop, steer=steer)]

    results = await beside(watchers, work_on)
    for ended in results:
        if ended.stop is not None:
            stop.request(ended.stop)
    saved = await to_thread.run_sync(store.load)
    if points.reached is not None:
        points.reached("work-done")
    done = (
        stop.reason is None and not saved.open_pages and all(ended.status == "complete" for ended in results)
    )
    await _save_status(store, "complete" if done else "stopped")
    if done and spec.selection.listed:
        # Nobody needs it any more, and keys are personal data.
        await to_thread.run_sync(partial(Path(sitting.keys).unlink, missing_ok=True))
    if points.reached is not None:
        points.reached("run-ended")
    result = await conclude(store, saved, stop, done=done, dry=sitting.dry)
    emit(RunEnded(result.summary))
    return result


async def _functions(session: Session, pace: Pace, table: Table, *, dry: bool) -> tuple[Function, ...]:
    """The consumers that the user wants to be looked after. Raises RefusedError."""
    if dry or not pace.watches_consumers:
        return ()
    now = time.time()
    found = await find_functions(session.services, table, now)
    if pace.max_iterator_age_s is None:
        return found
    return await with_history(found, session.services, session.streams, table, now)


async def _budget_line(session: Session, sitting: _Sitting, steering: Steering) -> str:
    """How much the sitting may consume, and why."""
    table, scaled_to = sitting.table, {}
    if table.billing == "PROVISIONED" and steering.budget.max_wcu is None:
        resources = tuple(steering.target.ceilings.write)
        scaled_to = await largest_writes(session.services, table.name, resources)
    return budget_line(steering.target, table, steering.budget, scaled_to)


def _steer(steering: Steering, context: Context) -> None:
    """From now on the only part of this sitting consumes what `steering` allows."""
    context.follow(steering.target)
    steering.listen(context.follow)


async def _save_begin(store: Store, stream: Stream) -> None:
    """The run works, and this is the stream that its events go to."""

    def save() -> None:
        with store.transaction():
            store.save_status("running")
            if stream.enabled and stream.arn is not None:
                store.save_stream(stream.arn, stream.view_type or "")

    await to_thread.run_sync(save)


def _expected_items(sitting: _Sitting) -> int | None:
    """How many items the selection has, as far as that is known before they are read."""
    selection = sitting.spec.selection
    match selection.kind:
        case "scan":
            return round(sitting.table.item_count * (selection.sample or 100.0) / 100.0)
        case "keys" | "export":
            return open_list(Path(sitting.keys)).items
        case _:
            return None


async def _save_status(store: Store, status: RunStatus) -> None:
    def save() -> None:
        with store.transaction():
            store.save_status(status)

    await to_thread.run_sync(save)


def _parts(sitting: _Sitting, saved: SavedRun, target: Target) -> list[PartSpec]:
    """What each process of this sitting is to do."""
    spec, tuning = sitting.spec, sitting.tuning
    # The budget may rise while they work; what waits for it costs nothing.
    most = max(target.ceilings.scarcest_write, min(target.ceilings.capacity.values()))
    # A limit on items and a look without touching are for small runs, where one process is enough.
    alone = sitting.dry or sitting.max_items is not None
    processes = 1 if alone else min(tuning.processes, spec.total_segments)
    workers = tuning.workers or choose_workers(tuning.writer, most / processes)
    first = saved.next_sitting * PARTS_PER_SITTING
    return [
        PartSpec(
            number=first + index,
            index=index,
            parts=processes,
            spec=spec,
            table=sitting.table,
            begun_at=sitting.begun_at,
            connection=sitting.connection,
            checkpoint=sitting.checkpoint,
            keys=sitting.keys,
            target=target,
            tuning=tuning,
            workers=workers,
            readers=choose_readers(most / processes),
            share=1.0 / processes,
            max_items=sitting.max_items,
            per_segment=sitting.per_segment,
            dry=sitting.dry,
        )
        for index in range(processes)
    ]

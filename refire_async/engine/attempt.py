"""One attempt of a run: assembles the governor and its watchers, runs the processes, and saves how it ended."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from refire_async import failpoints
from refire_async.aws.autoscaling import max_scaled_writes
from refire_async.aws.route import Route
from refire_async.aws.session import Session
from refire_async.checkpoint.file_store import FileStore
from refire_async.checkpoint.reading import SavedRun
from refire_async.checkpoint.run_store import RunStore
from refire_async.checkpoint.schema import PROCESSES_PER_ATTEMPT
from refire_async.checkpoint.store import Store
from refire_async.engine.processes.shares import TASK_TERMS, consumed, name_of
from refire_async.engine.processes.supervisor import Supervisor
from refire_async.engine.processes.task import TaskResult, TaskSpec
from refire_async.engine.processes.work import run_task
from refire_async.engine.summary import PriceDryRun, conclude
from refire_async.errors import RefireError
from refire_async.events import Emit, Noticed, RunEnded, RunStarted, fan_out
from refire_async.model.capacity import TABLE
from refire_async.model.run import Result, RunSpec
from refire_async.model.stop import StopRequest
from refire_async.model.table import Table
from refire_async.pacing.capacity import Ceilings, partitions
from refire_async.pacing.describe import budget_line
from refire_async.pacing.governor import Governor, RateLimits
from refire_async.pacing.overrides import Overrides
from refire_async.pacing.share_lease import SharedRecord, ShareLease
from refire_async.pacing.timetable import Timetable
from refire_async.pacing.watchers.assemble import (
    LimitNotifier,
    Watcher,
    in_background,
    start_overrides,
    watch_consumers,
    watch_headroom,
    watch_operator,
)
from refire_async.pacing.watchers.capacity import CapacityWatch
from refire_async.pacing.watchers.functions import Function
from refire_async.pacing.watchers.operator import ReadRate, apply_rate, follow_rate
from refire_async.pipeline import Context
from refire_async.pipeline.sizing import choose_readers, choose_workers
from refire_async.planning.forecast.dry_run import price_dry_run
from refire_async.planning.forecast.duration import Rates as RunRates
from refire_async.preflight.findings import NOTHING_MATCHED
from refire_async.settings import Budget, Connection, PacingSettings, Tuning
from refire_async.sources.key_list import open_list


@dataclass(frozen=True, slots=True)
class Group:
    """The segments of task `task` of `tasks` of a run that several processes share; `number` is unique in the run.

    `record` has the shares of the budget. `held()`: the segments are certainly this process's now. `rate` reads what
    an operator has set.
    """

    task: int
    tasks: int
    number: int
    record: SharedRecord
    held: Callable[[], bool]
    rate: ReadRate


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt of a run, new or resumed. `ceilings` are those of `table` within `budget` at its start.

    `begun_at` is a time of the event loop's clock (s), `checkpoint` and `keys` are paths ("": none), `lock` is the file
    descriptor of the checkpoint's lock (-1: none). `group` None: all segments.
    """

    spec: RunSpec
    table: Table
    ceilings: Ceilings
    begun_at: float
    connection: Connection
    budget: Budget
    timetable: Timetable | None
    pacing: PacingSettings
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
    group: Group | None = None


async def run_attempt(
    session: Session, attempt: Attempt, store: RunStore, *, emit: Emit, stop: StopRequest
) -> Result:
    """Run the attempt until its end or a stop, and return its result."""
    saved = await store.load()
    spec = attempt.spec
    governor = Governor(
        attempt.table, spec.marker.attribute, attempt.budget, spec.selection.index, first=attempt.ceilings
    )
    overrides = start_overrides(governor, attempt.timetable)
    set_for_all = await _follow_rate(attempt.group, overrides)
    headroom = None if attempt.dry else attempt.pacing.headroom_percent
    services = session.services
    emit, watchers = watch_headroom(headroom, governor, services, emit, session.clock.now)
    emit, more = watch_consumers(
        attempt.pacing,
        attempt.functions,
        governor,
        services,
        emit=emit,
        stop=stop,
        clock=session.clock.now,
    )
    watchers += more
    watchers += watch_operator(
        overrides,
        attempt.timetable,
        governor,
        run_id=spec.run_id,
        checkpoint=attempt.checkpoint,
        emit=emit,
    )
    watchers += set_for_all
    capacity = CapacityWatch(governor, session.control.describe_table)
    emit = fan_out(emit, capacity)
    watchers += [capacity.poll, capacity.grow]
    tasks = _tasks(attempt, saved, governor.rate_limits, session.route)
    limits = governor.rate_limits.ceilings
    emit(
        RunStarted(
            spec=spec,
            resumed=attempt.resumed,
            expected_items=await _expected(attempt, store),
            max_wcu=limits.write[TABLE],
            max_rcu=limits.read,
            bound_by=limits.bound_by,
            checkpoint=store.name,
            settled_before=saved.counts,
            budget=await _budget_line(session, attempt, governor),
            billing=attempt.table.billing,
            indexes=limits.indexes,
            max_items=attempt.max_items,
        )
    )
    governor.subscribe(LimitNotifier(governor.rate_limits, emit).on_change)
    await store.start_attempt(attempt.table.stream)

    async def run_one(on_context: Callable[[Context], None]) -> TaskResult:
        return await run_task(tasks[0], session.data, store, emit=emit, stop=stop, on_context=on_context)

    async def run_tasks() -> list[TaskResult]:
        if len(tasks) > 1:
            return await Supervisor(
                tasks,
                governor,
                emit=emit,
                stop=stop,
                keep_open=attempt.lock,
                credentials=session.handed_over,
            ).run()
        if attempt.group is not None:
            return [await _run_leased(attempt.group, governor, run_one, stop)]
        return [await run_one(partial(_follow_limits, governor))]

    results = await in_background(watchers, run_tasks)
    for ended in results:
        if ended.stop is not None:
            stop.request(ended.stop)
    await store.settle()
    saved = await store.load()
    if failpoints.reached is not None:
        failpoints.reached("work-done")
    all_read = saved.finished_segments == spec.total_segments
    all_done = stop.reason is None and all(ended.status == "complete" for ended in results)
    done = not saved.open_pages and (
        (all_done and (attempt.group is None or all_read))
        # A run that lost its output only at the very end is complete.
        or (stop.reason == "output" and all_read)
    )
    await store.save_status("complete" if done else "stopped")
    if done and spec.selection.listed and attempt.keys:
        # The list is no longer needed, and keys can be personal data.
        await to_thread.run_sync(partial(Path(attempt.keys).unlink, missing_ok=True))
    if failpoints.reached is not None:
        failpoints.reached("run-ended")
    price = _price(attempt, governor.rate_limits) if attempt.dry else None
    others = attempt.group is not None and all_done and not done
    result = await conclude(store, saved, stop, done=done, others=others, price=price)
    if result.nothing is not None:
        emit(Noticed(NOTHING_MATCHED.found(result.nothing)))
    emit(RunEnded(result.summary))
    return result


def _price(attempt: Attempt, rate_limits: RateLimits) -> PriceDryRun:
    """The price and duration of the run within its present budget."""
    limits, table = rate_limits.ceilings, attempt.table
    rates = RunRates(limits.write, limits.read, rate_limits.max_rate, limits.bound_by, partitions(table))
    return partial(price_dry_run, table, attempt.spec.marker.attribute, rates)


async def run_dry(session: Session, attempt: Attempt, *, emit: Emit, stop: StopRequest) -> Result:
    """Run an attempt that writes neither to the table nor to a checkpoint file."""
    with contextlib.closing(
        await to_thread.run_sync(Store.in_memory, attempt.spec, attempt.connection)
    ) as file:
        return await run_attempt(session, attempt, FileStore(file), emit=emit, stop=stop)


async def _budget_line(session: Session, attempt: Attempt, governor: Governor) -> str:
    """One line of text: how much the attempt may consume, and why."""
    table, scaled_to = attempt.table, {}
    if table.billing == "PROVISIONED" and governor.budget.max_wcu is None:
        resources = tuple(governor.rate_limits.ceilings.write)
        scaled_to = await max_scaled_writes(session.services, table.name, resources)
    return budget_line(governor.rate_limits, table, governor.budget, scaled_to)


def _follow_limits(governor: Governor, context: Context) -> None:
    """Make the only process of this attempt follow the limits of `governor`."""
    context.follow(governor.rate_limits)
    governor.subscribe(context.follow)


async def _follow_rate(group: Group | None, overrides: Overrides) -> list[Watcher]:
    """Let the rate that an operator has set for all tasks apply, before the first write, and follow it."""
    if group is None:
        return []
    apply_rate(await group.rate(), overrides)
    return [partial(follow_rate, group.rate, overrides)]


async def _run_leased(
    group: Group,
    governor: Governor,
    run_one: Callable[[Callable[[Context], None]], Awaitable[TaskResult]],
    stop: StopRequest,
) -> TaskResult:
    """Run a task within its leased share of the budget, and only while its segments are held."""
    leases: list[ShareLease] = []

    async def keep(lease: ShareLease) -> None:
        try:
            await lease.keep()
        except RefireError as error:
            stop.request("error", error)

    async with anyio.create_task_group() as background:

        def use(context: Context) -> None:
            _follow_limits(governor, context)
            lease = ShareLease(
                group.record,
                name_of(group.number),
                TASK_TERMS,
                consumed=lambda: consumed(context, governor.rate_limits),
                apply=context.set_share,
            )
            leases.append(lease)
            context.lease(lambda: group.held() and lease.in_force())
            background.start_soon(keep, lease)

        result = await run_one(use)
        background.cancel_scope.cancel()
    with contextlib.suppress(RefireError):  # the lease ends in time
        for lease in leases:
            await lease.leave()
    return result


async def _expected(attempt: Attempt, store: RunStore) -> int | None:
    if store.keys is not None:
        return store.keys.items
    return await to_thread.run_sync(expected_items, attempt)


def expected_items(attempt: Attempt) -> int | None:
    """The number of items in the selection, or None if it is unknown before they are read."""
    selection = attempt.spec.selection
    match selection.kind:
        case "scan":
            index = None if selection.index is None else attempt.table.index(selection.index)
            return round((index or attempt.table).item_count * (selection.sample or 100.0) / 100.0)
        case "keys" | "export":
            return open_list(Path(attempt.keys)).items
        case _:
            return None


def _tasks(attempt: Attempt, saved: SavedRun, rate_limits: RateLimits, route: Route) -> list[TaskSpec]:
    """The tasks of this attempt, one per process of this machine."""
    tuning = attempt.tuning
    # The budget may rise during the attempt, and workers that wait for it cost nothing.
    highest = max(rate_limits.ceilings.scarcest_write, min(rate_limits.ceilings.capacity.values()))
    if (group := attempt.group) is not None:
        # Other tasks end earlier, and leave their shares to this one.
        tasks, indexes, number, for_workers = group.tasks, [group.task], group.number, highest
    else:
        # `--max-items` and `--dry-run` are for small runs, for which one process is enough.
        single = attempt.dry or attempt.max_items is not None
        tasks = 1 if single else min(tuning.processes, attempt.spec.total_segments)
        indexes, number = list(range(tasks)), saved.next_attempt * PROCESSES_PER_ATTEMPT
        for_workers = highest / tasks
    return [
        TaskSpec(
            number=number + place,
            index=index,
            tasks=tasks,
            spec=attempt.spec,
            table=attempt.table,
            begun_at=attempt.begun_at,
            connection=attempt.connection,
            route=route,
            checkpoint=attempt.checkpoint,
            keys=attempt.keys,
            rate_limits=rate_limits,
            tuning=tuning,
            workers=tuning.workers or choose_workers(tuning.writer, for_workers),
            readers=choose_readers(highest / tasks),
            share=1.0 / tasks,
            max_items=attempt.max_items,
            per_segment=attempt.per_segment,
            dry=attempt.dry,
        )
        for place, index in enumerate(indexes)
    ]

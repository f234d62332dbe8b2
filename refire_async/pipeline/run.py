"""The pipeline of one attempt: readers, lanes and workers in one task group, until the end or a stop."""

import math
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import anyio

from refire_async import failpoints
from refire_async.checkpoint.ledger import OpenPage
from refire_async.errors import RefireError
from refire_async.events import LanesSeen, Stopping
from refire_async.model.run import RunStatus
from refire_async.pacing.lane_rate import lane_share
from refire_async.pipeline.context import Context
from refire_async.pipeline.pages import PagesInProgress
from refire_async.pipeline.queue import WorkQueue
from refire_async.pipeline.readers import Quota, Readers
from refire_async.pipeline.workers import Workers

SUSPENDED_S = 4.0
"""If the count of lanes is this late, the process was suspended (Ctrl-Z) or the machine was asleep."""

COUNT_EVERY_S = 1.0
"""Interval of `LanesSeen` events."""


async def run_pipeline(context: Context, segments: Iterator[int]) -> RunStatus:
    """Read and write `segments` until they are done or a stop is requested, and save the progress.

    Raises:
        StoppedError: the checkpoint cannot be saved; in an exception group.
    """
    async with anyio.create_task_group() as saving:
        saving.start_soon(context.journal.run)
        status = await _read_and_write(context, segments)
        if failpoints.reached is not None:
            failpoints.reached("finishing")
        await context.journal.finish()
    return status


async def _read_and_write(context: Context, segments: Iterator[int]) -> RunStatus:
    ledger = context.journal.ledger
    budget, largest = context.write_budget, context.writer.largest
    unfinished = (segment for segment in segments if not ledger.segment(segment).finished)
    queue = WorkQueue(lambda page: budget.batch_limit(page.item_units, largest), _lane_share(context))
    pages = PagesInProgress(context.journal, context.emit)
    readers = Readers(context, queue, pages, Quota(context.sizes.max_items), unfinished)
    context.waits.on_recovery(queue.retry_now)
    workers = Workers(context, queue, pages)
    in_doubt = iter(list(ledger.pages.values()))
    reading = anyio.CancelScope()

    def stop() -> None:
        context.emit(Stopping(context.stop.reason or ""))
        reading.cancel()
        queue.stop()
        context.waits.end()
        if failpoints.reached is not None:
            failpoints.reached("stopping")

    async with anyio.create_task_group() as counting:
        counting.start_soon(_count_lanes, context, queue)
        async with anyio.create_task_group() as tasks:
            for _ in range(context.sizes.workers):
                tasks.start_soon(workers.work)
            context.stop.subscribe(stop)
            with reading:
                await _read_all(context, readers, in_doubt)
            queue.close()
        counting.cancel_scope.cancel()
    for page, rest in queue.drain().values():
        if len(rest) == page.open_items:
            context.journal.shrink(page, rest)
    if context.stop.reason is not None and failpoints.reached is not None:
        failpoints.reached("rest-known")
    if context.stop.reason is None and readers.limited:
        context.stop.request("limit")
    complete = context.stop.reason is None and not ledger.pages
    return "complete" if complete else "stopped"


def _lane_share(context: Context) -> Callable[[], float]:
    """A function that returns the rate (WCU/s) of a lane until it is throttled.

    Only the segments of a scan of the table itself are ranges of its partitions' hashes.
    """
    selection, budget = context.spec.selection, context.write_budget
    if selection.kind != "scan" or selection.index is not None:
        return lambda: math.inf
    lanes = min(context.source.total_segments, context.sizes.readers)
    return lambda: lane_share(budget.rate, lanes)


async def _count_lanes(context: Context, queue: WorkQueue) -> None:
    while True:
        began = anyio.current_time()
        await anyio.sleep(COUNT_EVERY_S)
        late = anyio.current_time() - began - COUNT_EVERY_S
        if late > SUSPENDED_S:
            context.suspended(late)
        context.emit(LanesSeen(*queue.lanes()))


async def _read_all(context: Context, readers: Readers, in_doubt: Iterator[OpenPage]) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_error, context, partial(readers.recover, in_doubt))
        for _ in range(min(context.source.total_segments, context.sizes.readers)):
            tasks.start_soon(_stop_on_error, context, readers.read)


async def _stop_on_error(context: Context, task: Callable[[], Awaitable[None]]) -> None:
    """Run `task` and stop the run if it fails. Requests in flight still complete and are saved."""
    try:
        await task()
    except RefireError as error:
        context.stop.request("error", error)

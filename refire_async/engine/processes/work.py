"""Run one task as one function of plain values, in any process. It needs no terminal."""

from collections.abc import Callable, Container

from refire_async.aws.data_plane import DataPlane
from refire_async.checkpoint.journal import Journal
from refire_async.checkpoint.ledger import Ledger
from refire_async.checkpoint.run_store import RunStore
from refire_async.engine.processes.assembly import make_context
from refire_async.engine.processes.task import TaskResult, TaskSpec
from refire_async.errors import ExitCode, RefireError, first_of
from refire_async.events import Emit
from refire_async.model.stop import StopRequest
from refire_async.pipeline import Context, run_pipeline


async def run_task(
    task: TaskSpec,
    data: DataPlane,
    store: RunStore,
    *,
    emit: Emit,
    stop: StopRequest,
    on_context: Callable[[Context], None] | None = None,
) -> TaskResult:
    """Run a task until its end or a stop: resolve its pages in doubt, read its segments, touch their items.

    `on_context` is called once with the task's `Context`, so that the caller can change budgets during the run.

    Raises:
        RefireError: the checkpoint cannot be read or saved. Every other end is a TaskResult.
    """
    segments: Container[int] = range(task.spec.total_segments) if task.tasks == 1 else set(task.segments())
    progress = await store.progress(segments)
    ledger = Ledger(task.first_page)
    ledger.restore(progress.segments, progress.pages)
    journal = Journal(store, ledger, task.number, emit)
    context = make_context(data, task, journal, emit=emit, stop=stop, stored=store.keys)
    context.clock = store.clock
    if on_context is not None:
        on_context(context)
    try:
        status = await run_pipeline(context, task.segments())
    except* RefireError as group:
        # Only the checkpoint can fail here; every other error stops the run in order.
        raise first_of(group) from group
    error = stop.error
    return TaskResult(
        status=status,
        counts=ledger.closed,
        totals=journal.totals,
        stop=stop.reason,
        error=None if error is None else str(error),
        exit_code=ExitCode.COMPLETE if error is None else error.exit_code,
    )

"""The work of some segments: one function of plain values, wherever it runs. It needs no terminal."""

from collections.abc import Callable, Container

from anyio import to_thread

from refire_async.aws.data_plane import DataPlane
from refire_async.checkpoint.journal import Journal
from refire_async.checkpoint.ledger import Ledger
from refire_async.checkpoint.store import Store
from refire_async.engine.processes.assembly import make_context
from refire_async.engine.processes.task import TaskResult, TaskSpec
from refire_async.errors import ExitCode, RefireError, first_of
from refire_async.events import Emit
from refire_async.model.stop import StopRequest
from refire_async.pipeline import Context, run_pipeline


async def work(
    part: TaskSpec,
    data: DataPlane,
    store: Store,
    *,
    emit: Emit,
    stop: StopRequest,
    steer: Callable[[Context], None] | None = None,
) -> TaskResult:
    """Do one part: settle its pages in doubt, read its segments, touch what they hold, until the end or a stop.

    `steer` is given what the tasks share, for those who change budgets on the way.

    Raises:
        RefireError: the checkpoint cannot be read or saved. Every other end is a PartResult.
    """
    segments: Container[int] = range(part.spec.total_segments) if part.parts == 1 else set(part.segments())
    progress = await to_thread.run_sync(store.progress, segments)
    ledger = Ledger(part.first_page)
    ledger.restore(progress.segments, progress.pages)
    journal = Journal(store, ledger, part.number, emit)
    context = make_context(data, part, journal, emit=emit, stop=stop)
    context.clock = store.clock
    if steer is not None:
        steer(context)
    try:
        status = await run_pipeline(context, part.segments())
    except* RefireError as group:
        # Only the checkpoint can fail here: all else is a reason to stop in order.
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

"""`refire verify` without its terminal: a run that is over, or at work somewhere else, proved from its stream."""

from collections.abc import Callable
from pathlib import Path

from anyio import to_thread

from refire_async.aws.configured import configured
from refire_async.aws.session import describe, open_session
from refire_async.checkpoint import catalog
from refire_async.checkpoint.history import TableStream
from refire_async.checkpoint.identity import check_table, merge_connections
from refire_async.checkpoint.reading import SavedRun, peek
from refire_async.model.proof import Proof
from refire_async.model.table import Table
from refire_async.settings import VerifySettings
from refire_async.verification.other_runs import other_runs
from refire_async.verification.verifier import Verifier, prove

_CALLS = 4


async def verify(settings: VerifySettings, *, watch: Callable[[Verifier], None] | None = None) -> Proof:
    """Prove the run in a checkpoint. `watch` is given the proof at work, for its progress.

    Raises:
        RefireError: there is nothing to prove it from, or it cannot be read.
    """
    path = settings.checkpoint
    saved, others = await to_thread.run_sync(_look, path)
    own = configured(settings.connection)
    connection = merge_connections(saved.connection, settings.connection, own)
    async with open_session(connection, _CALLS) as session:
        table = await describe(session, saved.spec.table)
        check_table(path, saved.spec, table)
        return await prove(
            path,
            session.streams,
            expected=saved.counts.settled,
            now=stream_of(table),
            others=others,
            watch=watch,
            clock=session.clock.now,
        )


def stream_of(table: Table) -> TableStream | None:
    """The stream that takes the table's changes right now."""
    stream = table.stream
    if not stream.enabled or stream.arn is None:
        return None
    return TableStream(stream.arn, stream.view_type or "")


def _look(path: Path) -> tuple[SavedRun, list[Path]]:
    saved = peek(path)
    return saved, other_runs(saved, {path.parent, catalog.default_folder()})

"""`refire verify` without its terminal: verifies a run that has ended, or that another process is working on."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from anyio import to_thread

from refire_async.aws.config import configured
from refire_async.aws.errors import AwsError
from refire_async.aws.session import describe, open_session
from refire_async.aws.streams import StreamReader
from refire_async.checkpoint import catalog
from refire_async.checkpoint.history import TableStream
from refire_async.checkpoint.identity import check_table, merge_connections
from refire_async.checkpoint.reading import SavedRun, peek
from refire_async.errors import CheckpointRefusedError, RefusedError
from refire_async.model.proof import Proof
from refire_async.model.table import Table
from refire_async.settings import VerifySettings
from refire_async.verification.reconcile import MAX_CLOCK_SKEW_S
from refire_async.verification.verifier import Verifier, verify_checkpoint

_MAX_REQUESTS = 4
_GONE = ("TrimmedDataAccess", "ResourceNotFound", "ExpiredIterator")
"""Errors unrelated to permissions: the requested records are older than the stream keeps."""


async def verify(settings: VerifySettings, *, on_start: Callable[[Verifier], None] | None = None) -> Proof:
    """Verify the run of a checkpoint. `on_start` receives the verifier, for its progress.

    Raises:
        RefireError: the checkpoint or the stream cannot be read, or there is no stream.
    """
    path = settings.checkpoint
    saved, others = await to_thread.run_sync(_read_checkpoints, path)
    own = configured(settings.connection)
    connection = merge_connections(saved.connection, settings.connection, own)
    async with open_session(connection, _MAX_REQUESTS) as session:
        table = await describe(session, saved.spec.table)
        check_table(path, saved.spec, table)
        return await verify_checkpoint(
            path,
            session.streams,
            expected=saved.counts.settled,
            current=stream_of(table),
            others=others,
            on_start=on_start,
            clock=session.clock.now,
        )


def stream_of(table: Table) -> TableStream | None:
    """The stream that the table has now; None if it has none."""
    stream = table.stream
    if not stream.enabled or stream.arn is None:
        return None
    return TableStream(stream.arn, stream.view_type or "")


async def check_readable(reader: StreamReader, stream: TableStream) -> None:
    """Check before the first write that the run can be verified: list the stream's shards and read from one.

    Raises RefusedError if that fails.
    """
    try:
        shards = await reader.shards(stream.arn)
        if shards:
            async with contextlib.aclosing(reader.answers(stream.arn, shards[-1].id)) as pages:
                await anext(pages, None)
    except AwsError as error:
        if error.name in _GONE:
            return
        raise RefusedError(
            f"the table's stream cannot be read, so nothing could be verified: {error.message}",
            "allow dynamodb:DescribeStream, dynamodb:GetShardIterator and dynamodb:GetRecords on the stream, or run"
            " without --verify and --canary",
        ) from error


def other_runs(path: Path, saved: SavedRun) -> list[Path]:
    """Checkpoints of other runs whose touches must not count as additional touches of the run in `path`.

    Those in the same folder or the default one that counted up the same marker of the same table since `saved` began.
    """
    spec, since = saved.spec, saved.created_s - MAX_CLOCK_SKEW_S
    folders = {path.parent, catalog.default_folder()}
    found = []
    for other_path in sorted(
        {file for folder in folders for file in folder.resolve().glob(f"*{catalog.SUFFIX}")}
    ):
        try:
            other = peek(other_path)
        except CheckpointRefusedError:
            continue
        if (
            other.spec.run_id != spec.run_id
            and other.spec.table_id == spec.table_id
            and other.spec.marker.kind == spec.marker.kind == "revision"
            and other.spec.marker.attribute == spec.marker.attribute
            and other.updated_s >= since
        ):
            found.append(other_path)
    return found


def _read_checkpoints(path: Path) -> tuple[SavedRun, list[Path]]:
    saved = peek(path)
    return saved, other_runs(path, saved)

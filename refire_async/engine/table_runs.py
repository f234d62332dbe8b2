"""What commands do with runs in a checkpoint table: copy them to files, set their rate, remove them."""

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refire_async.aws.session import Session, open_session
from refire_async.checkpoint.catalog import SUFFIX
from refire_async.checkpoint.dynamodb import runs
from refire_async.checkpoint.dynamodb.blobs import open_blobs
from refire_async.checkpoint.dynamodb.copy import copy_run
from refire_async.checkpoint.dynamodb.rate import read_rate, save_rate
from refire_async.checkpoint.dynamodb.recorded import save_note
from refire_async.checkpoint.dynamodb.table import CheckpointTable
from refire_async.engine.shared import Shared
from refire_async.errors import CheckpointRefusedError, UsageError
from refire_async.model.address import TableAddress
from refire_async.model.operator_rate import OperatorRate
from refire_async.model.series import Note
from refire_async.model.units import iso_seconds
from refire_async.pacing.rate import parse_rate
from refire_async.settings import Connection
from refire_async.verification.reconcile import MAX_CLOCK_SKEW_S

_CONCURRENCY = 16


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies of runs: their files, those of runs at work, and one line for each run that cannot be read."""

    files: list[Path] = field(default_factory=list)
    at_work: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


async def copy_one(address: TableAddress, connection: Connection, folder: Path, *, history: bool) -> Copies:
    """Copy the run at the address to a file in `folder`, the first of the copies.

    With `history`, for a verification, also the other runs that touched the same table since it began.

    Raises RefireError.
    """
    assert address.run_id is not None  # noqa: S101 - the caller has looked
    found = Copies()
    async with open_session(connection, _CONCURRENCY) as session:
        table = CheckpointTable(address.table, session.data)
        await _copy(session, table, address.run_id, folder, found, history=history)
        if history:
            own = await runs.get(table, address.run_id)
            async for run_id, of_table in runs.listed(table):
                if run_id == address.run_id or of_table != own.spec.table:
                    continue
                other, claims = await runs.find(table, run_id), await runs.read_claims(table, run_id)
                if other is not None and other.last_seen(claims) >= own.created_s - MAX_CLOCK_SKEW_S:
                    await _copy(session, table, run_id, folder, found, history=True)
    return found


async def copy_all(address: TableAddress, connection: Connection, folder: Path) -> Copies:
    """Copy all runs of a checkpoint table to files in `folder`, without their histories. Raises RefireError."""
    found = Copies()
    async with open_session(connection, _CONCURRENCY) as session:
        table = CheckpointTable(address.table, session.data)
        async for run_id, _ in runs.listed(table):
            try:
                await _copy(session, table, run_id, folder, found, history=False)
            except CheckpointRefusedError as error:
                found.unreadable.append(str(error))
    return found


async def _copy(
    session: Session, table: CheckpointTable, run_id: str, folder: Path, found: Copies, *, history: bool
) -> None:
    path = folder / f"{run_id}{SUFFIX}"
    claims = await copy_run(table, run_id, path, session.services, history=history)
    found.files.append(path)
    if runs.at_work(claims, session.clock.now()):
        found.at_work.append(path)


async def keep_note(address: TableAddress, connection: Connection, note: Note) -> None:
    """Add a note to the recording of a run. Raises RefireError."""
    async with open_session(connection, 1) as session:
        await save_note(CheckpointTable(address.table, session.data), address.run_id or "", note)


async def rate(address: TableAddress, connection: Connection, value: str | None) -> dict[str, Any]:
    """Set the rate of all tasks of a run to `value`, if there is one, and return what is set.

    `value` is a rate, `pause`, `resume` (ends the pause) or `auto` (the options of the tasks apply).

    Raises:
        UsageError: the run is complete, or `value` is no rate.
        RefireError: there is no such run, or its table does not answer.
    """
    async with open_session(connection, 4) as session:
        item = await Shared.find(session, address)
        table, run_id = CheckpointTable(address.table, session.data), item.spec.run_id
        if item.status == "complete":
            raise UsageError(f"run {run_id} is complete", "start a new one with refire run")
        found = await read_rate(table, run_id)
        if value is not None:
            found = _changed(found, value.strip().lower(), session.clock.now())
            await save_rate(table, run_id, found)
        working = runs.at_work(await runs.read_claims(table, run_id), session.clock.now())
    return {
        "run_id": run_id,
        "set": _describe(found),
        "paused": found is not None and found.paused,
        "by": None if found is None else found.by,
        "at": None if found is None else iso_seconds(found.at),
        "tasks": len(working),
    }


def _changed(before: OperatorRate | None, value: str, now: float) -> OperatorRate:
    kept = None if before is None else before.rate
    by = socket.gethostname()
    match value:
        case "resume":
            return OperatorRate(kept, paused=False, by=by, at=now)
        case "auto":
            return OperatorRate(None, paused=False, by=by, at=now)
        case _ if parse_rate(value).paused:
            return OperatorRate(kept, paused=True, by=by, at=now)
        case _:
            return OperatorRate(str(parse_rate(value)), paused=False, by=by, at=now)


def _describe(rate: OperatorRate | None) -> str:
    if rate is not None and rate.paused:
        return "paused"
    if rate is None or rate.rate is None:
        return "the options of its tasks apply"
    return f"{rate.rate} of the table's capacity" if rate.rate.endswith("%") else f"{rate.rate} WCU/s"


async def forget(address: TableAddress, connection: Connection, archive: str | None) -> int:
    """Remove a run from its table, and from its `archive`; the number of removed items and objects.

    Raises CheckpointRefusedError if a task is at work on it.
    """
    assert address.run_id is not None  # noqa: S101 - the caller has looked
    async with open_session(connection, _CONCURRENCY) as session:
        table = CheckpointTable(address.table, session.data)
        working = runs.at_work(await runs.read_claims(table, address.run_id), session.clock.now())
        if working:
            raise CheckpointRefusedError(
                f"run {address.run_id} is in progress at {working[0].owner}",
                "stop it first, or wait until it ends",
            )
        removed = await _remove_archive(session, table, address.run_id, archive)
        removed += await runs.forget(table, address.run_id)
        if not removed:
            raise CheckpointRefusedError(
                f"checkpoint table {table.name} has no run {address.run_id}",
                f"list its runs with: refire status --checkpoint dynamodb://{table.name}",
            )
        return removed


async def _remove_archive(session: Session, table: CheckpointTable, run_id: str, archive: str | None) -> int:
    """Remove the objects of a run in S3, before its item, which names them; how many there were."""
    named = await runs.archive_of(table, run_id)
    if named != archive:
        raise CheckpointRefusedError(
            f"the pages of run {run_id} are in {named or 'its checkpoint table'}",
            "leave out --archive"
            if named is None
            else f"give --archive {named}, if that is yours, to remove them too",
        )
    async with open_blobs(table, run_id, archive, session.services, session.clock.now) as blobs:
        return await blobs.remove()

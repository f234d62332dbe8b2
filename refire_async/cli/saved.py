"""The run that the options of a command name, wherever its checkpoint is."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from refire_async.cli import options
from refire_async.cli.params import RunId, SavedCheckpoint
from refire_async.cli.parsed_options import SavedRunOptions
from refire_async.cli.streams import say_error
from refire_async.errors import UsageError
from refire_async.folders import temporary_folder
from refire_async.model.address import TableAddress
from refire_async.settings import Connection

if TYPE_CHECKING:
    from refire_async.engine.table_runs import Copies


def saved_run(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument and the option that name an existing run."""
    checkpoint = options.option(
        "Run",
        "--checkpoint",
        SavedCheckpoint("PLACE"),
        "The run's checkpoint, if it is not in your state folder: a file, or dynamodb://TABLE/RUN_ID.",
    )
    run_id = click.argument(
        "run_id", metavar="[RUN_ID]", required=False, type=RunId("refire status lists the runs")
    )
    return run_id(checkpoint(function))


def table_address(parsed: SavedRunOptions) -> TableAddress | None:
    """The address of the run if its checkpoint is in a table. Raises UsageError if it names no run."""
    if not isinstance(parsed.checkpoint, TableAddress):
        return None
    address = with_run_id(parsed.checkpoint, parsed.run_id)
    if address.run_id is None:
        raise UsageError(
            f"{address} does not name a run",
            f"write {address}/RUN_ID; 'refire status --checkpoint {address}' lists its runs",
        )
    return address


def with_run_id(address: TableAddress, run_id: str | None) -> TableAddress:
    """The address of this run. Raises UsageError if it is that of another one."""
    if run_id is not None and address.run_id not in (None, run_id):
        raise UsageError(f"{address} is not run {run_id}", "give either the run id or --checkpoint")
    return TableAddress(address.table, address.run_id or run_id)


@contextmanager
def as_file(parsed: SavedRunOptions, connection: Connection, *, history: bool = False) -> Iterator[Path]:
    """The checkpoint of the run: its file, or a copy of a run in a table, which vanishes afterwards.

    A copy of a run at work is locked meanwhile, so that it counts as one. `history`: for a verification.

    Raises RefireError.
    """
    address = table_address(parsed)
    if address is None:
        yield locate_one(parsed)
        return
    from refire_async.engine import table_runs  # noqa: PLC0415 - brings the client

    with _copied(partial(table_runs.copy_one, address, connection, history=history)) as (_, found):
        yield found.files[0]


@contextmanager
def all_as_files(address: TableAddress, connection: Connection) -> Iterator[Path]:
    """A folder with copies of all runs of a checkpoint table. Raises RefireError."""
    from refire_async.engine import table_runs  # noqa: PLC0415 - brings the client

    with _copied(partial(table_runs.copy_all, address, connection)) as (folder, _):
        yield folder


@contextmanager
def _copied(copy: "Callable[[Path], Awaitable[Copies]]") -> "Iterator[tuple[Path, Copies]]":
    from refire_async.checkpoint.lock import locked  # noqa: PLC0415 - not needed to show help
    from refire_async.engine.event_loop import run_loop  # noqa: PLC0415

    if (place := temporary_folder()) is None:
        raise UsageError("there is no folder for temporary files", "set TMPDIR to one that can be written")
    with TemporaryDirectory(prefix="refire-", dir=place) as folder, ExitStack() as locks:
        found = run_loop(partial(copy, Path(folder)))
        for line in found.unreadable:
            say_error(line)
        for path in found.at_work:
            locks.enter_context(locked(path))
        yield Path(folder), found


def is_delivery(checkpoint: Path) -> bool:
    """Whether the checkpoint is that of a replay or redrive."""
    from refire_async.checkpoint.read_only import holds_delivery  # noqa: PLC0415 - brings SQLite

    return holds_delivery(checkpoint)


def locate(run_id: str | None, checkpoint: Path | None) -> Path:
    """The checkpoint with this run id or path. Raises UsageError or CheckpointRefusedError."""
    from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite

    if checkpoint is None:
        return catalog.find(run_id or "")
    if run_id is not None and not (found := run_id_of(checkpoint)).startswith(run_id):
        raise UsageError(
            f"checkpoint {checkpoint} belongs to run {found}, not to {run_id}",
            "give either the run id or --checkpoint",
        )
    return checkpoint


def run_id_of(checkpoint: Path) -> str:
    """The id of the run or delivery. Raises CheckpointRefusedError."""
    from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite
    from refire_async.delivery.saved import peek  # noqa: PLC0415

    return peek(checkpoint).spec.run_id if is_delivery(checkpoint) else catalog.describe(checkpoint).run_id


def locate_one(parsed: SavedRunOptions) -> Path:
    """The file of the run that the options name. Raises UsageError or CheckpointRefusedError."""
    assert not isinstance(parsed.checkpoint, TableAddress)  # noqa: S101 - the callers have looked
    if parsed.run_id is None and parsed.checkpoint is None:
        raise UsageError("no run given", "give its RUN_ID or its --checkpoint; refire status lists runs")
    return locate(parsed.run_id, parsed.checkpoint)

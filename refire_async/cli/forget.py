"""`refire forget`: remove a run's checkpoint and the files that belong to it."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from refire_async.cli import options
from refire_async.cli.confirmation import confirmed
from refire_async.cli.help import Command
from refire_async.cli.options_to_settings import make_connection
from refire_async.cli.parsed_options import ForgetOptions
from refire_async.cli.saved import is_delivery, locate_one, saved_run, table_address
from refire_async.cli.streams import print_json, print_result
from refire_async.errors import StoppedError, UsageError
from refire_async.model.address import TableAddress


@click.command(
    "forget",
    cls=Command,
    unexpected="one run at a time",
    examples=(
        ("Remove a run that you will not resume", "refire forget 20260131T120000Z-3f2a1b"),
        ("The same for a script", "refire forget --checkpoint ./orders.refire --yes --json"),
    ),
)
@saved_run
@options.connection
@options.archive
@options.yes
@options.json_output
def command(**given: Any) -> int:
    """Remove a run's checkpoint, its list of keys and its lists of failed and missing keys, after confirmation.

    A run in progress is refused. A stopped run cannot be resumed afterwards, and no run can be verified;
    events that were fired stay fired. What replay --how mapping left at Lambda
    is taken away first. RUN_ID may be a prefix of an id, or latest.
    """
    parsed = ForgetOptions(**given)
    if (address := table_address(parsed)) is not None:
        return _forget_in_table(parsed, address)
    if parsed.archive is not None:
        raise UsageError("--archive is for a run in a checkpoint table", "leave it out")
    checkpoint = locate_one(parsed)

    import orjson  # noqa: PLC0415 - not needed to show help

    from refire_async.checkpoint import cleanup  # noqa: PLC0415 - brings SQLite
    from refire_async.delivery.catalog import describe_any  # noqa: PLC0415
    from refire_async.output.runs import describe_status  # noqa: PLC0415

    run = describe_any(checkpoint)
    cleanup.refuse_running(run)
    if not parsed.yes:
        lost = "It cannot be resumed afterwards." if run.status == "stopped" else ""
        lines = [
            f"Run {run.run_id} of table {run.table}: {describe_status(run.status, run.failed)}. {lost}".rstrip(),
            *(f"  {path}" for path in (checkpoint, *run.kept_files)),
        ]
        _confirm(run.run_id, lines)
    _take_away(checkpoint)
    removed = [str(path) for path in cleanup.forget(run)]
    if parsed.json:
        print_json(orjson.dumps({"run_id": run.run_id, "removed": removed}).decode())
    else:
        print_result(f"Removed run {run.run_id}: {len(removed)} file{'' if len(removed) == 1 else 's'}")
    return 0


def _forget_in_table(parsed: ForgetOptions, address: TableAddress) -> int:
    """Remove a run in a checkpoint table. Raises RefireError."""
    import orjson  # noqa: PLC0415 - not needed to show help

    from refire_async.engine import table_runs  # noqa: PLC0415 - brings the client
    from refire_async.engine.event_loop import run_loop  # noqa: PLC0415

    run_id = address.run_id or ""
    if not parsed.yes:
        _confirm(run_id, [f"Everything of run {run_id} in checkpoint table {address.table}."])
    removed = run_loop(partial(table_runs.forget, address, make_connection(parsed), parsed.archive))
    if parsed.json:
        print_json(orjson.dumps({"run_id": run_id, "removed": [str(address)]}).decode())
    else:
        print_result(f"Removed run {run_id}: {removed} items of table {address.table}")
    return 0


def _confirm(run_id: str, lines: list[str]) -> None:
    """Ask on the terminal. Raises UsageError if there is none, StoppedError if the user said no."""
    remove = confirmed(
        lines,
        "Remove it?",
        UsageError(
            f"run {run_id} would be removed, and there is no terminal for confirmation",
            "give --yes to remove without asking",
        ),
    )
    if not remove:
        raise StoppedError(f"run {run_id} was not removed", "nothing was changed")


def _take_away(checkpoint: Path) -> None:
    """Remove what a replay by a temporary mapping left at Lambda. Raises RefireError: then nothing is forgotten."""
    if not is_delivery(checkpoint):
        return

    from refire_async.engine import mapped  # noqa: PLC0415 - brings the engine, which is slow to import
    from refire_async.engine.event_loop import run_loop  # noqa: PLC0415

    if mapped.has_mapping(checkpoint):
        run_loop(partial(mapped.remove_mapping, checkpoint))

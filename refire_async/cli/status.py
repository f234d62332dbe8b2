"""`refire status`: list runs, show one in detail, remove finished ones."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refire_async.cli import options
from refire_async.cli.confirmation import confirmed
from refire_async.cli.help import Command
from refire_async.cli.options_to_settings import make_connection
from refire_async.cli.params import Whole
from refire_async.cli.parsed_options import StatusOptions
from refire_async.cli.saved import all_as_files, as_file, locate_one, saved_run, table_address, with_run_id
from refire_async.cli.streams import (
    OutputLostError,
    print_json,
    print_result,
    say_error,
    write_json,
    write_line,
)
from refire_async.errors import UsageError
from refire_async.model.address import TableAddress

if TYPE_CHECKING:
    from refire_async.checkpoint.catalog import RunInfo
    from refire_async.checkpoint.cleanup import Kept
    from refire_async.delivery.catalog import DeliveryInfo

MOST_HINTS = 5
"""With more stopped runs than this, the resume command is shown once, as a pattern."""

WATCH_S = 2.0
"""Seconds between refreshes. A run saves its progress as often, so that a shorter interval shows nothing new."""

_CLEAR = "\x1b[H\x1b[2J\x1b[3J"


@click.command(
    "status",
    cls=Command,
    unexpected="one run at a time, or none for all of them",
    examples=(
        (
            "All runs of a table that are not complete, the newest first",
            "refire status --table orders --unfinished",
        ),
        ("Details of the newest run, refreshed until it ends", "refire status latest --watch"),
    ),
)
@saved_run
@options.connection
@options.table_filter
@options.flag("Run", "--unfinished", "Only runs that are not complete.")
@options.option(
    "Run", "--limit", Whole("N", "--limit 10", 1, 1_000_000), "Show at most N runs, newest first."
)
@options.flag("Run", "--watch", "Refresh every 2 s until no listed run is in progress.")
@options.flag("Run", "--clean", "Remove finished runs; keeps those that can be resumed or have failed keys.")
@options.yes
@options.json_output
def command(**given: Any) -> int:
    """List runs, newest first; show the details of one; or remove finished runs.

    RUN_ID may be a prefix of an id, or latest. With --checkpoint dynamodb://TABLE it lists the runs in that table.
    """
    parsed = StatusOptions(**given)
    table = parsed.checkpoint if isinstance(parsed.checkpoint, TableAddress) else None
    one = parsed.run_id is not None or (
        parsed.checkpoint is not None and (table is None or table.run_id is not None)
    )
    if one and (parsed.unfinished or parsed.limit is not None):
        raise UsageError(
            "--unfinished and --limit filter the list of all runs", "remove them, or do not name a run"
        )
    if parsed.clean and table is not None:
        raise UsageError("--clean is for the runs in your state folder", "remove a run with refire forget")
    if parsed.clean:
        if parsed.watch:
            raise UsageError("--clean and --watch cannot be combined", "leave one of them out")
        found = _one(parsed) if one else [*_listed(parsed), *_deliveries_as_runs(parsed)]
        return _clean(found, assume_yes=parsed.yes, as_json=parsed.json)
    show = _show_one if one else _show_all
    if parsed.watch:
        return _watch(show, parsed)
    text, _ = show(parsed)
    print_json(text) if parsed.json else print_result(text)
    return 0


def _one(parsed: StatusOptions) -> "Sequence[RunInfo]":
    from refire_async.delivery.catalog import describe_any  # noqa: PLC0415 - brings SQLite

    return [describe_any(locate_one(parsed))]


def _deliveries_as_runs(parsed: StatusOptions) -> "Sequence[RunInfo]":
    from refire_async.delivery.catalog import as_run  # noqa: PLC0415 - brings SQLite

    return [as_run(info.checkpoint) for info in _listed_deliveries(parsed)]


def _listed(parsed: StatusOptions) -> "Sequence[RunInfo]":
    """The runs in the state folder that match the options. Files that cannot be read are errors on standard error."""
    from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite

    if isinstance(parsed.checkpoint, TableAddress):
        with all_as_files(parsed.checkpoint, make_connection(parsed)) as folder:
            runs = catalog.list_runs(folder).runs
        runs = [replace(run, address=with_run_id(parsed.checkpoint, run.run_id)) for run in runs]
    else:
        found = catalog.list_runs()
        runs = found.runs
        for line in found.unreadable:
            say_error(line)
    table = parsed.table
    chosen = [
        run
        for run in runs
        if not (parsed.unfinished and run.status == "complete") and (table is None or run.is_of(table))
    ]
    return chosen[: parsed.limit]


def _listed_deliveries(parsed: StatusOptions) -> "Sequence[DeliveryInfo]":
    """The replays and redrives in the state folder that match the options, as `_listed`."""
    from refire_async.delivery.catalog import list_deliveries  # noqa: PLC0415 - brings SQLite

    if parsed.checkpoint is not None:
        return []
    found = list_deliveries()
    for line in found.unreadable:
        say_error(line)
    chosen = [
        one
        for one in found.deliveries
        if not (parsed.unfinished and one.status == "complete")
        and (parsed.table is None or one.saved.spec.table == parsed.table.rpartition("/")[2])
    ]
    return chosen[: parsed.limit]


def _show_all(parsed: StatusOptions) -> tuple[str, bool]:
    """The text about all runs, and whether one of them is in progress."""
    import orjson  # noqa: PLC0415 - not needed to show help

    from refire_async.output.deliveries import delivery_entry, delivery_lines  # noqa: PLC0415
    from refire_async.output.runs import list_entry  # noqa: PLC0415

    runs, deliveries = _listed(parsed), _listed_deliveries(parsed)
    statuses = [*(run.status for run in runs), *(one.status for one in deliveries)]
    working = "running" in statuses
    if parsed.json:
        found = {
            "runs": [list_entry(run) for run in runs],
            "deliveries": list(map(delivery_entry, deliveries)),
        }
        return orjson.dumps(found).decode(), working
    chosen = parsed.table is not None or parsed.unfinished
    text = _text(runs, chosen=chosen, table=parsed.table)
    if not deliveries:
        return text, working
    lines = "\n".join(["Replays and redrives:", *delivery_lines(deliveries)])
    return (f"{text}\n\n{lines}" if runs else lines), working


def _show_one(parsed: StatusOptions) -> tuple[str, bool]:
    """The text about one run, and whether it is in progress."""
    import orjson  # noqa: PLC0415 - not needed to show help

    from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite
    from refire_async.checkpoint.details import read_details  # noqa: PLC0415
    from refire_async.checkpoint.read_only import holds_delivery  # noqa: PLC0415
    from refire_async.output.runs import details_entry, details_lines, list_entry  # noqa: PLC0415

    with as_file(parsed, make_connection(parsed)) as checkpoint:
        if holds_delivery(checkpoint):
            return _show_delivery(checkpoint, as_json=parsed.json)
        run = replace(catalog.describe(checkpoint), address=table_address(parsed))
        details = read_details(checkpoint)
    if parsed.json:
        entry = list_entry(run) | details_entry(details, run.kept_files)
        return orjson.dumps({"runs": [entry]}).decode(), run.status == "running"
    lines = [*details_lines(details, run.kept_files), "", f"Checkpoint: {_shown(run.place)}"]
    return "\n".join([*lines, *_resume_commands([run])]), run.status == "running"


def _show_delivery(checkpoint: Path, *, as_json: bool) -> tuple[str, bool]:
    """The text about one replay or redrive, and whether it is in progress."""
    import orjson  # noqa: PLC0415 - not needed to show help

    from refire_async.delivery.catalog import describe  # noqa: PLC0415 - brings SQLite
    from refire_async.output.deliveries import delivery_details, delivery_entry  # noqa: PLC0415
    from refire_async.output.summary import command_line  # noqa: PLC0415

    info = describe(checkpoint)
    working = info.status == "running"
    if as_json:
        return orjson.dumps({"deliveries": [delivery_entry(info)]}).decode(), working
    lines = delivery_details(info)
    if info.status == "stopped":
        lines += ["", _shown(f"Resume with: {command_line('resume', info.saved.spec.run_id)}")]
    return "\n".join(lines), working


def _watch(show: Callable[[StatusOptions], tuple[str, bool]], parsed: StatusOptions) -> int:
    """Show the runs until none is in progress, or until Ctrl-C. With --json, print a line each time."""
    clear = sys.stdout.isatty() and not parsed.json and os.environ.get("TERM") != "dumb"
    try:
        while True:
            text, working = show(parsed)
            if parsed.json:
                write_json(text)
            else:
                write_line((_CLEAR if clear else "") + _shown(text))
            if not working:
                return 0
            time.sleep(WATCH_S)
    except KeyboardInterrupt:  # the usual end of watching
        return 0
    except OutputLostError as error:
        if not error.reader_gone:
            raise
        return 0


def _clean(runs: Sequence["RunInfo"], *, assume_yes: bool, as_json: bool) -> int:
    """Remove finished runs after confirmation."""
    from refire_async.checkpoint import cleanup  # noqa: PLC0415 - brings SQLite
    from refire_async.delivery.catalog import describe_any  # noqa: PLC0415

    removable, kept = cleanup.split_removable(runs)
    removed: list[RunInfo] = []
    if removable and not assume_yes and not _confirmed(removable):
        kept += [cleanup.Kept(run, "not confirmed") for run in removable]
        removable = []
    for run in removable:
        refused = cleanup.remove(run, describe_any)
        if refused is None:
            removed.append(run)
        else:
            kept.append(refused)
    if as_json:
        print_json(_cleaned_json(removed, kept))
    else:
        print_result(_cleaned_text(removed, kept))
    return 0


def _confirmed(runs: Sequence["RunInfo"]) -> bool:
    """Ask on the terminal. Raises UsageError if there is none."""
    return confirmed(
        [f"  {run.run_id}  {run.table}  complete  {run.updated_at}" for run in runs],
        f"Remove the checkpoints of {_runs(len(runs))}?",
        UsageError(
            f"{_runs(len(runs))} would be removed, and there is no terminal for confirmation",
            "give --yes to remove without asking",
        ),
    )


def _runs(number: int) -> str:
    return f"{number} finished run{'' if number == 1 else 's'}"


def _cleaned_json(removed: Sequence["RunInfo"], kept: Sequence["Kept"]) -> str:
    import orjson  # noqa: PLC0415 - not needed to show help

    return orjson.dumps(
        {
            "removed": [run.run_id for run in removed],
            "kept": [{"run_id": entry.run.run_id, "reason": entry.reason} for entry in kept],
        }
    ).decode()


def _cleaned_text(removed: Sequence["RunInfo"], kept: Sequence["Kept"]) -> str:
    lines = [_shown(f"Removed {run.run_id} ({run.table})") for run in removed]
    lines += [_shown(f"Kept {entry.run.run_id} ({entry.run.table}): {entry.reason}") for entry in kept]
    return "\n".join(lines or ["No runs, so nothing to remove."])


def _text(runs: Sequence["RunInfo"], *, chosen: bool = False, table: str | None = None) -> str:
    """The list as text. `chosen`: options have filtered it, for example by `table`."""
    from refire_async.output.runs import list_lines  # noqa: PLC0415

    if not runs and chosen:
        return "No matching runs."
    if not runs:
        return "No runs yet. Start one with: refire run --table NAME"
    # A pipe has no width: nothing is shortened there.
    width = _columns() if sys.stdout.isatty() else None
    lines = [
        *list_lines(runs, width),
        "",
        f"Checkpoints are in {_shown(runs[0].place.rpartition('/')[0])}"
        if len(runs) > 1
        else f"Checkpoint: {_shown(runs[0].place)}",
    ]
    if table is not None:
        lines.append(f"Only runs of table {table} are shown.")
    return "\n".join([*lines, *_resume_commands(runs)])


def _columns() -> int:
    import shutil  # noqa: PLC0415 - rarely needed

    return shutil.get_terminal_size().columns


def _shown(path: object) -> str:
    from refire_async.output.text import visible  # noqa: PLC0415 - not needed to show help

    return visible(str(path))


def _resume_commands(runs: Sequence["RunInfo"]) -> list[str]:
    from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite
    from refire_async.output.summary import command_line  # noqa: PLC0415

    stopped = [run for run in runs if run.status == "stopped"]
    if len(stopped) > MOST_HINTS:
        return ["Resume a stopped run with: refire resume RUN_ID"]
    lines = []
    for run in stopped:
        is_default = run.address is None and run.checkpoint == catalog.path_of(run.run_id)
        checkpoint = [] if is_default else [("--checkpoint", run.place)]
        lines.append(_shown(f"Resume with: {command_line('resume', run.run_id, options=checkpoint)}"))
    return lines

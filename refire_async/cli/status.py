"""`refire status`: which runs there are, where they stand, and an end to those that are finished."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

from refire_async.cli import options
from refire_async.cli.help import Command
from refire_async.cli.question import agreed
from refire_async.cli.resume import locate, saved_run
from refire_async.cli.streams import print_json, print_result, print_styled, say_error
from refire_async.errors import UsageError

if TYPE_CHECKING:
    from refire_async.checkpoint.catalog import RunInfo
    from refire_async.checkpoint.cleaning import Kept

MOST_HINTS = 5
"""Stopped runs whose command to go on is shown; of more, the form of it."""


@click.command(
    "status",
    cls=Command,
    unexpected="one run at a time, or none for all of them",
    examples=(
        ("All runs, the newest first", "refire status"),
        ("Remove the checkpoints of runs that are complete", "refire status --clean"),
    ),
)
@saved_run
@options.flag("Run", "--clean", "Remove finished runs; never one that can be resumed or left failed keys.")
@options.yes
@options.json_output
def command(**given: Any) -> int:
    """List runs, finished and unfinished, the newest first; or tell about one. Or remove what is finished."""
    from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite

    if given["run_id"] is None and given["checkpoint"] is None:
        found = catalog.survey()
        runs: Sequence[RunInfo] = found.runs
        for line in found.unreadable:
            say_error(line)
    else:
        runs = [catalog.describe(locate(given["run_id"], given["checkpoint"]))]
    if given["clean"]:
        return _clean(runs, sure=given["yes"], as_json=given["json"])
    print_json(_json(runs)) if given["json"] else print_styled(_text(runs))
    return 0


def _clean(runs: Sequence["RunInfo"], *, sure: bool, as_json: bool) -> int:
    """Remove what is finished, once the user has agreed."""
    from refire_async.checkpoint import cleaning  # noqa: PLC0415 - brings SQLite

    removable, kept = cleaning.sort_out(runs)
    removed: list[RunInfo] = []
    if removable and not sure and not _agreed(removable):
        kept += [cleaning.Kept(run, "you said no") for run in removable]
        removable = []
    for run in removable:
        refused = cleaning.remove(run)
        if refused is None:
            removed.append(run)
        else:
            kept.append(refused)
    if as_json:
        print_json(_cleaned_json(removed, kept))
    else:
        print_result(_cleaned_text(removed, kept))
    return 0


def _agreed(runs: Sequence["RunInfo"]) -> bool:
    """Ask on the terminal. Raises UsageError where there is none."""
    return agreed(
        [f"  {run.run_id}  {run.table}  complete  {run.updated_at}" for run in runs],
        f"Remove the checkpoints of {_runs(len(runs))}?",
        UsageError(
            f"{_runs(len(runs))} would be removed, and there is no terminal to ask at",
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
    lines = [f"Removed {run.run_id} ({run.table})" for run in removed]
    lines += [f"Kept {entry.run.run_id} ({entry.run.table}): {entry.reason}" for entry in kept]
    return "\n".join(lines or ["No runs, so nothing to remove."])


def _json(runs: Sequence["RunInfo"]) -> str:
    import orjson  # noqa: PLC0415 - not needed to show help

    fields = ("run_id", "table", "status", "touched", "updated_at")
    entries = [
        {name: getattr(run, name) for name in fields} | {"checkpoint": str(run.checkpoint)} for run in runs
    ]
    return orjson.dumps({"runs": entries}).decode()


def _text(runs: Sequence["RunInfo"]) -> str:
    from rich.console import Console  # noqa: PLC0415 - slow to import, not needed to show help
    from rich.table import Table  # noqa: PLC0415

    from refire_async.report.text import count, percent, units, visible  # noqa: PLC0415

    if not runs:
        return "No runs yet. Start one with: refire run --table NAME"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("run", "table", "status", "read", "touched", "items/s", "updated (UTC)"):
        justify: Literal["left", "right"] = "right" if heading in ("read", "touched", "items/s") else "left"
        table.add_column(  # ids are there to be copied
            heading, justify=justify, overflow="fold", no_wrap=heading in ("run", "updated (UTC)")
        )
    for run in runs:
        table.add_row(
            run.run_id,
            visible(run.table),
            _STYLES[run.status],
            "-" if run.share is None else percent(run.share),
            count(run.touched),
            units(run.items_per_second),
            run.updated_at[:16].replace("T", " "),
        )
    # A pipe has no width: nothing is folded there.
    console = Console(width=None if sys.stdout.isatty() else 500)
    with console.capture() as captured:
        console.print(table)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    lines += [
        "",
        f"Checkpoints are in {runs[0].checkpoint.parent}"
        if len(runs) > 1
        else f"Checkpoint: {runs[0].checkpoint}",
    ]
    return "\n".join([*lines, *_how_to_go_on(runs)])


def _how_to_go_on(runs: Sequence["RunInfo"]) -> list[str]:
    from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite
    from refire_async.report.summary import command_line  # noqa: PLC0415

    stopped = [run for run in runs if run.status == "stopped"]
    if len(stopped) > MOST_HINTS:
        return ["Go on with a stopped run: refire resume RUN_ID"]
    lines = []
    for run in stopped:
        at_home = run.checkpoint == catalog.path_of(run.run_id)
        elsewhere = [] if at_home else [("--checkpoint", str(run.checkpoint))]
        lines.append(f"Go on with: {command_line('resume', run.run_id, options=elsewhere)}")
    return lines


_STYLES = {
    "running": "[cyan]running[/]",
    "complete": "[green]complete[/]",
    "stopped": "[yellow]stopped[/]",
    "failed": "[red]failed[/]",
    "dry-run": "dry-run",
}

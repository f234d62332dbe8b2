"""`refire status`: which runs there are."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from refire_async.cli import options
from refire_async.cli.boundary import print_result
from refire_async.cli.help import Command
from refire_async.cli.resume import locate, saved_run

if TYPE_CHECKING:
    from refire_async.checkpoint.catalog import RunInfo


@click.command(
    "status",
    cls=Command,
    unexpected="one run at a time, or none for all of them",
    examples=(
        ("All runs, the newest first", "refire status"),
        ("One run, for a script", "refire status 20260131T120000-3f2a --json"),
    ),
)
@saved_run
@options.json_output
def command(**given: Any) -> int:
    """List runs, finished and unfinished, the newest first; or tell about one."""
    from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite

    if given["run_id"] is None and given["checkpoint"] is None:
        runs: Sequence[RunInfo] = catalog.list_runs()
    else:
        runs = [catalog.describe(locate(given["run_id"], given["checkpoint"]))]
    print_result(_json(runs) if given["json"] else _text(runs))
    return 0


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

    from refire_async.report.text import count  # noqa: PLC0415

    if not runs:
        return "No runs yet. Start one with: refire run --table NAME"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("run", "table", "status", "touched", "updated"):
        table.add_column(heading, justify="right" if heading == "touched" else "left", overflow="fold")
    for run in runs:
        table.add_row(run.run_id, run.table, _STYLES[run.status], count(run.touched), run.updated_at)
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
    if any(run.status == "stopped" for run in runs):
        lines.append("Go on with a stopped run: refire resume RUN_ID")
    return "\n".join(lines)


_STYLES = {
    "running": "[cyan]running[/]",
    "complete": "[green]complete[/]",
    "stopped": "[yellow]stopped[/]",
    "failed": "[red]failed[/]",
    "dry-run": "dry-run",
}

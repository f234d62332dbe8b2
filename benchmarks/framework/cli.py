"""`python -m benchmarks`: list, run, results."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.framework import result, results_page
from benchmarks.framework.machine import machine, versions
from benchmarks.framework.progress import Bar
from benchmarks.framework.registry import NAMES, choose, load
from benchmarks.framework.scenario import Bench, BenchmarkError, RealTable, Scenario

ROOT = Path(__file__).parents[1]
QUICK_ITEMS, FULL_ITEMS = 2_000, 50_000
"""Items of a real table that each run touches unless told otherwise."""

_WARNING = """[bold]This touches a real table.[/] Every run of {names} adds 1 to the attribute "revision" of up to \
{items:,} items of table {table} at {place}: that writes to it (and is charged), and whatever listens to its stream \
sees an event for each. A benchmark makes several runs. Use a table that no application depends on."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Benchmarks of refire: what a run costs, how fast it is, and what bounds it."""


@main.command("list")
def list_command() -> None:
    """The benchmarks and the question that each answers."""
    grid = Grid(box=None, show_header=False, pad_edge=False)
    for name in NAMES:
        grid.add_row(f"[bold]{name}[/]", load(name).question)
    Console().print(grid)


def _change(_ctx: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for name, sign, _ in pairs:
        if not sign:
            raise click.BadParameter(f"{name} has no value; write --set NAME=VALUE")
    return {name: value for name, _, value in pairs}


@main.command("run")
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("--quick", is_flag=True, help="Smaller and shorter: a first look, not a result.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("benchmark-results"),
    show_default=True,
    help="Folder for result files and plots.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_change,
    help="Another value for a parameter (JSON), as result files name them; for one benchmark.",
)
@click.option("--endpoint-url", help="Where the real table is, if not at AWS.")
@click.option("--table", help="A real table to run against, in place of a sandbox.")
@click.option("--region", help="Its AWS region.")
@click.option("--profile", help="Profile of the AWS configuration for it.")
@click.option(
    "--max-items", type=click.IntRange(min=100), help="Items of the real table that each run touches."
)
@click.option("--yes", is_flag=True, help="Go ahead with a real table.")
def run_command(
    names: tuple[str, ...],
    *,
    quick: bool,
    out: Path,
    changes: dict[str, str],
    table: str | None,
    yes: bool,
    max_items: int | None,
    **place: str | None,
) -> None:
    """Run benchmarks (or `all`) and write NAME.json, NAME.png and NAME.svg."""
    console = Console(stderr=True)
    given = {name: value for name, value in place.items() if value is not None}
    try:
        scenarios = choose(names)
        real = _real(table, given, max_items, quick=quick, yes=yes)
        if real is not None:
            _warn(console, scenarios, real, all_of_them="all" in names)
            scenarios = [scenario for scenario in scenarios if scenario.on_real]
            _insist(agreed=yes)
        if changes:
            _alone(scenarios)
        parameters = [scenario.parameters(quick=quick, changes=changes) for scenario in scenarios]
    except BenchmarkError as error:
        raise click.UsageError(str(error)) from None
    failed = 0
    for scenario, chosen in zip(scenarios, parameters, strict=True):
        command = _command(scenario.name, quick=quick, changes=changes, real=real)
        try:
            path = run_one(
                scenario, chosen, console=console, out=out, quick=quick, command=command, real=real
            )
        except BenchmarkError as error:
            console.print(f"{scenario.name} failed: {error}", style="red", markup=False, soft_wrap=True)
            failed += 1
        else:
            click.echo(path)
    if failed:
        raise SystemExit(1)


def _real(
    table: str | None, given: dict[str, str], max_items: int | None, *, quick: bool, yes: bool
) -> RealTable | None:
    """The real table that the options name, if any. Raises BenchmarkError."""
    if table is not None:
        return RealTable(table, max_items or (QUICK_ITEMS if quick else FULL_ITEMS), **given)
    if given or max_items or yes:
        raise BenchmarkError("name the real table with --table; without one a sandbox is used")
    return None


def _alone(scenarios: list[Scenario[Any]]) -> None:
    if len(scenarios) != 1:
        raise BenchmarkError("--set is for one benchmark at a time")


def _insist(*, agreed: bool) -> None:
    if not agreed:
        raise BenchmarkError("give --yes to go ahead")


def _warn(console: Console, scenarios: list[Scenario[Any]], real: RealTable, *, all_of_them: bool) -> None:
    """Say what will happen to the table. Raises BenchmarkError for a benchmark that takes none."""
    own = [scenario.name for scenario in scenarios if not scenario.on_real]
    if own and not all_of_them:
        raise BenchmarkError(f"{', '.join(own)} is about tables of its own and takes no real table")
    names = ", ".join(scenario.name for scenario in scenarios if scenario.on_real)
    where = real.endpoint_url or f"AWS ({real.region or 'the configured region'})"
    text = _WARNING.format(names=names, items=real.max_items, table=real.table, place=where)
    console.print(text, style="yellow", soft_wrap=True)


def run_one(
    scenario: Scenario[Any],
    parameters: Any,
    *,
    console: Console,
    out: Path,
    quick: bool,
    command: str,
    real: RealTable | None = None,
) -> Path:
    """Run one scenario and write its result; returns the JSON file's path. Raises BenchmarkError."""
    started_at, clock, before = datetime.now(UTC), time.perf_counter(), machine()
    with (
        tempfile.TemporaryDirectory(prefix="refire-benchmark-") as folder,
        Bar(console, scenario.name) as bar,
    ):
        metrics = scenario.run(Bench(Path(folder), bar, real), parameters)
    how: Mapping[str, Any] = {
        "mode": "quick" if quick else "full",
        "target": "a real table" if real else "a backend of the suite",
        "command": command,
        "started_at": started_at.isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - clock, 1),
    }
    done = result.Result(
        scenario.name, {**dataclasses.asdict(parameters), **how}, before, versions(), metrics
    )
    return result.write(out, done, scenario.plot(done.parameters, metrics))


def _command(name: str, *, quick: bool, changes: Mapping[str, str], real: RealTable | None) -> str:
    """The command line that repeats a run. It names no folder and no table of the machine it ran on."""
    words = ["python -m benchmarks run", name]
    if quick:
        words.append("--quick")
    words += [f"--set {key}={value}" for key, value in changes.items()]
    if real is not None:
        words.append(f"--table TABLE --max-items {real.max_items} --yes")
    return " ".join(words)


@main.command("results")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR")
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    default=ROOT / "RESULTS.md",
    help="File to write; benchmarks/RESULTS.md unless told otherwise.",
)
def results_command(folder: Path, to: Path) -> None:
    """Write RESULTS.md from the result files in DIR."""
    try:
        text = results_page.page(results_page.read_all(folder), results_page.images_path(folder, to))
    except BenchmarkError as error:
        raise click.UsageError(str(error)) from None
    to.write_text(text)
    click.echo(to)

"""`python -m benchmarks`: list, run, results, page, compare, quick-compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.framework import html_page, results_page
from benchmarks.framework.compare_cli import compare_command, quick_compare_command
from benchmarks.framework.machine import CHANGED
from benchmarks.framework.registry import NAMES, choose, load
from benchmarks.framework.running import How, current_commit, run_one
from benchmarks.framework.scenario import BenchmarkError, RealTable, Scenario

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "results"
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
@click.option("--again", is_flag=True, help="With `all`: run what is finished on this commit as well.")
@click.option(
    "--changed-tree",
    is_flag=True,
    help="With `all`: go ahead although files are not committed. Results are marked and never kept.",
)
def run_command(
    names: tuple[str, ...],
    *,
    quick: bool,
    out: Path,
    changes: dict[str, str],
    table: str | None,
    yes: bool,
    max_items: int | None,
    again: bool,
    changed_tree: bool,
    **place: str | None,
) -> None:
    """Run benchmarks (or `all`) and write NAME.json, NAME.png and NAME.svg.

    `all` goes on after an interruption: what is finished in the folder on this commit, this machine and with the same
    settings is kept. At its end it writes index.html, the page of all results.
    """
    console = Console(stderr=True)
    everything = "all" in names
    given = {name: value for name, value in place.items() if value is not None}
    try:
        scenarios = choose(names)
        real = _real(table, given, max_items, quick=quick, yes=yes)
        if real is not None:
            _warn(console, scenarios, real, all_of_them=everything)
            scenarios = [scenario for scenario in scenarios if scenario.on_real]
            _insist(agreed=yes)
        if changes:
            _alone(scenarios)
        parameters = [scenario.parameters(quick=quick, changes=changes) for scenario in scenarios]
    except BenchmarkError as error:
        raise click.UsageError(str(error)) from None
    how = How(out, quick, current_commit(), changes, real)
    if everything and not quick and how.commit.endswith(CHANGED) and not changed_tree:
        raise click.UsageError(
            "files are not committed, so that results would belong to no commit: commit them, or give --changed-tree"
        )
    failed = 0
    for number, (scenario, chosen) in enumerate(zip(scenarios, parameters, strict=True), 1):
        done = how.finished(scenario.name) if everything and not again else None
        if len(scenarios) > 1:
            state = f"kept, finished on {how.commit}" if done else "begins"
            console.print(f"{number} of {len(scenarios)}: {scenario.name} {state}", highlight=False)
        try:
            path = done or run_one(scenario, chosen, console=console, how=how)
        except BenchmarkError as error:
            console.print(f"{scenario.name} failed: {error}", style="red", markup=False, soft_wrap=True)
            failed += 1
        else:
            click.echo(path)
    if everything and failed < len(scenarios):
        click.echo(html_page.write(out, PUBLISHED, out / "index.html"))
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


@main.command("page")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR")
@click.option(
    "--against",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=PUBLISHED,
    help="Folder of earlier results to compare with; the published ones unless told otherwise.",
)
@click.option(
    "--to", type=click.Path(path_type=Path, dir_okay=False), help="File; DIR/index.html by default."
)
def page_command(folder: Path, against: Path, to: Path | None) -> None:
    """Write one HTML file with all results in DIR: plots, figures, what changed. It needs no network."""
    try:
        click.echo(html_page.write(folder, against, to or folder / "index.html"))
    except BenchmarkError as error:
        raise click.UsageError(str(error)) from None


main.add_command(compare_command)
main.add_command(quick_compare_command)

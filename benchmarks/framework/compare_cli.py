"""`python -m benchmarks compare` and `quick-compare`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import click
from rich.console import Console

from benchmarks.framework.compare import DRIFT, RULE, Change, Verdict, compare, drift
from benchmarks.framework.machine import git
from benchmarks.framework.plots import digits
from benchmarks.framework.registry import NAMES, load
from benchmarks.framework.result import Result, read
from benchmarks.framework.running import ROOT, How, current_commit, run_one
from benchmarks.framework.scenario import BenchmarkError, choice

QUICK: dict[str, dict[str, str]] = {
    "client_cpu": {
        "items": '[["engine",60000],["floor",60000],["aioboto3_update",600]]',
        "variants": "[]",
        "profile_items": "10000",
        "watched_items": "10000",
        "watched_rounds": "1",
        "rounds": "6",
    },
    "processes": {"counts": "[1]", "items": "60000", "rounds": "6"},
    "small_runs": {"rounds": "5"},
    "outage": {},
}
"""What quick-compare runs, with the settings that make it cheap and yet repeat enough to be judged."""


@click.command("compare", epilog=RULE)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--all", "everything", is_flag=True, help="List figures that do not differ as well.")
def compare_command(old: str, new: str, *, everything: bool) -> None:
    """Say which figures differ between OLD and NEW: result files, folders of them, or git revisions.

    A revision stands for the results that are published in it. Exit code 0 if no figure differs, 1 if some do, 2 if
    the two cannot be compared.
    """
    try:
        with _results(old) as before, _results(new) as after:
            changes = compare_all(before, after)
    except BenchmarkError as error:
        raise click.UsageError(str(error)) from None
    _end(changes, everything=everything)


@click.command("quick-compare", epilog=RULE)
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.option(
    "--base",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("benchmark-results/quick"),
    show_default=True,
    help="Folder of quick results of this machine to compare with; made on the first call.",
)
@click.option("--keep", is_flag=True, help="Afterwards, keep the new results as the base.")
@click.option("--all", "everything", is_flag=True, help="List figures that do not differ as well.")
def quick_compare_command(names: tuple[str, ...], base: Path, *, keep: bool, everything: bool) -> None:
    """Run a few cheap benchmarks of the current tree and compare with the stored ones of this machine.

    Exit codes as for compare.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="refire-benchmark-") as folder:
            changes = _against_base(names or tuple(QUICK), base, Path(folder), keep=keep)
    except BenchmarkError as error:
        raise click.UsageError(str(error)) from None
    _end(changes, everything=everything)


def _against_base(
    names: Sequence[str], base: Path, folder: Path, *, keep: bool
) -> list[tuple[str, list[Change]]]:
    console, commit, found = Console(stderr=True), current_commit(), []
    for name in names:
        scenario, settings = load(name), choice(QUICK, name)
        how = How(folder, quick=True, commit=commit, changes=settings)
        path = run_one(scenario, scenario.parameters(quick=True, changes=settings), console=console, how=how)
        stored = base / path.name
        if stored.exists():
            found += compare_all({name: _of_this_machine(read(stored), read(path))}, {name: read(path)})
        if keep or not stored.exists():
            base.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, stored)
            click.echo(f"{name}: kept in {base} to compare with")
    return found


def _of_this_machine(old: Result, new: Result) -> Result:
    """The stored result. Raises BenchmarkError if another machine made it."""
    for fact in ("cpu", "cores", "python"):
        if old.machine.get(fact) != new.machine[fact]:
            raise BenchmarkError(
                f"the stored {old.name} was made with another {fact}; use --base or delete it"
            )
    return old


@contextmanager
def _results(place: str) -> Iterator[dict[str, Result]]:
    """The results by name in a file, in a folder or in a git revision. Raises BenchmarkError."""
    path = Path(place)
    if path.is_file():
        found = read(path)
        yield {found.name: found}
    elif path.is_dir():
        yield _in_folder(path, place)
    else:
        with tempfile.TemporaryDirectory(prefix="refire-benchmark-") as folder:
            _check_out(place, Path(folder))
            yield _in_folder(Path(folder), place)


def _in_folder(folder: Path, place: str) -> dict[str, Result]:
    found = {name: read(folder / f"{name}.json") for name in NAMES if (folder / f"{name}.json").exists()}
    if not found:
        raise BenchmarkError(f"{place} holds no result file")
    return found


def _check_out(revision: str, folder: Path) -> None:
    where = "benchmarks/results/"
    known = not revision.startswith("-") and git(ROOT, "rev-parse", "--verify", f"{revision}^{{commit}}")
    if not known:
        raise BenchmarkError(f"{revision} is neither a file, nor a folder, nor a git revision")
    listed = git(ROOT, "ls-tree", "--name-only", revision, where) or ""
    for line in listed.splitlines():
        if line.endswith(".json"):
            (folder / Path(line).name).write_text(git(ROOT, "show", f"{revision}:{line}") or "")


def compare_all(before: dict[str, Result], after: dict[str, Result]) -> list[tuple[str, list[Change]]]:
    """Each benchmark that both have, and a line where the machine's speed changed.

    Raises BenchmarkError if there is none, or if two cannot be compared.
    """
    names = [name for name in before if name in after]
    if not names:
        raise BenchmarkError("OLD and NEW have no benchmark in common")
    for name in names:
        times = drift(before[name], after[name])
        if times is not None and abs(times - 1) > DRIFT:
            click.echo(
                f"{name}: the machine itself took {digits(times)} times as long for NEW; times follow that"
            )
    return [(name, compare(before[name], after[name])) for name in names]


def _end(changes: list[tuple[str, list[Change]]], *, everything: bool) -> None:
    """Print what differs, a count of the rest, and exit."""
    differs = 0
    for name, found in changes:
        for change in found:
            differs += change.verdict is Verdict.DIFFERS
            if everything or change.verdict is Verdict.DIFFERS:
                click.echo(f"{name}: {line(change)}")
    counts = {
        verdict: sum(change.verdict is verdict for _, found in changes for change in found)
        for verdict in Verdict
    }
    click.echo(
        "; ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) or "nothing compared"
    )
    raise SystemExit(1 if differs else 0)


def line(change: Change) -> str:
    """One figure in one line: medians with the least and the most, the change, the verdict."""
    share = "" if change.share is None else f" ({change.share:+.1%})"
    return f"{change.name}: {_spread(change.old)} -> {_spread(change.new)}{share}, {change.verdict}"


def _spread(values: Sequence[float]) -> str:
    middle = digits(median(values))
    return (
        middle
        if len(values) == 1
        else f"{middle} [{digits(min(values))} to {digits(max(values))}, n={len(values)}]"
    )

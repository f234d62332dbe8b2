"""RESULTS.md: the tables and plots of all result files of a folder, and how to get them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.framework.registry import NAMES, load
from benchmarks.framework.result import Result, read
from benchmarks.framework.scenario import BenchmarkError, Table

_HEAD = """# Results

Made by `python -m benchmarks results DIR` from the result files; do not edit. What each benchmark asks and how to
read it is in the README of its folder.
"""


def read_all(folder: Path) -> list[Result]:
    """The result files of a folder, in the order of the list of scenarios. Raises BenchmarkError."""
    found = [read(folder / f"{name}.json") for name in NAMES if (folder / f"{name}.json").exists()]
    if not found:
        raise BenchmarkError(f"{folder} holds no result file; make some with python -m benchmarks run")
    return found


def page(results: list[Result], images: str) -> str:
    """The whole text; `images` is the path of their folder as seen from it."""
    return "\n".join([_HEAD, *_commits(results), *(_section(result, images) for result in results)])


def _commits(results: list[Result]) -> list[str]:
    commits = sorted({str(result.parameters.get("commit", "not recorded")) for result in results})
    return [f"All of them are of commit {commits[0]}.\n"] if len(commits) == 1 else []


def images_path(folder: Path, target: Path) -> str:
    """The folder of plots as seen from the file `target`."""
    return Path(os.path.relpath(folder.resolve(), target.resolve().parent)).as_posix()


def _section(result: Result, images: str) -> str:
    scenario = load(result.name)
    how = result.parameters
    table = scenario.table(how, result.metrics)
    source = (
        f"`{how['command']}` ({how['mode']}, {how['target']}), {how['started_at'][:10]}, {how['seconds']:.0f} s. "
        f"{machine_line(result.machine)}. How to read it: [{result.name}/README.md]({result.name}/README.md)."
    )
    image = f"![{scenario.question}]({images}/{result.name}.png)"
    lines = [f"## {result.name}", "", scenario.question, "", *markdown(table), "", image, "", source, ""]
    return "\n".join(lines)


def machine_line(machine: Mapping[str, Any]) -> str:
    """The machine of a result in one line; how fast it was as well, where the result says so."""
    loops = machine.get("loop_us")
    speed = f"; sum(range(1000)) took {loops[0]:g} µs before and {loops[1]:g} after" if loops else ""
    return (
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']:g} GiB, {machine['kernel']}, "
        f"{machine['python']}; load before: {machine['load_before']:g}{speed}"
    )


def markdown(table: Table) -> list[str]:
    """A table in Markdown; all but the first column are right-aligned."""
    rule = ["---"] + ["---:"] * (len(table.columns) - 1)
    rows = [f"| {' | '.join(cells)} |" for cells in (table.columns, rule, *table.rows)]
    return [*rows, "", table.note] if table.note else rows

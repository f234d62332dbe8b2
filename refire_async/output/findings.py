"""Findings of the checks before a run, as text (80 columns) and as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from refire_async.model.finding import Finding, Level
from refire_async.output.text import one_line

WIDTH = 80
_STYLES: dict[Level, str] = {"stop": "bold red", "warn": "yellow", "info": "cyan"}
_NAMES: dict[Level, tuple[str, str]] = {
    "stop": ("stop", "stops"),
    "warn": ("warning", "warnings"),
    "info": ("note", "notes"),
}


def findings_json(table: str, found: Sequence[Finding]) -> str:
    """One line: documented API (docs/scripting.md)."""
    return orjson.dumps({"table": table, "findings": [asdict(finding) for finding in found]}).decode()


def findings_text(table: str, found: Sequence[Finding], *, colors: bool, width: int = WIDTH) -> str:
    """A table with two lines or more for each finding, and a summary."""
    if not found:
        return f"{table}: no problems found. A run would start."
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    grid.add_column("level", no_wrap=True)
    grid.add_column("finding", no_wrap=True)
    grid.add_column("what it means; what to do", overflow="fold")
    for finding in found:
        style = _STYLES[finding.level]
        meaning = Text(one_line(finding.message))
        meaning.append(f"\n→ {one_line(finding.action)}", style="dim")
        grid.add_row(Text(finding.level, style=style), Text(finding.id), meaning)
    console = Console(width=width, color_system="auto" if colors else None, highlight=False)
    with console.capture() as captured:
        console.print(grid)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    return "\n".join([*lines, "", _summary(table, found)])


def _summary(table: str, found: Sequence[Finding]) -> str:
    levels = Counter(finding.level for finding in found)
    parts = [f"{n} {_NAMES[level][n > 1]}" for level in _NAMES if (n := levels[level])]
    stops = [finding.id for finding in found if finding.level == "stop"]
    end = "A run would start." if not stops else "A run would stop here, unless --ignore ID is given."
    return f"{table}: {', '.join(parts)}.\n{end}"

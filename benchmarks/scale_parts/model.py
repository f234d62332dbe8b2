"""What 10^9 items take, from the published results of `scale` and `scale_parts`.

    python -m benchmarks.scale_parts.model docs/scale.md docs/images/scale.svg

Replaces the table between the marks in the document, and draws the curve. Every law is a straight line through the two
largest measured sizes; memory has a second one, the growth per tenfold that was measured, because a line through two
nearly equal figures overstates it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log10
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from benchmarks.framework import plots
from benchmarks.framework.result import read
from benchmarks.framework.results_page import markdown
from benchmarks.framework.scenario import Table
from refire_async.planning.forecast.cost import DEFAULT_PRICES, cost

RESULTS = Path(__file__).parents[1] / "results"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
SIZES = (100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
RCU_PER_ITEM = 1 / 8
"""A scan of items of 1 KB, eventually consistent: half a unit for 4 KB."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Law:
    """A figure by number of items: what was measured, and the law that extends it."""

    name: str
    measured: tuple[Point, ...]
    at: Callable[[float], float]


def line(points: Sequence[Point]) -> Callable[[float], float]:
    """The straight line through the last two points."""
    (x0, y0), (x1, y1) = points[-2:]
    slope = (y1 - y0) / (x1 - x0)
    return lambda items: y1 + slope * (items - x1)


def per_tenfold(points: Sequence[Point]) -> Callable[[float], float]:
    """The largest growth per tenfold between two sizes that follow each other, from the last point on."""
    growth = max((after[1] - before[1]) / log10(after[0] / before[0]) for before, after in pairwise(points))
    end = points[-1]
    return lambda items: end[1] + growth * log10(items / end[0])


def laws() -> dict[str, Law]:
    """All laws, by a short name."""
    whole = read(RESULTS / "scale.json").metrics["cases"]
    parts = read(RESULTS / "scale_parts.json").metrics["cases"]
    found = {}

    def add(short: str, name: str, points: Sequence[Point], fit: Any = line) -> None:
        found[short] = Law(name, tuple(points), fit(points))

    add("seconds", "run, s", _points(whole, "seconds"))
    add("memory", "memory of the run", _points(whole, "peak_bytes"), per_tenfold)
    add("memory_line", "memory of the run, at most", _points(whole, "peak_bytes"))
    add("checkpoint", "checkpoint", _points(whole, "checkpoint_bytes"))
    proof = [case for case in parts if case["part"] == "proof"]
    keys = [case for case in parts if case["part"] == "list of keys"]
    add("proof_cpu", "proof, s of CPU", [(x, y * x / 1e6) for x, y in _points(proof, "cpu_us_per_item")])
    add("proof_disk", "proof's file", _points(proof, "temporary_bytes"))
    add("keys_disk", "list of keys", _points(keys, "list_bytes"))
    return found


def _points(cases: Sequence[dict[str, Any]], figure: str) -> list[Point]:
    return [(case["items"], case[figure]) for case in cases]


def table(found: dict[str, Law]) -> Table:
    """A row per size; figures that are not measured but extrapolated have a `~`."""
    columns = (
        "items",
        "run",
        "memory",
        "checkpoint",
        "proof, CPU",
        "proof's file",
        "list of keys",
        "on demand",
    )
    rows = []
    for items in SIZES:
        memory = _text(found["memory"], items, _size)
        if items > found["memory"].measured[-1][0]:
            memory += f" to {_size(found['memory_line'].at(items))}"
        rows.append(
            (
                f"{items:,}",
                _text(found["seconds"], items, _time),
                memory,
                _text(found["checkpoint"], items, _size),
                _text(found["proof_cpu"], items, _time),
                _text(found["proof_disk"], items, _size),
                _text(found["keys_disk"], items, _size),
                f"${dollars(items):,.2f}",
            )
        )
    note = (
        "`~`: extrapolated; the rest is measured, at 40,000 WCU, with short keys: the run with items of 1 KB, the "
        f"proof and the list of keys with items of 300 bytes. {_source('scale')}; {_source('scale_parts')}."
    )
    return Table(columns, rows, note)


def _source(name: str) -> str:
    """When a result was made, and how busy the machine was: CPU times on a busy one are too high."""
    found = read(RESULTS / f"{name}.json")
    return f"`{name}`: {found.parameters['started_at'][:10]}, load before {found.machine['load_before']:g}"


def dollars(items: float) -> float:
    """The writes and reads of a run on demand, by the prices of `refire plan`."""
    return cost(items, items * RCU_PER_ITEM, "PAY_PER_REQUEST", prices=DEFAULT_PRICES).total


def _text(law: Law, items: int, form: Callable[[float], str]) -> str:
    known = dict(law.measured)
    return form(known[items]) if items in known else f"~{form(law.at(items))}"


def _time(seconds: float) -> str:
    if seconds >= 3_600:
        return f"{seconds / 3_600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.1f} s"


def _size(size: float) -> str:
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size >= least:
            return f"{plots.digits(size / least)} {unit}"
    return f"{size:.0f} B"


def draw(found: dict[str, Law], target: Path) -> None:
    """Time on the left, bytes on the right; points are measured, dashed lines are laws."""
    figure, (left, right) = plots.figure(2, width=11)
    _curves(left, [found["seconds"], found["proof_cpu"]])
    _curves(
        right, [found[name] for name in ("memory", "memory_line", "checkpoint", "proof_disk", "keys_disk")]
    )
    left.set_title("Time")
    left.set_ylabel("seconds")
    right.set_title("Memory and disk")
    right.set_ylabel("bytes")
    figure.savefig(target, metadata={"Date": None})


def _curves(axes: Axes, shown: Sequence[Law]) -> None:
    for number, law in enumerate(shown):
        colour, last = plots.COLOURS[number], law.measured[-1]
        axes.plot(*zip(*law.measured, strict=True), color=colour, marker=plots.MARKS[number], label=law.name)
        ahead = [last[0] * 10 ** (step / 4) for step in range(round(4 * log10(SIZES[-1] / last[0])) + 1)]
        axes.plot(ahead, [law.at(items) for items in ahead], color=colour, linestyle="--")
    axes.set_xscale("log")
    axes.set_yscale("log")
    plots.label_amounts(axes.xaxis)
    plots.label_amounts(axes.yaxis)
    axes.set_xlabel("items; dashed: extrapolated")
    axes.legend(fontsize=8)


def with_table(document: str, found: dict[str, Law]) -> str:
    """The document with the table of today between its marks."""
    before, rest = document.split(BEGIN)
    after = rest.split(END)[1]
    return "\n".join([before + BEGIN, "", *markdown(table(found)), "", END + after])


def main() -> None:
    """Write both files."""
    document, image = map(Path, sys.argv[1:3])
    found = laws()
    document.write_text(with_table(document.read_text(), found))
    draw(found, image)


if __name__ == "__main__":
    main()

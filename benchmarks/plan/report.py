"""The table and the plot of plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table

WHAT = ("wcu", "rcu", "seconds")


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per shape."""
    columns = (
        "table",
        "items",
        *(f"{what}: planned" for what in WHAT),
        *(f"{what}: error" for what in WHAT),
        "kept",
    )
    rows = [
        (
            case["shape"],
            f"{case['items']['measured']:,}",
            *(f"{case[what]['planned']:,.1f}" for what in WHAT),
            *(f"{case[what]['error']:+.1%}" for what in WHAT),
            "yes" if case["kept"] else "**no**",
        )
        for case in metrics["cases"]
    ]
    worst = max(abs(case[what]["error"]) for case in metrics["cases"] for what in WHAT)
    kept = sum(case["kept"] for case in metrics["cases"])
    note = (
        f"Kept: items, WCU, RCU and seconds are all within {metrics['tolerance']:.0%} of what was measured. "
        f"That is so of {kept} of {len(rows)}; the largest error of units and seconds is {worst:.1%}."
    )
    return Table(columns, rows, note)


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Errors by shape, and the bounds of the tolerance."""
    figure, (axes,) = plots.figure(1, width=9)
    cases = metrics["cases"]
    for number, what in enumerate(WHAT):
        axes.plot(
            [case[what]["error"] for case in cases],
            [place + (number - 1) * 0.2 for place in range(len(cases))],
            "o",
            color=plots.COLOURS[number],
            label=what,
        )
    axes.set_yticks(range(len(cases)), [case["shape"] for case in cases])
    axes.invert_yaxis()
    tolerance = metrics["tolerance"]
    for bound in (-tolerance, 0.0, tolerance):
        axes.axvline(bound, color=plots.QUIET, linestyle="--" if bound else "-", linewidth=1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("planned against measured")
    axes.legend()
    return figure

"""The table and the plot of resume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table

_WAYS = {"kill": "SIGKILL", "term": "SIGTERM", "max-items": "--max-items"}


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per stop."""
    columns = ("stopped", "written before", "read again", "touched twice", "missing", "extra time, s")
    rows = [
        (
            _name(case),
            f"{case['touched_before']:,.0f}",
            f"{case['read_again']:,}",
            _count(case.get("touched_twice")),
            _count(case.get("missing")),
            f"{case['extra_s']:.1f}",
        )
        for case in metrics["cases"]
    ]
    alone = metrics["alone"]
    note = f"Left alone, the run takes {alone['seconds']:.1f} s and reads {alone['read_rcu']:,.0f} RCU."
    return Table(columns, rows, note)


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _name(case: Mapping[str, Any]) -> str:
    return f"{_WAYS[case['way']]} at {case['share']:.0%}"


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Items read again, and extra time, for each stop."""
    figure, (left, right) = plots.figure(2, width=11)
    cases = metrics["cases"]
    colours = [plots.COLOURS[list(_WAYS).index(case["way"])] for case in cases]
    names = [_name(case) for case in cases]
    for axes, field, text in ((left, "read_again", "{:,.0f}"), (right, "extra_s", "{:.1f}")):
        values = [case[field] for case in cases]
        plots.bars(
            axes,
            names,
            values,
            [(value, value) for value in values],
            colours=colours,
            texts=[text.format(value) for value in values],
        )
        axes.set_xlim(right=max(1.0, *values) * 1.2)
    left.set_xlabel("items read again")
    left.set_title("Read again")
    right.set_xlabel("time more than a run that is left alone, s")
    right.set_title("Extra time")
    return figure

"""The table and the plot of skew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per skew."""
    columns = (
        "hash keys",
        "total WCU",
        "hottest partition's",
        "lower bound, s",
        "seconds",
        "times the bound",
        "throttled",
    )
    rows = [
        (
            case["skew"],
            f"{case['total_wcu']:,.0f}",
            f"{case['hottest_wcu']:,.0f}" if "hottest_wcu" in case else "-",
            f"{case['bound_s']:.1f}",
            f"{case['seconds']:.1f}",
            f"{case['time_to_bound']:.2f}",
            f"{case['throttled_share']:.1%}",
        )
        for case in metrics["cases"]
    ]
    return Table(
        columns, rows, "Lower bound: the larger of total ÷ budget and hottest partition ÷ 1,000 units/s."
    )


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Time and bound side by side, and what was accepted second by second."""
    figure, (left, right) = plots.figure(2, width=11)
    cases = metrics["cases"]
    plots.pairs(
        left,
        [case["skew"] for case in cases],
        ("lower bound", [case["bound_s"] for case in cases]),
        ("refire", [case["seconds"] for case in cases]),
    )
    left.set_ylabel("time, s")
    left.set_title("Time against the lower bound")
    plots.by_second(right, [(case["skew"], case["per_second"]) for case in cases if "per_second" in case])
    plots.label_amounts(right.yaxis)
    right.set_ylabel("accepted write units per second")
    return figure

"""The table and the plot of index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per case."""
    columns = (
        "table",
        "WCU written",
        "bound by",
        "its budget used",
        "ideal, s",
        "seconds",
        "times the ideal",
        "throttled",
    )
    rows = [
        (
            case["case"],
            ", ".join(f"{where} {units:,.0f}" for where, units in case["written_wcu"].items()),
            case["bound_by"],
            f"{case['used_share']:.1%}",
            f"{case['ideal_s']:.1f}",
            f"{case['seconds']:.1f}",
            f"{case['time_to_ideal']:.2f}",
            f"{case['throttled_share']:.2%}",
        )
        for case in metrics["cases"]
    ]
    return Table(columns, rows)


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Time against the ideal, and the units of table and index second by second."""
    figure, (left, right) = plots.figure(2, width=11)
    cases = metrics["cases"]
    plots.pairs(
        left,
        [case["case"] for case in cases],
        ("ideal", [case["ideal_s"] for case in cases]),
        ("refire", [case["seconds"] for case in cases]),
    )
    left.set_ylabel("time, s")
    left.set_title("Time against the ideal")
    series = [
        (f"{case['case']}: {where}", rows) for case in cases for where, rows in case["per_second"].items()
    ]
    plots.by_second(right, series)
    right.set_ylabel("accepted write units per second")
    return figure

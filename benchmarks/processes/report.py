"""The table and the plot of processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per number of processes."""
    columns = (
        "processes",
        "items/s",
        "least to most",
        "times as fast",
        "with a core for each",
        "CPU per item, µs",
        "backend's, µs",
    )
    rows = [
        (
            str(case["processes"]),
            f"{case['items_per_s']['median']:,.0f}",
            f"{case['items_per_s']['low']:,.0f} to {case['items_per_s']['high']:,.0f}",
            f"{case['speedup']['median']:.2f}",
            _median(case, "speedup_with_cores", 2),
            _median(case, "cpu_us_per_item", 1),
            _median(case, "server_cpu_us_per_item", 2),
        )
        for case in metrics["cases"]
    ]
    note = (
        f"Measured on {metrics['cores']} cores, which the backend needs a part of. "
        '"With a core for each" is the same ratio by CPU time; a dash: the run was too short to tell.'
    )
    return Table(columns, rows, note)


def _median(case: Mapping[str, Any], field: str, digits: int) -> str:
    return f"{case[field]['median']:.{digits}f}" if field in case else "-"


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Items per second of each number of processes."""
    figure, (axes,) = plots.figure(height=3.2)
    cases = metrics["cases"]
    rates = [case["items_per_s"] for case in cases]
    plots.bars(
        axes,
        [f"{case['processes']}" for case in cases],
        [rate["median"] for rate in rates],
        [(rate["low"], rate["high"]) for rate in rates],
        colours=[plots.COLOURS[0]] * len(cases),
        texts=[
            f"{plots.amount(case['items_per_s']['median'])}; {case['speedup']['median']:.2f}x"
            for case in cases
        ],
    )
    axes.set_xlim(right=max(rate["high"] for rate in rates) * 1.25)
    plots.label_amounts(axes.xaxis)
    axes.set_xlabel("items per second (more is better)")
    axes.set_ylabel("processes")
    axes.set_title("Items per second by number of processes")
    return figure

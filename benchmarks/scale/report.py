"""The table and the plot of scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table

_MIB = 1 << 20


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per size."""
    columns = (
        "items",
        "items/s",
        "seconds",
        "peak memory, MiB",
        "checkpoint, KiB",
        "most, KiB",
        "engine CPU",
        "backend CPU",
    )
    rows = [
        (
            f"{case['items']:,}",
            f"{case['items_per_s']:,.0f}",
            f"{case['seconds']:.1f}",
            f"{case['peak_bytes'] / _MIB:.0f}",
            f"{case['checkpoint_bytes'] / 1024:,.0f}",
            f"{case['checkpoint_peak_bytes'] / 1024:,.0f}",
            f"{case['engine_cpu_share']:.0%}" if "engine_cpu_share" in case else "-",
            f"{case['backend_cpu_share']:.0%}" if "backend_cpu_share" in case else "-",
        )
        for case in metrics["cases"]
    ]
    note = "Checkpoint: at the end, and the most it took with its log. CPU: share of one core."
    return Table(columns, rows, note)


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Speed by size, and memory over time."""
    figure, (left, right) = plots.figure(2, width=11)
    cases = metrics["cases"]
    names = [plots.amount(case["items"]) for case in cases]
    speed = [case["items_per_s"] for case in cases]
    left.bar(names, speed, 0.5, color=plots.COLOURS[0])
    for name, value in zip(names, speed, strict=True):
        left.annotate(plots.amount(value), (name, value), ha="center", va="bottom", fontsize=9)
    left.grid(visible=False, axis="x")
    plots.label_amounts(left.yaxis)
    left.set_xlabel("items in the table")
    left.set_ylabel("items per second")
    left.set_title("Speed")
    for number, case in enumerate(cases):
        end = max(case["memory"][-1][0], 1e-9)
        right.plot(
            [100 * point[0] / end for point in case["memory"]],
            [point[1] / _MIB for point in case["memory"]],
            color=plots.COLOURS[number % 7],
            linestyle=("-", "--", ":", "-.")[number % 4],
            label=f"{names[number]} items",
        )
    right.set_ylim(bottom=0)
    right.set_xlabel("time, % of the run")
    right.set_ylabel("resident memory, MiB")
    right.set_title("Memory of the program")
    right.legend()
    return figure

"""The table and the plot of small_machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table

_MIB = 1 << 20


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per container."""
    columns = (
        "CPU",
        "memory, MiB",
        "budget, WCU/s",
        "items/s",
        "used",
        "busiest second",
        "CPU used",
        "backend CPU",
        "stopped by the limit",
        "start and end, s",
        "peak of the program, MiB",
        "memory charged, MiB",
    )
    rows = [
        (
            f"{case['cpus']:g}",
            f"{case['memory_mib']:,}",
            f"{case['budget_wcu']:,}",
            f"{case['items_per_s']:,.0f}",
            f"{case['used_share']:.1%}",
            f"{case['peak_share']:.0%}",
            f"{case['cpu_share']:.2f}",
            f"{case['backend_cpu_share']:.0%}",
            f"{case['stopped_share']:.0%}",
            f"{case['start_s']:.1f}",
            f"{case['peak_bytes'] / _MIB:.0f}",
            f"{case['charged_bytes'] / _MIB:.0f}",
        )
        for case in metrics["cases"]
    ]
    note = "CPU: share of one core. Used and busiest second: write units, of the budget."
    return Table(columns, rows, note)


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Accepted units of each second, and items per second by container."""
    figure, (left, right) = plots.figure(2, width=11)
    cases = metrics["cases"]
    names = [f"{case['cpus']:g} CPU, {plots.amount(case['budget_wcu'])} WCU/s" for case in cases]
    plots.by_second(
        left,
        [
            (name, [(row[0], row[1]) for row in case["per_second"]])
            for name, case in zip(names, cases, strict=True)
        ],
    )
    plots.label_amounts(left.yaxis)
    left.set_ylabel("accepted write units per second")
    speeds = [case["items_per_s"] for case in cases]
    plots.bars(
        right,
        names,
        speeds,
        [(speed, speed) for speed in speeds],
        colours=[plots.COLOURS[number % 7] for number in range(len(cases))],
        texts=[f"{speed:,.0f}/s" for speed in speeds],
    )
    right.set_xlim(0, max(speeds) * 1.3)
    right.set_xlabel("items per second")
    right.set_title("Speed")
    return figure

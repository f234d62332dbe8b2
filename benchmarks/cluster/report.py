"""The table and the plot of cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per number of tasks."""
    columns = (
        "tasks",
        "CPU per item, µs",
        "efficiency",
        "items/s here",
        "WCU of the checkpoint per 1,000 items",
    )
    rows = [
        (
            str(case["tasks"]) if case["tasks"] else "1, on a file",
            f"{case['cpu_us_per_item']['median']:.1f}",
            f"{case['efficiency']['median']:.2f}",
            f"{case['items_per_s']['median']:,.0f}",
            f"{1_000 * case['store_wcu_per_item']['median']:.1f}",
        )
        for case in metrics["cases"]
    ]
    note = (
        f"Measured on {metrics['cores']} cores; efficiency is by CPU per item, against one task on a table."
    )
    if (lost := metrics["lost"]) is not None:
        note += (
            f" {lost['tasks']} tasks with {lost['budget_wcu']:,} WCU/s: {lost['used_before']:.1%} of the budget used, "
            f"{lost['used_while_lost']:.1%} for {lost['lost_s']} s after one was killed, "
            f"{lost['used_after']:.1%} after that; busiest second {lost['peak_share']:.1%}."
        )
    return Table(columns, rows, note)


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """CPU per item by tasks, and write units by second while one is lost."""
    lost = metrics["lost"]
    figure, axes = plots.figure(2 if lost else 1, width=11 if lost else 6)
    left = axes[0]
    cases = metrics["cases"]
    names = [str(case["tasks"]) if case["tasks"] else "file" for case in cases]
    left.bar(names, [case["cpu_us_per_item"]["median"] for case in cases], 0.5, color=plots.COLOURS[0])
    left.set_xlabel("tasks")
    left.set_ylabel("CPU per item, µs")
    left.set_title("CPU of all tasks per item")
    if lost is None:
        return figure
    right = axes[1]
    right.plot([row[0] for row in lost["per_second"]], [row[1] for row in lost["per_second"]])
    right.axhline(lost["budget_wcu"], linestyle="--", color=plots.COLOURS[1])
    right.set_ylim(bottom=0)
    right.set_xlabel("seconds")
    right.set_ylabel("write units per second")
    right.set_title("One of the tasks is lost and comes back")
    return figure

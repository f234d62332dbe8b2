"""The table and the plot of sandbox_throughput."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per kind of request."""
    rows = [
        (case["case"], f"{case['items_per_s']:,.0f}", f"{case['items_per_cpu_s']:,.0f}")
        for case in metrics["cases"]
    ]
    note = (
        "Items per CPU second are what one core can serve; items per second are less if the machine is busy."
    )
    return Table(("requests", "items/s", "items/CPU s"), rows, note)


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Items per CPU second and per second."""
    figure, (axes,) = plots.figure()
    cases = metrics["cases"]
    places = range(len(cases))
    for shift, field, label, colour in (
        (-0.2, "items_per_cpu_s", "per second of the sandbox's CPU time", plots.COLOURS[0]),
        (0.2, "items_per_s", "per second", plots.COLOURS[1]),
    ):
        values = [case[field] for case in cases]
        axes.barh([place + shift for place in places], values, 0.38, color=colour, label=label)
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                plots.amount(value),
                (value, place + shift),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
    axes.set_yticks(places, [case["case"] for case in cases])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    plots.label_amounts(axes.xaxis)
    axes.set_xlabel("items")
    axes.set_title("What one sandbox process serves")
    axes.legend()
    return figure

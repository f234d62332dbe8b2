"""The table and the plot of scale_parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per part and size."""
    columns = (
        "part",
        "items",
        "seconds",
        "CPU, µs per item",
        "peak memory, MiB",
        "temporary, B per item",
        "list, B per item",
    )
    rows = [
        (
            case["part"],
            f"{case['items']:,}",
            f"{case['seconds']:.1f}",
            f"{case['cpu_us_per_item']:.1f}",
            f"{case['peak_bytes'] / (1 << 20):.0f}",
            f"{case['temporary_bytes'] / case['items']:.0f}",
            f"{case['list_bytes'] / case['items']:.0f}" if case["list_bytes"] else "-",
        )
        for case in metrics["cases"]
    ]
    note = "CPU: start of the program included; of the list of keys: the whole run. Temporary: files without a name."
    return Table(columns, rows, note)


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """CPU per item, and memory."""
    figure, (left, right) = plots.figure(2, width=11)
    cases = metrics["cases"]
    names = [f"{case['part']}, {plots.amount(case['items'])}" for case in cases]
    colours = [plots.COLOURS[case["part"] == "proof"] for case in cases]
    for axes, values, label in (
        (left, [case["cpu_us_per_item"] for case in cases], "µs of CPU per item"),
        (right, [case["peak_bytes"] / (1 << 20) for case in cases], "peak memory, MiB"),
    ):
        spans = [(value, value) for value in values]
        plots.bars(axes, names, values, spans, colours=colours, texts=[plots.digits(v) for v in values])
        axes.set_xlabel(label)
        axes.set_xlim(0, 1.25 * max(values))
    left.set_title("CPU")
    right.set_title("Memory")
    return figure

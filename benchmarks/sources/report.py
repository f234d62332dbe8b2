"""The table and the plot of sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table

_MIB = 1 << 20


def table(parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per source."""
    columns = (
        "source",
        "items/s",
        "of the scan's",
        "by CPU",
        "CPU per item, µs",
        "reading, s",
        "reading, µs per item",
        "in all, of the scan's",
        "by CPU",
        "memory, MiB",
        "RCU",
    )
    rows = [
        (
            case["source"],
            f"{case['items_per_s']['median']:,.0f}",
            f"{case['of_scan']['median']:.0%}",
            f"{case['of_scan_by_cpu']['median']:.0%}",
            f"{case['cpu_us_per_item']['median']:.1f}",
            f"{case['reading_s']['median']:.1f}",
            f"{case['reading_cpu_us_per_item']['median']:.1f}",
            f"{case['of_scan_in_all']['median']:.0%}",
            f"{case['of_scan_by_cpu_in_all']['median']:.0%}",
            f"{case['peak_bytes'] / _MIB:.0f}",
            f"{case['rcu']:,.0f}",
        )
        for case in metrics["cases"]
    ]
    note = (
        f"{parameters['items']:,} items. Of the scan's: items per second, without reading the list and in all; "
        "by CPU: the same by CPU time per item, which a busy machine disturbs less."
    )
    return Table(columns, rows, note)


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """CPU per item of each source: reading the list on top of the work."""
    figure, (axes,) = plots.figure(height=3.2)
    cases = metrics["cases"]
    names = [case["source"] for case in cases]
    work = [case["cpu_us_per_item"]["median"] for case in cases]
    reading = [case["reading_cpu_us_per_item"]["median"] for case in cases]
    axes.barh(names, work, color=plots.COLOURS[0], label="reading and touching items")
    axes.barh(names, reading, left=work, color=plots.COLOURS[1], label="reading the list before it")
    for place, (own, more, case) in enumerate(zip(work, reading, cases, strict=True)):
        text = f"{own + more:.1f} µs; {case['rcu']:,.0f} RCU"
        axes.annotate(
            text, (own + more, place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9
        )
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(right=1.4 * max(own + more for own, more in zip(work, reading, strict=True)))
    axes.set_xlabel("CPU time per item, µs (less is better)")
    axes.set_title("CPU time per item by source")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=9)
    return figure

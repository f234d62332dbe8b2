"""The table and the plot of verify."""

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
        "planted of each",
        "missing found",
        "doubled found",
        "falsely reported",
        "run, s",
        "verify, s",
        "verify to run",
        "client CPU of the proof, µs/item",
        "of the run",
        "peak memory, MiB",
    )
    rows = [
        (
            f"{case['items']:,}",
            f"{case['planted']:,}",
            f"{case['missing_found']:,}",
            f"{case['doubled_found']:,}",
            f"{case['missing_false'] + case['doubled_false']:,}",
            f"{case['run_s']:.1f}",
            f"{case['verify_s']:.1f}",
            f"{case['verify_s'] / case['run_s']:.2f}",
            f"{case['verify_cpu_s'] / case['items'] * 1e6:.1f}",
            f"{case['run_cpu_s'] / case['items'] * 1e6:.1f}",
            f"{case['verify_peak_bytes'] / _MIB:.0f}",
        )
        for case in metrics["cases"]
    ]
    note = (
        "Missing events are planted in the checkpoint, doubled ones by a second writer; as many items are changed"
        " otherwise."
    )
    return Table(columns, rows, note)


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Time of run and proof, and memory of both, by size."""
    figure, (left, right) = plots.figure(2, width=11)
    cases = metrics["cases"]
    names = [plots.amount(case["items"]) for case in cases]
    plots.pairs(
        left,
        names,
        ("run", [case["run_s"] for case in cases]),
        ("verify", [case["verify_s"] for case in cases]),
    )
    left.set_xlabel("items")
    left.set_ylabel("time, s")
    left.set_title("Time")
    plots.pairs(
        right,
        names,
        ("run", [case["run_peak_bytes"] / _MIB for case in cases]),
        ("verify", [case["verify_peak_bytes"] / _MIB for case in cases]),
    )
    right.set_xlabel("items")
    right.set_ylabel("peak memory, MiB")
    right.set_title("Memory")
    return figure

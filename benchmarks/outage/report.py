"""The table and the plot of outage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per outage."""
    columns = (
        "outage",
        "items left",
        "rest of the run, s",
        "ideal",
        "to ideal",
        "noticed after, s",
        "busiest second",
    )
    rows = [
        (
            _name(case),
            f"{case['rest_items']:,}",
            f"{case['rest_s']:.2f}",
            f"{case['ideal_s']:.2f}",
            f"{case['to_ideal']:.2f}x",
            f"{case['noticed_s']:.2f}",
            f"{case['peak_share']:.0%}",
        )
        for case in metrics["cases"]
    ]
    return Table(columns, rows, "Virtual time. The rest of the run counts from the first success.")


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Items of each second, and the rest of the run against the ideal."""
    figure, (left, right) = plots.figure(2, width=11)
    cases = metrics["cases"]
    longest = max(case["length_s"] for case in cases)
    shown = [case for case in cases if case["length_s"] == min(10.0, longest)] or cases[:3]
    plots.by_second(left, [(_name(case), [(row[0], row[1]) for row in case["per_second"]]) for case in shown])
    left.set_ylabel("touched items per second")
    ratios = [case["to_ideal"] for case in cases]
    plots.bars(
        right,
        [_name(case) for case in cases],
        ratios,
        [(ratio, ratio) for ratio in ratios],
        colours=[plots.COLOURS[number % 7] for number in range(len(cases))],
        texts=[f"{ratio:.2f}" for ratio in ratios],
    )
    right.axvline(1.2, color=plots.QUIET, linestyle="--", linewidth=1)
    right.set_xlim(0, max(1.5, *ratios))
    right.set_xlabel("time of the rest, divided by what the budget allows")
    right.set_title("From the first success on")
    return figure


def _name(case: Mapping[str, Any]) -> str:
    return f"{case['kind']}, {case['length_s']:g} s"

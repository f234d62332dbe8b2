"""The table and the plot of small_runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per case."""
    columns = (
        "items",
        "of capacity",
        "ideal, s",
        "run, s",
        "in all, s",
        "over ideal, s",
        "throttled first",
        "throttled",
    )
    rows = [
        (
            f"{case['items']:,}",
            f"{case['percent']}%",
            f"{case['ideal_s']:.2f}",
            _span(case["run_s"]),
            _span(case["in_all_s"]),
            _span(case["over_ideal_s"]),
            f"{case['throttled_first_share']['median']:.1%} (most {case['throttled_first_share']['high']:.1%})",
            f"{case['throttled_share']['median']:.2%}",
        )
        for case in metrics["cases"]
    ]
    return Table(columns, rows, "Median, and the least and the most. Throttled first: of the first second.")


def _span(figure: Mapping[str, float]) -> str:
    return f"{figure['median']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Time over the ideal, and what the first second throttles."""
    figure, (left, right) = plots.figure(2, width=11)
    cases = metrics["cases"]
    names = [f"{plots.amount(case['items'])}, {case['percent']}%" for case in cases]
    colours = [plots.COLOURS[number % 7] for number in range(len(cases))]
    for axes, name in ((left, "over_ideal_s"), (right, "throttled_first_share")):
        found = [case[name] for case in cases]
        plots.bars(
            axes,
            names,
            [spread["median"] for spread in found],
            [(spread["low"], spread["high"]) for spread in found],
            colours=colours,
            texts=[
                f"{spread['median']:.2f} s" if axes is left else f"{spread['median']:.1%}" for spread in found
            ],
        )
    left.set_xlabel("seconds beyond the ideal")
    left.set_title("Start to end")
    right.set_xlim(0, max(0.1, *(case["throttled_first_share"]["high"] for case in cases)) * 1.3)
    right.xaxis.set_major_formatter(PercentFormatter(1.0))
    right.set_xlabel("throttled share of write units")
    right.set_title("First second")
    return figure

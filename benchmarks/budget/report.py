"""The table and the plot of budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per run."""
    columns = (
        "budget, WCU",
        "of capacity",
        "used in steady state",
        "busiest second",
        "throttled",
        "seconds",
        "ideal",
        "engine CPU",
        "backend CPU",
    )
    rows = [
        (
            f"{case['budget_wcu']:,.0f}",
            f"{case['percent']}%",
            f"{case['used_share']:.1%}",
            _share(case.get("peak_share")),
            f"{case['throttled_share']:.2%}",
            f"{case['seconds']:.1f}",
            f"{case['ideal_s']:.1f}",
            _share(case.get("engine_cpu_share")),
            _share(case.get("backend_cpu_share")),
        )
        for case in metrics["cases"]
    ]
    note = (
        "CPU: share of one core; where the backend's is near 100%, it is the backend that could do no more."
    )
    return Table(columns, rows, note)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Accepted units of each second as a share of the budget, and the shares in steady state."""
    figure, (left, right) = plots.figure(2, width=11)
    cases = metrics["cases"]
    series = [
        (_name(case), [(row[0], row[1] / case["budget_wcu"]) for row in case["per_second"]])
        for case in cases
        if "per_second" in case
    ]
    plots.by_second(left, series)
    left.axhline(1.0, color=plots.QUIET, linestyle="--", linewidth=1)
    left.yaxis.set_major_formatter(PercentFormatter(1.0))
    left.set_ylabel("accepted write units, share of the budget")
    plots.bars(
        right,
        [_name(case) for case in cases],
        [case["used_share"] for case in cases],
        [(case["used_share"], case["used_share"]) for case in cases],
        colours=[plots.COLOURS[number % 7] for number in range(len(cases))],
        texts=[f"{case['used_share']:.1%}; throttled {case['throttled_share']:.2%}" for case in cases],
    )
    right.set_xlim(0, 1.6)
    right.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    right.xaxis.set_major_formatter(PercentFormatter(1.0))
    right.set_xlabel("share of the budget used in steady state")
    right.set_title("Steady state")
    return figure


def _name(case: Mapping[str, Any]) -> str:
    return f"{case['budget_wcu']:,.0f} WCU ({case['percent']}%)"

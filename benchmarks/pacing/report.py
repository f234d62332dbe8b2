"""The table and the plot of pacing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table

WORDS = {
    "used_share": "of the budget used in steady state",
    "busiest_second_share": "of the budget in the busiest second",
    "busiest_window_share": "of the budget in the busiest window of 1 s",
    "throttled_share": "of attempts throttled",
    "time_to_bound": "times the lower bound",
    "others_to_ideal": "times the ideal, for 80% of the others",
    "others_to_alone": "times as long as alone, for 80% of the others",
    "says_why": "named as the reason at the start (1: yes)",
    "follows_down_s": "s until no more is asked for than there is",
    "comes_back_s": "s until it is back",
    "failed_items": "items failed",
}


def table(parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row for each target of each case."""
    columns = ("table", "what must be true", "median", "least to most", "kept")
    rows = [
        (
            case["case"],
            _words(target),
            _value(target["figure"], figure["median"]),
            f"{_value(target['figure'], figure['low'])} to {_value(target['figure'], figure['high'])}",
            _verdict(case, target),
        )
        for case in metrics["cases"]
        for target in case["targets"]
        for figure in [case["figures"][target["figure"]]]
    ]
    busiest = max(case["figures"]["backend_cpu_share"]["high"] for case in metrics["cases"])
    note = (
        f"Medians of {parameters['rounds']} rounds. The one queue is the contender: it is to miss what lanes keep. "
        f"The backend took {busiest:.0%} of its core at most; near 100% figures would say nothing about refire."
    )
    return Table(columns, rows, note)


def _words(target: Mapping[str, Any]) -> str:
    bound = "at least" if target["at_least"] else "at most"
    return f"{bound} {_value(target['figure'], target['limit'])} {WORDS[target['figure']]}"


def _value(figure: str, value: float) -> str:
    if figure == "throttled_share":
        return f"{value:.2%}"
    if figure.endswith("_share"):
        return f"{value:.1%}"
    if figure in ("says_why", "failed_items"):
        return f"{value:.0f}"
    return f"{value:.1f}" if figure.endswith("_s") else f"{value:.2f}"


def _verdict(case: Mapping[str, Any], target: Mapping[str, Any]) -> str:
    if target["met"]:
        return "yes"
    return "no, as expected" if case["is_to_miss"] else "**no**"


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Accepted units second by second, as a share of the budget: steady ones, hot keys, and what changes."""
    figure, axes = plots.figure(3, width=16)
    groups = (
        ("Nothing is hot", lambda name: name.startswith(("uniform", "sizes", "index"))),
        ("Hot keys", lambda name: "hot" in name or "others" in name),
        ("Capacity changes", lambda name: name in ("capacity halved", "on demand")),
    )
    for place, (title, wanted) in zip(axes, groups, strict=True):
        _draw(place, title, [case for case in metrics["cases"] if wanted(case["case"])])
    axes[0].set_ylabel("accepted write units, share of the budget")
    return figure


def _draw(axes: Axes, title: str, cases: list[dict[str, Any]]) -> None:
    series = [
        (case["case"], [(row[0], row[1] / case["budget_wcu"]) for row in case["per_second"]])
        for case in cases
    ]
    plots.by_second(axes, series)
    axes.axhline(1.0, color=plots.QUIET, linestyle="--", linewidth=1)
    axes.axhline(1.1, color=plots.COLOURS[5], linestyle=":", linewidth=1)
    axes.set_ylim(0, 1.25)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_title(title)

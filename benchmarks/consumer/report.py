"""The table and the plot of consumer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.consumer.cases import AGE, BUSY, BUSY_LATER
from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table

WORDS = {AGE: "highest age", BUSY: "busy over the whole run", BUSY_LATER: "busy since it first was"}


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row for each case, with what had to be true of it."""
    columns = (
        "consumer",
        "bound",
        "highest age",
        "busy",
        "from minute",
        "since then",
        "minutes",
        "to ideal",
        "pauses",
        "kept",
    )
    rows = [
        (
            case["case"],
            f"{case['bound_s']:.0f} s",
            f"{found['oldest_s']:.1f} s",
            f"{found[BUSY]:.1%}",
            f"{found['busy_from_min']:.0f}",
            f"{found[BUSY_LATER]:.1%}",
            f"{found['minutes']:.1f}",
            f"{found['time_to_ideal']:.2f}x",
            f"{found['pauses']:.0f}",
            _kept(case["targets"]),
        )
        for case in metrics["cases"]
        for found in [case["figures"]]
    ]
    note = (
        f"Virtual time; figures of CloudWatch are {metrics['lag_s']:.0f} s late. Where the function has a past, an "
        f"invocation took {metrics['past_ms']:.0f} ms. Busy: the share of the time in which the slowest function had "
        "something to do, over the whole run and since the first minute in which that was 95%."
    )
    return Table(columns, rows, note)


def _kept(targets: list[dict[str, Any]]) -> str:
    if not targets:
        return "nothing was asked"
    missed = [WORDS[target["figure"]] for target in targets if not target["met"]]
    return f"**no**: {', '.join(missed)}" if missed else "yes"


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """Age of records and the run's rate over time, the bound drawn."""
    figure, (ages, rates) = plots.figure(2, width=14)
    for number, case in enumerate(metrics["cases"]):
        colour = plots.COLOURS[number % len(plots.COLOURS)]
        for axes, name in ((ages, "age"), (rates, "rate")):
            rows = case["over_time"][name]
            axes.plot(
                [row[0] for row in rows],
                [row[1] for row in rows],
                color=colour,
                label=case["case"],
                linewidth=1,
            )
    for bound_s in sorted({case["bound_s"] for case in metrics["cases"]}):
        ages.axhline(bound_s, color=plots.QUIET, linestyle="--", linewidth=1)
    ages.set_title("Highest age of a record, s (dashed: bounds)")
    ages.set_yscale("symlog", linthresh=60)
    ages.set_yticks([0, 15, 30, 60, 120, 300])
    rates.set_title("Records that the run makes, per second")
    rates.set_yscale("symlog", linthresh=100)
    rates.set_yticks([0, 40, 100, 200, 500, 1_000])
    for axes in (ages, rates):
        axes.set_xlabel("minutes since the start")
        axes.set_ylim(bottom=0)
        axes.minorticks_off()
        plots.label_amounts(axes.yaxis)
    figure.legend(*ages.get_legend_handles_labels(), loc="outside right center", fontsize=8)
    return figure

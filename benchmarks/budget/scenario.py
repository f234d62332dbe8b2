"""budget: share of the write budget in steady state, throttled share, time against the ideal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.budget.report import plot, table
from benchmarks.framework import capacity
from benchmarks.framework.backends import sandbox
from benchmarks.framework.refire import Refire, own_place, real_place
from benchmarks.framework.scenario import Bench, Metrics, RealTable, Scenario
from benchmarks.framework.tables import TABLE, config, table_spec


@dataclass(frozen=True, slots=True)
class Parameters:
    """Tables of each of `capacities` (WCU), used to each of `percents`, with items for `seconds` at that rate."""

    capacities: tuple[int, ...] = (500, 2_000, 10_000, 40_000)
    percents: tuple[int, ...] = (80, 100)
    seconds: float = 30.0
    item_bytes: int = 1_000


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """One run per capacity and percentage."""
    if bench.real is not None:
        return _on_real(bench, parameters, bench.real)
    cases = [(units, percent) for units in parameters.capacities for percent in parameters.percents]
    bench.steps.begin(len(cases))
    found = []
    for units, percent in cases:
        bench.steps.step(f"{percent}% of {units:,} WCU")
        found.append(_measure(bench, parameters, units, percent))
    return {"cases": found}


def _measure(bench: Bench, parameters: Parameters, units: int, percent: int) -> dict[str, Any]:
    budget = units * percent / 100
    items = int(budget * parameters.seconds)
    spec = table_spec(items, parameters.item_bytes, wcu=units)
    with sandbox(config(spec)) as server:
        refire = Refire(bench.folder, own_place(TABLE, server.url, bench.folder))
        before_s = server.cpu_s
        done = refire.run("--wcu-percent", str(percent))
        server_cpu_s = server.cpu_s - before_s
        resource = capacity.resource(server.stats(), TABLE)
    assert done.usage is not None  # noqa: S101 - it has ended
    all_seconds = capacity.seconds(resource)
    steady = capacity.steady(all_seconds)
    ideal_s = capacity.written(resource) / budget
    return {
        "capacity_wcu": units,
        "percent": percent,
        "budget_wcu": budget,
        "items": items,
        "touched": done.summary["touched"],
        "used_share": capacity.used_share(steady, budget),
        "peak_share": capacity.peak_share(steady, budget),
        "throttled_share": capacity.throttled_share(all_seconds),
        "seconds": done.run_time_s,
        "ideal_s": ideal_s,
        "time_to_ideal": done.run_time_s / ideal_s,
        "engine_cpu_share": done.usage.cpu_s / done.usage.wall_s,
        "backend_cpu_share": server_cpu_s / done.usage.wall_s,
        "throttles": resource["throttles"],
        "per_second": capacity.per_second(all_seconds),
    }


def _on_real(bench: Bench, parameters: Parameters, real: RealTable) -> Metrics:
    """What a run reports itself: no other source has figures for single seconds."""
    bench.steps.begin(len(parameters.percents))
    found = []
    for percent in parameters.percents:
        bench.steps.step(f"{percent}% of the table's capacity")
        refire = Refire(bench.folder, real_place(real))
        done = refire.run("--wcu-percent", str(percent), "--max-items", str(real.max_items), codes=(0, 3))
        summary, budget = done.summary, done.budget_wcu
        ideal_s = summary["wcu"] / budget
        found.append(
            {
                "percent": percent,
                "budget_wcu": budget,
                "touched": summary["touched"],
                "used_share": summary["wcu"] / done.run_time_s / budget,
                "throttled_share": summary["throttled"] / max(1, summary["throttled"] + summary["touched"]),
                "seconds": done.run_time_s,
                "ideal_s": ideal_s,
                "time_to_ideal": done.run_time_s / ideal_s,
            }
        )
    return {"cases": found}


SCENARIO = Scenario(
    name="budget",
    question="How much of its write budget does a run use, and how much is it throttled for it?",
    full=Parameters(),
    quick=Parameters(percents=(80,), seconds=5.0),
    run=run,
    table=table,
    plot=plot,
)

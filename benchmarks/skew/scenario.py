"""skew: time against the lower bound, for uniform, Zipf and hot hash keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.framework import capacity
from benchmarks.framework.backends import sandbox
from benchmarks.framework.refire import Refire, own_place, real_place
from benchmarks.framework.scenario import Bench, Metrics, RealTable, Scenario, choice
from benchmarks.framework.tables import TABLE, config, table_spec
from benchmarks.skew.report import plot, table

_SKEWS: dict[str, Any] = {
    "uniform": "uniform",
    "zipf": {"Zipf": 1.1},
    "hot key": {"HotKey": 0.3},
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """`items` over `hash_keys` in a table of `capacity` WCU, for each of `skews`; `percent` of it is the budget."""

    skews: tuple[str, ...] = ("uniform", "zipf", "hot key")
    items: int = 200_000
    hash_keys: int = 2_000
    capacity: int = 10_000
    percent: int = 80
    item_bytes: int = 1_000


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """One run per skew."""
    if bench.real is not None:
        return _on_real(bench, parameters, bench.real)
    bench.steps.begin(len(parameters.skews))
    found = []
    for name in parameters.skews:
        bench.steps.step(name)
        found.append(_measure(bench, parameters, name))
    return {"cases": found}


def _measure(bench: Bench, parameters: Parameters, name: str) -> dict[str, Any]:
    spec = table_spec(
        parameters.items,
        parameters.item_bytes,
        wcu=parameters.capacity,
        hash_keys=parameters.hash_keys,
        skew=choice(_SKEWS, name),
    )
    budget = parameters.capacity * parameters.percent / 100
    with sandbox(config(spec)) as server:
        refire = Refire(bench.folder, own_place(TABLE, server.url, bench.folder))
        done = refire.run("--wcu-percent", str(parameters.percent))
        resource = capacity.resource(server.stats(), TABLE)
    total, parts = capacity.written(resource), capacity.partition_writes(resource)
    bound_s = capacity.lower_bound_s(total, budget, max(parts))
    return {
        "skew": name,
        "budget_wcu": budget,
        "touched": done.summary["touched"],
        "total_wcu": total,
        "partitions": len(parts),
        "hottest_wcu": max(parts),
        "bound_s": bound_s,
        "seconds": done.run_time_s,
        "time_to_bound": done.run_time_s / bound_s,
        "throttled_share": capacity.throttled_share(capacity.seconds(resource)),
        "per_second": capacity.per_second(capacity.seconds(resource)),
    }


def _on_real(bench: Bench, parameters: Parameters, real: RealTable) -> Metrics:
    """The table as it is. The load of its partitions is unknown, so the bound is that of the budget alone."""
    bench.steps.begin(1)
    bench.steps.step("the table as it is")
    refire = Refire(bench.folder, real_place(real))
    done = refire.run(
        "--wcu-percent", str(parameters.percent), "--max-items", str(real.max_items), codes=(0, 3)
    )
    total, budget = float(done.summary["wcu"]), done.budget_wcu
    bound_s = capacity.lower_bound_s(total, budget, 0.0)
    case = {
        "skew": "as it is",
        "budget_wcu": budget,
        "touched": done.summary["touched"],
        "total_wcu": total,
        "bound_s": bound_s,
        "seconds": done.run_time_s,
        "time_to_bound": done.run_time_s / bound_s,
        "throttled_share": done.summary["throttled"]
        / max(1, done.summary["throttled"] + done.summary["touched"]),
    }
    return {"cases": [case]}


SCENARIO = Scenario(
    name="skew",
    question="How close to the least possible time is a run when some hash keys hold far more items than others?",
    full=Parameters(),
    quick=Parameters(items=24_000, hash_keys=240),
    run=run,
    table=table,
    plot=plot,
)

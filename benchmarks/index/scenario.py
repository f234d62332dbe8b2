"""index: a global index that projects the marker, with less capacity than its table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.framework import capacity
from benchmarks.framework.backends import sandbox
from benchmarks.framework.refire import Refire, own_place, real_place
from benchmarks.framework.scenario import Bench, Metrics, RealTable, Scenario, choice
from benchmarks.framework.tables import TABLE, config, table_spec
from benchmarks.index.report import plot, table

INDEX = "by-order"
_PROJECTIONS = {"no index": None, "index of keys": "KEYS_ONLY", "index with the marker": "ALL"}


@dataclass(frozen=True, slots=True)
class Parameters:
    """A table of `capacity` WCU, alone and with an index of `index_capacity` WCU that has the marker or not."""

    cases: tuple[str, ...] = tuple(_PROJECTIONS)
    items: int = 30_000
    hash_keys: int = 300
    capacity: int = 2_000
    index_capacity: int = 500
    percent: int = 80
    item_bytes: int = 1_000


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """One run per projection."""
    if bench.real is not None:
        return _on_real(bench, parameters, bench.real)
    bench.steps.begin(len(parameters.cases))
    found = []
    for name in parameters.cases:
        bench.steps.step(name)
        found.append(_measure(bench, parameters, name, choice(_PROJECTIONS, name)))
    return {"cases": found}


def bound(budgets: dict[str, float], written: dict[str, float]) -> tuple[str, float]:
    """Which resource holds a run up the longest, and for how many seconds at least. Pure."""
    times = {name: units / budgets[name] for name, units in written.items()}
    slowest = max(times, key=lambda name: times[name])
    return slowest, times[slowest]


def _measure(bench: Bench, parameters: Parameters, name: str, projection: str | None) -> dict[str, Any]:
    indexes = {} if projection is None else {INDEX: (parameters.index_capacity, projection)}
    spec = table_spec(
        parameters.items,
        parameters.item_bytes,
        wcu=parameters.capacity,
        hash_keys=parameters.hash_keys,
        indexes=indexes,
    )
    with sandbox(config(spec)) as server:
        refire = Refire(bench.folder, own_place(TABLE, server.url, bench.folder))
        done = refire.run("--wcu-percent", str(parameters.percent))
        stats = server.stats()
    resources = {"table": capacity.resource(stats, TABLE)}
    budgets = {"table": parameters.capacity * parameters.percent / 100}
    if projection is not None:
        resources["index"] = capacity.resource(stats, TABLE, INDEX)
        budgets["index"] = parameters.index_capacity * parameters.percent / 100
    written = {where: capacity.written(resource) for where, resource in resources.items()}
    bound_by, ideal_s = bound(budgets, written)
    steady = capacity.steady(capacity.seconds(resources[bound_by]))
    return {
        "case": name,
        "touched": done.summary["touched"],
        "written_wcu": written,
        "budget_wcu": budgets,
        "bound_by": bound_by,
        "ideal_s": ideal_s,
        "seconds": done.run_time_s,
        "time_to_ideal": done.run_time_s / ideal_s,
        "used_share": capacity.used_share(steady, budgets[bound_by]),
        "throttled_share": capacity.throttled_share(capacity.seconds(resources["table"])),
        "throttles": {where: resource["throttles"] for where, resource in resources.items()},
        "per_second": {
            where: capacity.per_second(capacity.seconds(resource))
            for where, resource in resources.items()
            if resource["seconds"]
        },
    }


def _on_real(bench: Bench, parameters: Parameters, real: RealTable) -> Metrics:
    """The table with the indexes that it has; `wcu` of a run is that of all of them."""
    bench.steps.begin(1)
    bench.steps.step("the table as it is")
    refire = Refire(bench.folder, real_place(real))
    done = refire.run(
        "--wcu-percent", str(parameters.percent), "--max-items", str(real.max_items), codes=(0, 3)
    )
    summary, budget = done.summary, done.budget_wcu
    ideal_s = summary["touched"] / budget
    case = {
        "case": "as it is",
        "touched": summary["touched"],
        "written_wcu": {"table and indexes": summary["wcu"]},
        "budget_wcu": {"table": budget},
        "bound_by": "-",
        "ideal_s": ideal_s,
        "seconds": done.run_time_s,
        "time_to_ideal": done.run_time_s / ideal_s,
        "used_share": summary["touched"] / done.run_time_s / budget,
        "throttled_share": summary["throttled"] / max(1, summary["throttled"] + summary["touched"]),
        "per_second": {},
    }
    return {"cases": [case]}


SCENARIO = Scenario(
    name="index",
    question="What does an index cost a run, if it projects the marker and has less capacity than the table?",
    full=Parameters(),
    quick=Parameters(items=6_400, hash_keys=64, index_capacity=1_000),
    run=run,
    table=table,
    plot=plot,
)

"""plan: units and time that `refire plan` estimates, compared with those of the run that follows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from benchmarks.framework.backends import sandbox
from benchmarks.framework.refire import Place, Refire, own_place, real_place
from benchmarks.framework.scenario import Bench, BenchmarkError, Metrics, RealTable, Scenario, choice
from benchmarks.framework.tables import TABLE, config, table_spec
from benchmarks.plan.report import plot, table

TOLERANCE = 0.05
"""How far a planned figure may be from the measured one."""

_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Shape:
    """A table of `weight` times the parameters' items, and how it is run."""

    item_bytes: Any = 1_000
    weight: float = 1.0
    hash_keys: int | None = None
    skew: Any = "uniform"
    indexes: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    arguments: tuple[str, ...] = ("--wcu-percent", "80")


SHAPES: dict[str, Shape] = {
    "1 KB": Shape(),
    "200 bytes": Shape(200),
    "5 KB": Shape(5_000, 0.2),
    "100 to 3,000 bytes": Shape({"Uniform": [100, 3_000]}, 0.5),
    "log-normal, 600 bytes": Shape({"Lognormal": [600, 0.8]}, 0.7),
    "log-normal, 3 KB": Shape({"Lognormal": [3_000, 0.8]}, 0.25),
    "index with the marker": Shape(hash_keys=400, indexes={"by-order": (3_000, "ALL")}, weight=0.7),
    "scarce index": Shape(hash_keys=400, indexes={"by-order": (750, "ALL")}, weight=0.3),
    "index of keys": Shape(hash_keys=400, indexes={"by-order": (750, "KEYS_ONLY")}, weight=0.7),
    "a hot key": Shape(hash_keys=2_000, skew={"HotKey": 0.6}),
    "one hash key": Shape(
        hash_keys=100, skew={"HotKey": 0.4}, arguments=("--key-value", "customer-0000000000")
    ),
    "half the budget": Shape(arguments=("--max-wcu", "1200"), weight=0.5),
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """A table of `capacity` WCU and about `items` items for each of `shapes`."""

    shapes: tuple[str, ...] = tuple(SHAPES)
    capacity: int = 3_000
    items: int = 40_000


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """One plan and one run per shape."""
    if bench.real is not None:
        return _on_real(bench, bench.real)
    bench.steps.begin(len(parameters.shapes))
    found = []
    for name in parameters.shapes:
        bench.steps.step(name)
        found.append(_measure(bench, parameters, name, choice(SHAPES, name)))
    return _judged(found)


def _judged(cases: list[dict[str, Any]]) -> Metrics:
    """The cases, and whether every figure of each is as near as it has to be."""
    return {"cases": cases, "tolerance": TOLERANCE, "kept": all(case["kept"] for case in cases)}


def _measure(bench: Bench, parameters: Parameters, name: str, shape: Shape) -> dict[str, Any]:
    spec = table_spec(
        round(parameters.items * shape.weight),
        shape.item_bytes,
        wcu=parameters.capacity,
        hash_keys=shape.hash_keys,
        skew=shape.skew,
        indexes=shape.indexes,
    )
    with sandbox(config(spec)) as server:
        place = own_place(TABLE, server.url, bench.folder)
        return _compare(bench, place, name, shape.arguments)


def _compare(bench: Bench, place: Place, name: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    estimate = make_plan(place, arguments)
    done = Refire(bench.folder, place).run(*arguments, codes=(0, 3))  # 3: as many items as allowed
    pairs = {
        "items": (estimate["items"], done.summary["touched"]),
        "wcu": (estimate["wcu"], done.summary["wcu"]),
        "rcu": (estimate["rcu"], done.summary["rcu"]),
        "seconds": (estimate["seconds"], done.run_time_s),
    }
    figures = {what: judge(plan, fact) for what, (plan, fact) in pairs.items()}
    return {
        "shape": name,
        "bound_by": estimate["bound_by"],
        "kept": all(figure["kept"] for figure in figures.values()),
        **figures,
    }


def judge(planned: float, measured: float) -> dict[str, Any]:
    """A figure, its error, and whether that is within the tolerance. Raises BenchmarkError: nothing was measured."""
    if not measured > 0:
        raise BenchmarkError(f"the run measured {measured}, so the plan cannot be compared with it")
    error = planned / measured - 1.0
    return {"planned": planned, "measured": measured, "error": error, "kept": abs(error) <= TOLERANCE}


def make_plan(place: Place, arguments: tuple[str, ...]) -> dict[str, Any]:
    """The plan for a run with these arguments. Raises BenchmarkError."""
    command = [
        sys.executable,
        "-m",
        "refire_async",
        "plan",
        "--table",
        place.table,
        *place.arguments,
        "--json",
    ]
    done = subprocess.run(
        [*command, *arguments],
        env=dict(place.environment),
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
        text=True,
    )
    if done.returncode:
        raise BenchmarkError(f"refire plan ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    plan: dict[str, Any] = orjson.loads(done.stdout.splitlines()[-1])
    return plan


def _on_real(bench: Bench, real: RealTable) -> Metrics:
    """The table as it is."""
    bench.steps.begin(1)
    bench.steps.step("the table as it is")
    arguments = ("--max-items", str(real.max_items))
    return _judged([_compare(bench, real_place(real), "as it is", arguments)])


SCENARIO = Scenario(
    name="plan",
    question="How far are a plan's units and duration from those of the run that follows?",
    full=Parameters(),
    quick=Parameters(shapes=("log-normal, 600 bytes", "scarce index"), items=8_000),
    run=run,
    table=table,
    plot=plot,
)

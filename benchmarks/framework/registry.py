"""All scenarios, in the order in which they are listed and run."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from benchmarks.framework.scenario import BenchmarkError, Scenario

NAMES: tuple[str, ...] = (
    "client_cpu",
    "replay",
    "processes",
    "cluster",
    "sources",
    "budget",
    "small_runs",
    "skew",
    "pacing",
    "scale",
    "scale_parts",
    "resume",
    "sweep",
    "index",
    "plan",
    "verify",
    "consumer",
    "small_machine",
    "outage",
    "sandbox_throughput",
)


def load(name: str) -> Scenario[Any]:
    """The scenario of that name: `SCENARIO` of the package of that name. Raises BenchmarkError."""
    if name not in NAMES:
        raise BenchmarkError(f"there is no benchmark {name}; there are {', '.join(NAMES)} and all")
    scenario: Scenario[Any] = import_module(f"benchmarks.{name}.scenario").SCENARIO
    return scenario


def choose(names: tuple[str, ...]) -> list[Scenario[Any]]:
    """The scenarios that are named, each once, in their order here; `all` stands for all of them."""
    wanted = set(NAMES) if "all" in names else set(names)
    for name in wanted:
        load(name)
    return [load(name) for name in NAMES if name in wanted]

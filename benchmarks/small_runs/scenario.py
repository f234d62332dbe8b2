"""small_runs: start to end of short runs against the ideal, and the throttled share of their first second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.framework import capacity
from benchmarks.framework.backends import sandbox
from benchmarks.framework.refire import Refire, own_place
from benchmarks.framework.scenario import Bench, Metrics, Scenario
from benchmarks.framework.statistics import spread
from benchmarks.framework.tables import TABLE, config, table_spec
from benchmarks.small_runs.report import plot, table

FIRST_SECONDS = 2
"""Seconds of the clock that the first second of a run touches."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Runs of each of `counts` items at each of `percents` of `capacity` (WCU), each `rounds` times."""

    counts: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    percents: tuple[int, ...] = (80, 100)
    capacity: int = 4_000
    item_bytes: int = 1_000
    rounds: int = 5


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """Every case once a round."""
    cases = [(count, percent) for count in parameters.counts for percent in parameters.percents]
    bench.steps.begin(len(cases) * parameters.rounds)
    found: dict[tuple[int, int], list[dict[str, float]]] = {case: [] for case in cases}
    for number in range(1, parameters.rounds + 1):
        for count, percent in cases:
            bench.steps.step(f"{count:,} items at {percent}%, round {number} of {parameters.rounds}")
            found[count, percent].append(_measure(bench, parameters, count, percent))
    return {"cases": [_case(parameters, count, percent, runs) for (count, percent), runs in found.items()]}


def _case(parameters: Parameters, count: int, percent: int, runs: list[dict[str, float]]) -> dict[str, Any]:
    ideal_s = count / (parameters.capacity * percent / 100)
    return {
        "items": count,
        "percent": percent,
        "ideal_s": ideal_s,
        **{name: spread([figures[name] for figures in runs]).to_json() for name in runs[0]},
    }


def _measure(bench: Bench, parameters: Parameters, count: int, percent: int) -> dict[str, float]:
    with sandbox(config(table_spec(count, parameters.item_bytes, wcu=parameters.capacity))) as server:
        done = Refire(bench.folder, own_place(TABLE, server.url, bench.folder)).run(
            "--wcu-percent", str(percent)
        )
        seconds = capacity.seconds(capacity.resource(server.stats(), TABLE))
    assert done.usage is not None  # noqa: S101 - it has ended
    ideal_s = count / (parameters.capacity * percent / 100)
    writing = [number for number, second in enumerate(seconds) if second.write or second.throttled_write]
    first = seconds[writing[0] : writing[0] + FIRST_SECONDS]
    return {
        "run_s": done.run_time_s,
        "in_all_s": done.usage.wall_s,
        "over_ideal_s": done.run_time_s - ideal_s,
        "to_ideal": done.run_time_s / ideal_s,
        "throttled_first_share": capacity.throttled_share(first),
        "throttled_share": capacity.throttled_share(seconds),
    }


SCENARIO = Scenario(
    name="small_runs",
    question="How near are runs of 100 to 100,000 items to what their budget allows, from start to end?",
    full=Parameters(),
    quick=Parameters(counts=(100, 1_000, 8_000), percents=(100,), rounds=2),
    run=run,
    table=table,
    plot=plot,
    on_real=False,
)

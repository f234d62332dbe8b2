"""processes: items per second of `--processes N`, against a backend that answers at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from benchmarks.framework.backends import Null, Window, null_backend
from benchmarks.framework.null_backend import NullTable
from benchmarks.framework.real import item_count
from benchmarks.framework.refire import Refire, own_place, real_place
from benchmarks.framework.scenario import Bench, BenchmarkError, Metrics, RealTable, Scenario
from benchmarks.framework.statistics import interleave, paired_ratio, spread
from benchmarks.processes.report import plot, table

MIN_CPU_S = 0.25
"""CPU time per process that a window has to have before it says what an item costs: the end of a process's start may
lie in it, and is a tenth of a second or two."""

UNITS = 10_000_000
"""Units per second that the engine is given: its budget is at work and never the limit."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Each of `counts` processes touches `items` items per process, in each of `rounds` rounds.

    What is measured lies between the shares `warm_up` and `until` of the items: of two processes that share two
    cores with the backend, the faster one is done when little more than three quarters of them are.
    """

    counts: tuple[int, ...] = (1, 2)
    items: int = 600_000
    rounds: int = 5
    segments: int = 64
    warm_up: float = 0.2
    until: float = 0.75


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """All counts in turn, round after round. Nothing is pinned: there may be more processes than cores."""
    if bench.real is not None:
        return _on_real(bench, parameters, bench.real)
    names = {str(count): count for count in parameters.counts}
    measured: dict[str, list[Window]] = {name: [] for name in names}
    bench.steps.begin(len(names) * parameters.rounds)
    with null_backend(pinned=False) as backend:
        for number, order in enumerate(interleave(tuple(names), parameters.rounds), 1):
            for name in order:
                bench.steps.step(f"{name} processes, round {number} of {parameters.rounds}")
                measured[name].append(_measure(bench, backend, parameters, names[name]))
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cases": [case(names[name], measured, name) for name in names],
    }


def _measure(bench: Bench, backend: Null, parameters: Parameters, count: int) -> Window:
    target = NullTable("hash", "present", parameters.items * count)
    marks = [int(target.count * parameters.warm_up), int(target.count * parameters.until)]
    refire = Refire(bench.folder, own_place(target.name, backend.url, bench.folder), pinned=False)
    options = ("--max-wcu", str(UNITS), "--max-rcu", str(UNITS), "--segments", str(parameters.segments))
    with refire.start(*options, "--processes", str(count)) as running:
        backend.watch(running.child.pid, marks)
        running.finish((0,))
    return backend.window()


def case(count: int, measured: dict[str, list[Window]], name: str) -> dict[str, Any]:
    """One number of processes against the first one. Pure.

    `speedup` is by the clock. `speedup_with_cores` is what CPU per item says: how much faster it would be if each
    process, and the backend, had a core of its own. Both rest on the rounds whose windows tell CPU time, and are left
    out where there is none.
    """
    first, found = next(iter(measured.values())), measured[name]
    rates = [window.items_per_s for window in found]
    case = {
        "processes": count,
        "items_per_s": spread(rates).to_json(),
        "server_cpu_us_per_item": spread([window.server_us for window in found]).to_json(),
        "speedup": paired_ratio(rates, [window.items_per_s for window in first]).to_json(),
    }
    steady = [window for window in found if _steady(window)]
    pairs = [(one, other) for one, other in zip(first, found, strict=True) if _steady(one) and _steady(other)]
    if steady:
        case["cpu_us_per_item"] = spread([window.client_us for window in steady]).to_json()
    if pairs:
        ratios = [count * one.client_us / other.client_us for one, other in pairs]
        case["speedup_with_cores"] = spread(ratios).to_json()
    return case


def _steady(window: Window) -> bool:
    """Whether all of the program's processes were at work from the window's begin to its end, and for long enough."""
    return window.processes is not None and window.client_cpu_s >= MIN_CPU_S * window.processes


def _on_real(bench: Bench, parameters: Parameters, real: RealTable) -> Metrics:
    """By the clock of the runs themselves; the table's budget may well be the limit there.

    A limit on items is for one process, so the whole table is touched, if the limit allows that.
    """
    items = item_count(real)
    if items > real.max_items:
        raise BenchmarkError(
            f"several processes share a whole table, which has {items:,} items here: "
            f"give --max-items {items} to touch all of them in each of {len(parameters.counts)} runs"
        )
    bench.steps.begin(len(parameters.counts))
    refire = Refire(bench.folder, real_place(real), pinned=False)
    rates = []
    for count in parameters.counts:
        bench.steps.step(f"{count} processes")
        done = refire.run("--processes", str(count))
        rates.append(float(done.summary["items_per_second"]))
    cases = [
        {
            "processes": count,
            "items_per_s": spread([rate]).to_json(),
            "speedup": paired_ratio([rate], rates[:1]).to_json(),
        }
        for count, rate in zip(parameters.counts, rates, strict=True)
    ]
    return {"cores": len(os.sched_getaffinity(0)), "cases": cases}


SCENARIO = Scenario(
    name="processes",
    question="How much faster are several processes than one, where the backend is not the limit?",
    full=Parameters(),
    quick=Parameters(items=150_000, rounds=2),
    run=run,
    table=table,
    plot=plot,
)

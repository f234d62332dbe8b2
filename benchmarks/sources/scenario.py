"""sources: what a keys file and an export cost, against the scan of the table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.framework.backends import Null, Window, null_backend, window
from benchmarks.framework.null_backend import NullTable
from benchmarks.framework.refire import Refire, own_place
from benchmarks.framework.scenario import Bench, Metrics, Scenario, choice
from benchmarks.framework.statistics import interleave, paired_ratio, spread
from benchmarks.sources.inputs import write_export, write_json_lines, write_packed_csv
from benchmarks.sources.report import plot, table

SCAN, KEYS, CSV, EXPORT = "scan", "keys file", "keys file, CSV, packed", "export, packed"

UNITS = 10_000_000
"""Units per second that the engine is given: its budget is at work and never the limit."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The scan and each of `lists` name the same `items` items, once in each of `rounds` rounds.

    Speed is measured between the shares `warm_up` and `until` of them. `segments` are those of the scan; a list has
    as many as it takes.
    """

    items: int = 1_000_000
    rounds: int = 5
    lists: tuple[str, ...] = (KEYS, CSV, EXPORT)
    shape: str = "hash"
    export_item_bytes: int = 1_000
    segments: int = 32
    warm_up: float = 0.2
    until: float = 0.9


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. `ready_s` and `ready_cpu_s` are from the program's start to its first write."""

    window: Window
    ready_s: float
    ready_cpu_s: float
    peak_bytes: int
    rcu: float


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """All sources in turn, round after round."""
    target = NullTable(parameters.shape, "present", parameters.items)
    rounds, names = parameters.rounds, (SCAN, *parameters.lists)
    bench.steps.begin(rounds * len(names) + 1)
    bench.steps.step("writing lists")
    options = _options(bench, parameters, target)
    measured: dict[str, list[Measured]] = {name: [] for name in names}
    with null_backend() as backend:
        for number, order in enumerate(interleave(names, rounds), 1):
            for name in order:
                bench.steps.step(f"{name}, round {number} of {rounds}")
                measured[name].append(_measure(bench, backend, parameters, target, options[name]))
    scan = measured[names[0]]
    cases = [_case(name, measured[name], scan, parameters.items) for name in names]
    return {"cases": cases}


def _options(bench: Bench, parameters: Parameters, target: NullTable) -> dict[str, tuple[str, ...]]:
    """What names the items, by source; lists are written first."""
    options: dict[str, tuple[str, ...]] = {SCAN: ("--segments", str(parameters.segments))}
    makers: dict[str, Callable[[], tuple[str, ...]]] = {
        KEYS: lambda: ("--keys-file", str(write_json_lines(target, bench.folder / "keys.jsonl"))),
        CSV: lambda: ("--keys-file", str(write_packed_csv(target, bench.folder / "keys.csv.gz"))),
        EXPORT: lambda: (
            "--export",
            str(write_export(target, bench.folder, parameters.export_item_bytes)),
        ),
    }
    return options | {name: choice(makers, name)() for name in parameters.lists}


def _measure(
    bench: Bench, backend: Null, parameters: Parameters, target: NullTable, options: Sequence[str]
) -> Measured:
    counts = [1, int(target.count * parameters.warm_up), int(target.count * parameters.until)]
    refire = Refire(bench.folder, own_place(target.name, backend.url, bench.folder))
    began_s = time.perf_counter()
    with refire.start("--max-wcu", str(UNITS), "--max-rcu", str(UNITS), *options) as running:
        backend.watch(running.child.pid, counts)
        running.finish((0,))
    first, low, high = backend.marks(3)
    return Measured(
        window=window(low, high),
        ready_s=first.wall_s - began_s,
        ready_cpu_s=first.client_cpu_s,
        peak_bytes=running.peak_bytes,
        rcu=backend.rcu,
    )


def _case(name: str, found: Sequence[Measured], scan: Sequence[Measured], items: int) -> dict[str, Any]:
    """One source against the scan of the same rounds, without the time before the first write and with it. Pure."""
    rounds = list(zip(found, scan, strict=True))
    reading_s = [max(0.0, one.ready_s - other.ready_s) for one, other in rounds]
    reading_us = [max(0.0, one.ready_cpu_s - other.ready_cpu_s) / items * 1e6 for one, other in rounds]
    rates = [one.window.items_per_s for one in found]
    in_all = [1.0 / (1.0 / rate + seconds / items) for rate, seconds in zip(rates, reading_s, strict=True)]
    cpu = [one.window.client_us for one in found]
    cpu_in_all = [own + more for own, more in zip(cpu, reading_us, strict=True)]
    scan_rates = [one.window.items_per_s for one in scan]
    scan_cpu = [one.window.client_us for one in scan]
    return {
        "source": name,
        "items_per_s": spread(rates).to_json(),
        "cpu_us_per_item": spread(cpu).to_json(),
        "server_cpu_us_per_item": spread([one.window.server_us for one in found]).to_json(),
        "reading_s": spread(reading_s).to_json(),
        "reading_cpu_us_per_item": spread(reading_us).to_json(),
        "of_scan": paired_ratio(rates, scan_rates).to_json(),
        "of_scan_in_all": paired_ratio(in_all, scan_rates).to_json(),
        "of_scan_by_cpu": paired_ratio(scan_cpu, cpu).to_json(),
        "of_scan_by_cpu_in_all": paired_ratio(scan_cpu, cpu_in_all).to_json(),
        "peak_bytes": max(one.peak_bytes for one in found),
        "rcu": max(one.rcu for one in found),
    }


SCENARIO = Scenario(
    name="sources",
    question="How fast are a keys file and an export, against the scan of the table?",
    full=Parameters(),
    quick=Parameters(items=60_000, rounds=1),
    run=run,
    table=table,
    plot=plot,
    on_real=False,
)

"""sweep: segments x workers x item size x latency, and the settings that it recommends."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.framework.backends import sandbox
from benchmarks.framework.refire import Refire, own_place, real_place
from benchmarks.framework.scenario import Bench, Metrics, RealTable, Scenario
from benchmarks.framework.statistics import interleave
from benchmarks.framework.tables import TABLE, config, table_spec
from benchmarks.sweep.recommend import Cell, recommend, shares
from benchmarks.sweep.report import plot, table

WCU_BYTES = 1024
MARKER_BYTES = 12
"""Of the attribute `revision` that a run adds."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Every combination is run once a round, in a table at its default quota of `capacity` WCU.

    The table holds what this capacity can touch in `ideal_s`; a run that takes longer than `most_s` is stopped then.
    `share` of the fastest is good enough for a setting to be recommended.
    """

    segments: tuple[int, ...] = (4, 16, 40, 160)
    workers: tuple[int, ...] = (8, 32, 80)
    item_bytes: tuple[int, ...] = (200, 1_000, 4_000)
    latencies_ms: tuple[int, ...] = (2, 10, 40)
    ideal_s: float = 2.5
    most_s: float = 4.0
    capacity: int = 40_000
    share: float = 0.9
    rounds: int = 3


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """One table per size and latency, one run of it per number of segments and workers."""
    if bench.real is not None:
        return _on_real(bench, parameters, bench.real)
    settings = [(segments, workers) for segments in parameters.segments for workers in parameters.workers]
    places = [(size, latency) for size in parameters.item_bytes for latency in parameters.latencies_ms]
    bench.steps.begin(len(settings) * len(places) * parameters.rounds)
    cells = []
    for size, latency in places:
        spec = table_spec(items_in(parameters, size), size, wcu=parameters.capacity)
        with sandbox(config(spec, latency=f"{latency}ms")) as server:
            refire = Refire(bench.folder, own_place(TABLE, server.url, bench.folder))
            found: dict[str, list[tuple[float, int]]] = {}
            names = {
                f"{segments} segments, {workers} workers": (segments, workers)
                for segments, workers in settings
            }
            for name in itertools.chain(*interleave(tuple(names), parameters.rounds)):
                bench.steps.step(f"{size} B, {latency} ms: {name}")
                options = (*_options(*names[name]), "--max-wcu", str(parameters.capacity))
                with refire.start(*options) as run:
                    run.stop_after(parameters.most_s)
                    run.finish((0, 3))
                found.setdefault(name, []).append(_figures(run.summary))
            cells += [_cell(*names[name], size, latency, rounds=rounds) for name, rounds in found.items()]
    return _metrics(cells, parameters)


def items_in(parameters: Parameters, item_bytes: int) -> int:
    """Items of this size that the capacity can touch in `ideal_s`, by 1 KB of the item and its marker each."""
    units = math.ceil((item_bytes + MARKER_BYTES) / WCU_BYTES)
    return int(parameters.capacity * parameters.ideal_s / units)


def _figures(summary: Mapping[str, Any]) -> tuple[float, int]:
    return float(summary["items_per_second"]), int(summary["touched"])


def _cell(
    segments: int, workers: int, item_bytes: int, latency_ms: int, *, rounds: Sequence[tuple[float, int]]
) -> Cell:
    speeds = tuple(speed for speed, _ in rounds)
    touched = sum(items for _, items in rounds)
    return Cell(segments, workers, item_bytes, latency_ms, median(speeds), touched, speeds)


def _options(segments: int, workers: int) -> tuple[str, ...]:
    return ("--segments", str(segments), "--workers", str(workers))


def _on_real(bench: Bench, parameters: Parameters, real: RealTable) -> Metrics:
    """Item size and latency are what they are; their columns are 0."""
    bench.steps.begin(len(parameters.segments) * len(parameters.workers))
    refire = Refire(bench.folder, real_place(real))
    cells = []
    for segments in parameters.segments:
        for workers in parameters.workers:
            bench.steps.step(f"{segments} segments, {workers} workers")
            options = (*_options(segments, workers), "--max-items", str(real.max_items))
            done = refire.run(*options, codes=(0, 3))
            cells.append(_cell(segments, workers, 0, 0, rounds=[_figures(done.summary)]))
    return _metrics(cells, parameters)


def _metrics(cells: list[Cell], parameters: Parameters) -> Metrics:
    best = recommend(cells, parameters.share)
    worst = shares(cells)
    advice: dict[str, Any] = {
        "segments": best.segments,
        "workers": best.workers,
        "worst_share": best.worst_share,
        "everywhere": best.worst_share >= parameters.share,
    }
    good = [
        {"segments": segments, "workers": workers, "worst_share": share}
        for (segments, workers), share in worst.items()
        if share >= parameters.share
    ]
    return {"cells": [cell.to_json() for cell in cells], "good_enough": good, "recommended": advice}


SCENARIO = Scenario(
    name="sweep",
    question="Which numbers of segments and workers are fast, whatever the items' size and the latency?",
    full=Parameters(),
    quick=Parameters(
        segments=(4, 40),
        workers=(8, 80),
        item_bytes=(1_000,),
        latencies_ms=(2, 20),
        ideal_s=1.0,
        most_s=2.0,
        rounds=2,
    ),
    run=run,
    table=table,
    plot=plot,
)

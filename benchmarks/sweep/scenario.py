"""sweep: segments x workers x item size x latency, and the settings that it recommends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.framework.backends import sandbox
from benchmarks.framework.refire import Refire, own_place, real_place
from benchmarks.framework.scenario import Bench, Metrics, RealTable, Scenario
from benchmarks.framework.tables import TABLE, config, table_spec
from benchmarks.sweep.recommend import Cell, recommend
from benchmarks.sweep.report import plot, table


@dataclass(frozen=True, slots=True)
class Parameters:
    """Every combination is run once over `items` items, in a table at its default quota of `capacity` WCU.

    `share` of the fastest is good enough for a setting to be recommended.
    """

    segments: tuple[int, ...] = (1, 4, 16, 64, 256)
    workers: tuple[int, ...] = (4, 16, 32, 64, 128)
    item_bytes: tuple[int, ...] = (200, 1_000, 4_000)
    latencies_ms: tuple[int, ...] = (2, 8, 25)
    items: int = 50_000
    capacity: int = 40_000
    share: float = 0.95


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """One table per size and latency, one run of it per number of segments and workers."""
    if bench.real is not None:
        return _on_real(bench, parameters, bench.real)
    settings = [(segments, workers) for segments in parameters.segments for workers in parameters.workers]
    places = [(size, latency) for size in parameters.item_bytes for latency in parameters.latencies_ms]
    bench.steps.begin(len(settings) * len(places))
    cells = []
    for size, latency in places:
        spec = table_spec(parameters.items, size, wcu=parameters.capacity)
        with sandbox(config(spec, latency=f"{latency}ms")) as server:
            refire = Refire(bench.folder, own_place(TABLE, server.url, bench.folder))
            for segments, workers in settings:
                bench.steps.step(f"{size} B, {latency} ms: {segments} segments, {workers} workers")
                done = refire.run(*_options(segments, workers), "--max-wcu", str(parameters.capacity))
                cells.append(Cell(segments, workers, size, latency, float(done.summary["items_per_second"])))
    return _metrics(cells, parameters)


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
            cells.append(Cell(segments, workers, 0, 0, float(done.summary["items_per_second"])))
    return _metrics(cells, parameters)


def _metrics(cells: list[Cell], parameters: Parameters) -> Metrics:
    best = recommend(cells, parameters.share)
    advice: dict[str, Any] = {
        "segments": best.segments,
        "workers": best.workers,
        "worst_share": best.worst_share,
        "everywhere": best.worst_share >= parameters.share,
    }
    return {"cells": [cell.to_json() for cell in cells], "recommended": advice}


SCENARIO = Scenario(
    name="sweep",
    question="Which numbers of segments and workers are fast, whatever the items' size and the latency?",
    full=Parameters(),
    quick=Parameters(
        segments=(4, 32), workers=(4, 16, 64), item_bytes=(1_000,), latencies_ms=(2, 20), items=8_000
    ),
    run=run,
    table=table,
    plot=plot,
)

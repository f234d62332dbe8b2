"""scale: items per second, peak memory and checkpoint size as the table grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.framework import capacity
from benchmarks.framework.backends import sandbox
from benchmarks.framework.refire import Memory, Refire, Run, own_place, real_place, size_on_disk
from benchmarks.framework.scenario import Bench, Metrics, RealTable, Scenario
from benchmarks.framework.tables import TABLE, config, table_spec
from benchmarks.scale.report import plot, table

_POINTS = 200


@dataclass(frozen=True, slots=True)
class Parameters:
    """Tables of each of `counts` items, at the default quota of a table; `processes` of the program share the work."""

    counts: tuple[int, ...] = (100_000, 1_000_000, 10_000_000)
    capacity: int = 40_000
    item_bytes: int = 1_000
    processes: int = 1


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """One run per size."""
    if bench.real is not None:
        return _on_real(bench, bench.real)
    bench.steps.begin(len(parameters.counts))
    found = []
    for count in parameters.counts:
        bench.steps.step(f"{count:,} items")
        found.append(_measure(bench, parameters, count))
    return {"cases": found}


def _measure(bench: Bench, parameters: Parameters, count: int) -> dict[str, Any]:
    spec = table_spec(count, parameters.item_bytes, wcu=parameters.capacity)
    options = ["--max-wcu", str(parameters.capacity)]
    if parameters.processes > 1:
        options += ["--processes", str(parameters.processes)]
    with sandbox(config(spec)) as server:
        refire = Refire(
            bench.folder, own_place(TABLE, server.url, bench.folder), pinned=parameters.processes == 1
        )
        before_s = server.cpu_s
        done = refire.run(*options)
        server_cpu_s = server.cpu_s - before_s
        resource = capacity.resource(server.stats(), TABLE)
    assert done.usage is not None  # noqa: S101 - it has ended
    return {
        **_figures(done),
        "throttled_share": capacity.throttled_share(capacity.seconds(resource)),
        "engine_cpu_share": done.usage.cpu_s / done.usage.wall_s,
        "backend_cpu_share": server_cpu_s / done.usage.wall_s,
    }


def _figures(done: Run) -> dict[str, Any]:
    """What is known of every run."""
    return {
        "items": done.summary["scanned"],
        "touched": done.summary["touched"],
        "seconds": done.run_time_s,
        "items_per_s": done.summary["items_per_second"],
        "peak_bytes": done.peak_bytes,
        "checkpoint_peak_bytes": done.checkpoint_bytes,
        "checkpoint_bytes": size_on_disk(done.checkpoint),
        "memory": [[point.seconds, point.rss_bytes] for point in thinned(done.memory, _POINTS)],
    }


def thinned(points: Sequence[Memory], most: int) -> list[Memory]:
    """At most about `most` of the points, evenly spaced, the last one included."""
    step = max(1, len(points) // most)
    return [*points[:-1:step], *points[-1:]]


def _on_real(bench: Bench, real: RealTable) -> Metrics:
    bench.steps.begin(1)
    bench.steps.step(f"up to {real.max_items:,} items")
    refire = Refire(bench.folder, real_place(real))
    return {"cases": [_figures(refire.run("--max-items", str(real.max_items), codes=(0, 3)))]}


SCENARIO = Scenario(
    name="scale",
    question="Do speed, memory and the checkpoint's size stay the same when the table grows?",
    full=Parameters(),
    quick=Parameters(counts=(30_000, 240_000)),
    run=run,
    table=table,
    plot=plot,
)

"""sandbox_throughput: items per second of one sandbox process, by wall clock and by CPU."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.framework.backends import Sandbox, sandbox
from benchmarks.framework.process import cores
from benchmarks.framework.scenario import Bench, Metrics, Scenario
from benchmarks.framework.tables import NEVER_S
from benchmarks.sandbox_throughput import client
from benchmarks.sandbox_throughput.report import plot, table
from refire_async.sandbox import SandboxConfig

_PROJECTION = {"ProjectionExpression": "pk, sk, revision", "ReturnConsumedCapacity": "TOTAL"}
_SEGMENTS = 32

Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Parameters:
    """A table of `items`, each scanned twice and touched twice in batches; a quarter of them touched one by one."""

    items: int = 200_000
    item_bytes: int = 200
    connections: int = 8


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """Make all requests, then send them, kind by kind. The client is this process, on a core of its own."""
    singles = parameters.items // 4
    steps: list[tuple[str, int]] = [
        ("scan", parameters.items),
        ("scan, keys and marker", parameters.items),
        ("PartiQL batches, marker missing", parameters.items),
        ("PartiQL batches, marker there", parameters.items),
        ("UpdateItem", singles),
    ]
    bench.steps.begin(len(steps) + 1)
    bench.steps.step("making requests")
    tables = (client.table(parameters.items, parameters.item_bytes),)
    first = client.batches(parameters.items, client.STATEMENT, "1")
    again = client.batches(parameters.items, client.AGAIN, "2", "1")
    updates = client.updates(singles)
    found = []
    with sandbox(SandboxConfig(tables=tables, split_after=NEVER_S)) as server, _pinned():
        port, wires = server.port, parameters.connections
        work: list[Work] = [
            partial(client.scan_all, port, _SEGMENTS, {}, wires),
            partial(client.scan_all, port, _SEGMENTS, _PROJECTION, wires),
            partial(client.send_all, port, iter(first), wires),
            partial(client.send_all, port, iter(again), wires),
            partial(client.send_all, port, iter(updates), wires),
        ]
        for (name, items), task in zip(steps, work, strict=True):
            bench.steps.step(name)
            found.append({"case": name, **_measure(server, items, task)})
    return {"cases": found}


def _measure(server: Sandbox, items: int, work: Work) -> dict[str, float]:
    wall_s, cpu_s = time.perf_counter(), server.cpu_s
    asyncio.run(work())
    wall_s, cpu_s = time.perf_counter() - wall_s, server.cpu_s - cpu_s
    return {"items": items, "items_per_s": items / wall_s, "items_per_cpu_s": items / cpu_s}


class _pinned:  # noqa: N801 - reads like a function where it is used
    """This process on the client's core for the time of the block."""

    def __enter__(self) -> None:
        self._before = os.sched_getaffinity(0)
        client_core = cores().client
        if client_core is not None:
            os.sched_setaffinity(0, client_core)

    def __exit__(self, *_: object) -> None:
        os.sched_setaffinity(0, self._before)


SCENARIO = Scenario(
    name="sandbox_throughput",
    question="How much can one sandbox process serve, so that a benchmark against it measures refire and not it?",
    full=Parameters(),
    quick=Parameters(items=40_000),
    run=run,
    table=table,
    plot=plot,
    on_real=False,
)

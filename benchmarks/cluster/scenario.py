"""cluster: several tasks on one checkpoint table, against a backend that answers at once and against a paced table."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.cluster.report import plot, table
from benchmarks.framework import capacity
from benchmarks.framework.backends import Sandbox, null_backend, own_environment, sandbox
from benchmarks.framework.null_backend import NullTable
from benchmarks.framework.process import Child
from benchmarks.framework.refire import Refire, Run, own_place
from benchmarks.framework.scenario import Bench, BenchmarkError, Metrics, Scenario
from benchmarks.framework.statistics import interleave, paired_ratio, spread
from benchmarks.framework.tables import TABLE, config, table_spec
from refire_async.sandbox import SandboxConfig

STORE = "refire-runs"
UNITS = 10_000_000
"""Units per second that the engine is given: its budget is at work and never the limit."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Each of `counts` tasks touches `items` items per task, in each of `rounds` rounds.

    Then `lost_tasks` tasks share `lost_wcu` write units per second for about `lost_seconds`. One of them is killed
    after a third of the time, and started again `back_after_s` later. `lost_tasks` 0 leaves this out.
    """

    counts: tuple[int, ...] = (1, 2, 4, 8)
    items: int = 400_000
    rounds: int = 3
    segments: int = 64
    lost_tasks: int = 4
    lost_wcu: int = 4_000
    lost_seconds: float = 60.0
    back_after_s: float = 5.0


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """All counts in turn, round after round, with one task on a file as well; then the loss of a task."""
    names = {"file": 0, **{str(count): count for count in parameters.counts}}
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    bench.steps.begin(len(names) * parameters.rounds + bool(parameters.lost_tasks))
    for number, order in enumerate(interleave(tuple(names), parameters.rounds), 1):
        for name in order:
            bench.steps.step(f"{name} tasks, round {number} of {parameters.rounds}")
            measured[name].append(_measure(bench, parameters, names[name], f"{name}-{number}"))
    one = measured[str(parameters.counts[0])]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cases": [_case(count, measured[name], one) for name, count in names.items()],
        "lost": _lose_one(bench, parameters) if parameters.lost_tasks else None,
    }


def _case(count: int, found: Sequence[dict[str, float]], one: Sequence[dict[str, float]]) -> dict[str, Any]:
    """One number of tasks against the first one; `tasks` 0 is one task on a file."""
    names = ("cpu_us_per_item", "items_per_s", "store_wcu_per_item")
    return {
        "tasks": count,
        **{name: spread([case[name] for case in found]).to_json() for name in names},
        "efficiency": paired_ratio(
            [case["cpu_us_per_item"] for case in one], [case["cpu_us_per_item"] for case in found]
        ).to_json(),
    }


def _measure(bench: Bench, parameters: Parameters, count: int, run_id: str) -> dict[str, float]:
    """CPU of all tasks together, and what the checkpoint table consumed. `count` 0: one task on a file."""
    target = NullTable("hash", "present", parameters.items * max(1, count))
    options = ["--max-wcu", str(UNITS), "--max-rcu", str(UNITS), "--segments", str(parameters.segments)]
    with (
        sandbox(SandboxConfig()) as server,
        null_backend("benchmarks.cluster.backend", server.url) as backend,
    ):
        refire = Refire(bench.folder, own_place(target.name, backend.url, bench.folder), pinned=False)
        if not count:
            done = [refire.run(*options)]
        else:
            create_store(bench, server.url)
            done = tasks_of(refire, run_id, count, options)
        store_wcu = consumed(server) if count else 0.0
    items = target.count
    usages = [run.usage for run in done if run.usage is not None]
    return {
        "cpu_us_per_item": sum(usage.cpu_s for usage in usages) / items * 1e6,
        "items_per_s": items / max(usage.wall_s for usage in usages),
        "store_wcu_per_item": store_wcu / items,
    }


def create_store(bench: Bench, url: str) -> None:
    """`refire checkpoint-table create`. Raises BenchmarkError."""
    words = [sys.executable, "-m", "refire_async", "checkpoint-table", "create", STORE, "--endpoint-url", url]
    with Child([*words, "--yes"], env=own_environment(bench.folder)) as child:
        if (code := child.wait(60.0).code) != 0:
            raise BenchmarkError(f"the checkpoint table was not created: exit code {code}")


def tasks_of(refire: Refire, run_id: str, count: int, options: Sequence[str]) -> list[Run]:
    """All tasks of a run at once, to their ends."""
    with ExitStack() as stack:
        runs = [
            stack.enter_context(start_task(refire, run_id, task, count, options)) for task in range(count)
        ]
        for one in runs:
            one.finish((0,))
    return runs


def start_task(
    refire: Refire, run_id: str, task: int, count: int, options: Sequence[str]
) -> AbstractContextManager[Run]:
    """Start one task of a run."""
    place = f"dynamodb://{STORE}/{run_id}"
    return refire.start("--tasks", str(count), "--task", str(task), *options, address=place)


def _lose_one(bench: Bench, parameters: Parameters) -> Metrics:
    """The budget that the tasks use before one of them is killed, while it is away, and when it is back."""
    bench.steps.step("a task is lost")
    wcu, count = parameters.lost_wcu, parameters.lost_tasks
    spec = table_spec(int(wcu * parameters.lost_seconds), 1_000, wcu=2 * wcu)
    options = ["--max-wcu", str(wcu), "--segments", str(parameters.segments)]
    with sandbox(config(spec)) as server, ExitStack() as stack:
        create_store(bench, server.url)
        refire = Refire(bench.folder, own_place(TABLE, server.url, bench.folder), pinned=False)
        runs = [
            stack.enter_context(start_task(refire, "lost", task, count, options)) for task in range(count)
        ]
        time.sleep(parameters.lost_seconds / 3)  # all tasks use their shares for a while
        runs[0].signal(signal.SIGKILL)
        killed = _second(server)
        time.sleep(parameters.back_after_s)  # its lease ends, and the others use its share
        runs[0] = stack.enter_context(start_task(refire, "lost", 0, count, options))
        # The others use its share once its lease has ended, and end when their segments are done.
        for one in runs[1:]:
            one.finish((0,))
        others_done = _second(server)
        runs[0].finish((0,))
        found = capacity.seconds(capacity.resource(server.stats(), TABLE))
    return {
        "tasks": count,
        "budget_wcu": wcu,
        "killed_at": killed - found[0].second,
        **_shares(found, killed, others_done, wcu),
    }


def _shares(found: Sequence[capacity.Second], killed: int, done: int, wcu: int) -> Metrics:
    """Shares of the budget that were used up to `killed`, then until its share is used again, and then up to `done`.

    Seconds. Pure. Raises BenchmarkError if there is no second for one of them.
    """
    before = [one for one in capacity.steady(found) if one.second < killed]
    after = [one for one in found if killed + 2 <= one.second < done - 1]
    back = next((one.second for one in after if one.write > 0.9 * wcu), done)
    parts = {
        "used_before": before,
        "used_while_lost": [one for one in after if one.second < back],
        "used_after": [one for one in after if one.second > back],
    }
    for name, part in parts.items():
        if not part:
            raise BenchmarkError(f"no second to measure {name}; give more lost_seconds, on a quiet machine")
    return {
        **{name: capacity.used_share(part, wcu) for name, part in parts.items()},
        "peak_share": capacity.peak_share(found, wcu),
        "lost_s": back - killed,
        "per_second": capacity.per_second(found),
    }


def _second(server: Sandbox) -> int:
    """The second in which the table was written last, by the sandbox's clock."""
    return capacity.seconds(capacity.resource(server.stats(), TABLE))[-1].second


def consumed(server: Sandbox) -> float:
    """Write units of the checkpoint table."""
    return capacity.written(capacity.resource(server.stats(), STORE))


SCENARIO = Scenario(
    name="cluster",
    question="What do several tasks on one checkpoint table cost, and what do they use while one of them is lost?",
    full=Parameters(),
    quick=Parameters(counts=(1, 2), items=100_000, rounds=1, lost_tasks=0),
    run=run,
    table=table,
    plot=plot,
    on_real=False,
)

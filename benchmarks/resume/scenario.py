"""resume: stop a run at 10, 50 and 90%, go on, and let the stream judge."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any

from benchmarks.framework import capacity
from benchmarks.framework.backends import Sandbox, sandbox
from benchmarks.framework.refire import Refire, Run, own_place, real_place
from benchmarks.framework.scenario import Bench, BenchmarkError, Metrics, RealTable, Scenario, choice
from benchmarks.framework.stream import judge
from benchmarks.framework.tables import TABLE, config, table_spec
from benchmarks.resume.report import plot, table

_SIGNALS = {"kill": (signal.SIGKILL, -9), "term": (signal.SIGTERM, 3)}


@dataclass(frozen=True, slots=True)
class Parameters:
    """Each way to stop (`kill`: SIGKILL, `term`: SIGTERM), at each of `shares` of the items."""

    items: int = 300_000
    capacity: int = 10_000
    shares: tuple[float, ...] = (0.1, 0.5, 0.9)
    ways: tuple[str, ...] = ("kill", "term")
    item_bytes: int = 1_000


@dataclass(frozen=True, slots=True)
class _Whole:
    """A run from start to end: what it read and how long it took, over all its attempts."""

    read_units: float
    wall_s: float
    case: dict[str, Any]


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """One run that is left alone, then one for each way and share."""
    if bench.real is not None:
        return _on_real(bench, parameters, bench.real)
    cases = [(way, share) for way in parameters.ways for share in parameters.shares]
    bench.steps.begin(len(cases) + 1)
    bench.steps.step("left alone")
    alone = _measure(bench, parameters, None)
    found = []
    for way, share in cases:
        bench.steps.step(f"{way} at {share:.0%}")
        stopped = _measure(bench, parameters, (way, share))
        extra_units = max(0.0, stopped.read_units - alone.read_units)
        found.append(
            {
                **stopped.case,
                "read_again_rcu": extra_units,
                "read_again": round(items_of(extra_units, alone.read_units, parameters.items)),
                "extra_s": stopped.wall_s - alone.wall_s,
            }
        )
    return {"alone": {"seconds": alone.wall_s, "read_rcu": alone.read_units, **alone.case}, "cases": found}


def items_of(extra_units: float, whole_units: float, items: int) -> float:
    """How many items can be read for `extra_units`, where reading all of them once takes `whole_units`. Pure."""
    return extra_units / (whole_units / items)


def _measure(bench: Bench, parameters: Parameters, stop: tuple[str, float] | None) -> _Whole:
    spec = table_spec(parameters.items, parameters.item_bytes, wcu=parameters.capacity)
    with sandbox(config(spec)) as server:
        refire = Refire(bench.folder, own_place(TABLE, server.url, bench.folder))
        case: dict[str, Any] = {}
        wall_s = 0.0
        if stop is None:
            last = refire.run()
        else:
            way, share = stop
            first = _stopped(refire, server, way, int(share * parameters.items))
            wall_s += _wall_s(first)
            case = {"way": way, "share": share, "touched_before": capacity.written(_resource(server))}
            case["seconds_before"] = wall_s
            last = refire.run(checkpoint=first.checkpoint, resume=True)
        wall_s += _wall_s(last)
        verdict = judge(server.url, TABLE, parameters.items)
        read_units = capacity.read(_resource(server))
    case |= {
        "touched_twice": verdict.twice,
        "missing": verdict.missing,
        "scanned": last.summary["scanned"],
        "touched": last.summary["touched"],
        "already": last.summary["already"],
    }
    return _Whole(read_units, wall_s, case)


def _stopped(refire: Refire, server: Sandbox, way: str, items: int) -> Run:
    """An attempt that is stopped once `items` are written."""
    number, code = choice(_SIGNALS, way)
    with refire.start() as run:
        run.wait_until(lambda: capacity.written(_resource(server)) >= items)
        run.signal(number)
        run.finish((code,))
        return run


def _resource(server: Sandbox) -> dict[str, Any]:
    return capacity.resource(server.stats(), TABLE)


def _wall_s(run: Run) -> float:
    if run.usage is None:
        raise BenchmarkError("the run has not ended")
    return run.usage.wall_s


def _on_real(bench: Bench, parameters: Parameters, real: RealTable) -> Metrics:
    """Stopped by --max-items. Its stream has other writers' records too: `refire verify` judges that."""
    bench.steps.begin(len(parameters.shares) + 1)
    refire = Refire(bench.folder, real_place(real))
    bench.steps.step("left alone")
    alone = refire.run("--max-items", str(real.max_items), codes=(0, 3))
    found = []
    for share in parameters.shares:
        bench.steps.step(f"stopped at {share:.0%}")
        part = max(1, int(share * real.max_items))
        first = refire.run("--max-items", str(part), codes=(3,))
        rest = str(max(1, real.max_items - part))
        last = refire.run("--max-items", rest, codes=(0, 3), checkpoint=first.checkpoint, resume=True)
        extra_units = max(0.0, last.summary["rcu"] - alone.summary["rcu"])
        found.append(
            {
                "way": "max-items",
                "share": share,
                "touched_before": first.summary["touched"],
                "touched": last.summary["touched"],
                "already": last.summary["already"],
                "scanned": last.summary["scanned"],
                "read_again_rcu": extra_units,
                "read_again": round(items_of(extra_units, alone.summary["rcu"], alone.summary["scanned"])),
                "extra_s": _wall_s(first) + _wall_s(last) - _wall_s(alone),
            }
        )
    return {"alone": {"seconds": _wall_s(alone), "read_rcu": alone.summary["rcu"]}, "cases": found}


SCENARIO = Scenario(
    name="resume",
    question="What does it cost to stop a run and go on: items read again, items touched twice, time?",
    full=Parameters(),
    quick=Parameters(items=16_000, capacity=5_000, ways=("kill",)),
    run=run,
    table=table,
    plot=plot,
)

"""small_machine: speed and memory of a run in control groups like those of small containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.framework import capacity
from benchmarks.framework.backends import sandbox
from benchmarks.framework.limits import limited
from benchmarks.framework.refire import Refire, own_place
from benchmarks.framework.scenario import Bench, Metrics, Scenario
from benchmarks.framework.tables import TABLE, config, table_spec
from benchmarks.small_machine.report import plot, table

_MIB = 1 << 20
_TABLE_WCU = 40_000


@dataclass(frozen=True, slots=True)
class Parameters:
    """A paced run in a container of `paced_cpus`, then one without a limit of its own in each of `cpus`.

    Each has items for about `seconds`: at `paced_wcu`, or at `items_per_core_s` times the CPU share.
    """

    paced_cpus: float = 0.25
    paced_wcu: int = 2_000
    cpus: tuple[float, ...] = (0.25, 0.5, 1.0)
    memory_mib: int = 512
    seconds: float = 30.0
    items_per_core_s: int = 30_000
    item_bytes: int = 1_000


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """One run per container."""
    cases = [
        (parameters.paced_cpus, parameters.paced_wcu, int(parameters.paced_wcu * parameters.seconds)),
        *(
            (cpus, _TABLE_WCU, int(cpus * parameters.items_per_core_s * parameters.seconds))
            for cpus in parameters.cpus
        ),
    ]
    bench.steps.begin(len(cases))
    found = []
    for cpus, wcu, items in cases:
        bench.steps.step(f"{cpus:g} CPU, {parameters.memory_mib} MiB, {wcu:,} WCU/s")
        found.append(_measure(bench, parameters, cpus, wcu, items))
    return {"cases": found}


def _measure(bench: Bench, parameters: Parameters, cpus: float, wcu: int, items: int) -> dict[str, Any]:
    spec = table_spec(items, parameters.item_bytes, wcu=_TABLE_WCU)
    with sandbox(config(spec)) as server, limited(cpus, parameters.memory_mib * _MIB) as group:
        refire = Refire(bench.folder, own_place(TABLE, server.url, bench.folder), joins=group.joins)
        before_s = server.cpu_s
        done = refire.run("--max-wcu", str(wcu))
        server_cpu_s = server.cpu_s - before_s
        throttled_share, charged_bytes = group.throttled_share(), group.peak_bytes()
        found = capacity.seconds(capacity.resource(server.stats(), TABLE))
    assert done.usage is not None  # noqa: S101 - it has ended
    steady = capacity.steady(found)
    return {
        "cpus": cpus,
        "memory_mib": parameters.memory_mib,
        "budget_wcu": wcu,
        "items": items,
        "touched": done.summary["touched"],
        "items_per_s": done.summary["items_per_second"],
        "seconds": done.run_time_s,
        "used_share": capacity.used_share(steady, wcu),
        "peak_share": capacity.peak_share(steady, wcu),
        "cpu_share": done.usage.cpu_s / done.usage.wall_s,
        "backend_cpu_share": server_cpu_s / done.usage.wall_s,
        "start_s": done.usage.wall_s - done.run_time_s,
        "stopped_share": throttled_share,
        "peak_bytes": done.peak_bytes,
        "charged_bytes": charged_bytes,
        "per_second": capacity.per_second(found),
    }


SCENARIO = Scenario(
    name="small_machine",
    question="How fast is a run in a small container, and what is the least container for a budget?",
    full=Parameters(),
    quick=Parameters(cpus=(0.5,), seconds=5.0),
    run=run,
    table=table,
    plot=plot,
    on_real=False,
)

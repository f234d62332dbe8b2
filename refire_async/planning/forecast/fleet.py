"""A run on several machines: tasks, workers, their limits and their price. Pure.

Measured parts name their benchmark; what AWS decides (start of a worker) is an assumption and says so.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refire_async.model.capacity import PARTITION_WCU
from refire_async.planning.forecast.cost import Prices
from refire_async.settings import FleetPlace

WCU_PER_TASK = 20_000.0
"""Write units per second of one task: half of what a process does on half of a core, so that a bill stays small and a
lost task is a small part of the run."""

CPU_US_PER_ITEM = 8.1
"""CPU of a process per item, microseconds (benchmarks/results/processes.json)."""

CPU_SHARE = 0.5
"""Share of a vCPU that a task may use: vCPUs differ, and the other half is for pages in doubt and slow neighbours."""

PAGE_ITEMS = 500
"""Items of a page, of which each is one entry of the store."""

STORE_KEYS = 16
"""Partition keys over which a run spreads its segments in a checkpoint table; each takes `PARTITION_WCU`."""

PAGE_WCU = 20.0
"""Write units of a page in a checkpoint table: its compressed keys and markers, and its segment's item. Measured with
the benchmark `cluster`: 4.3 for keys that count up (1.3 KB a page); 500 UUIDs take 12 KB, pairs of them 27 KB."""

ARCHIVED_PAGE_WCU = 2.0
"""The same where pages lie in S3: the segment's item alone."""

DEFAULT_QUOTA_WCU = 40_000.0
"""Write units per second of a table, unless Service Quotas granted more (DynamoDB Developer Guide: Quotas)."""

_HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A service that runs tasks.

    A worker has `vcpus` and `gigabytes`, or `dpus`, and runs `tasks` at once. `driver_vcpus` and `driver_gigabytes` are
    those of a Spark driver; `drivers` counts workers that it takes. `start_s` is an assumption about the time from the
    request to the first line of the program; services bill seconds, at least `least_s` of them.
    """

    worker: str
    tasks: int
    vcpus: float = 0.0
    gigabytes: float = 0.0
    dpus: float = 0.0
    drivers: int = 0
    driver_vcpus: float = 0.0
    driver_gigabytes: float = 0.0
    start_s: float
    least_s: float = 60.0


PLACES: Mapping[FleetPlace, Place] = {
    "ecs": Place(worker="Fargate, 1 vCPU, 2 GB", tasks=1, vcpus=1, gigabytes=2, start_s=60.0),
    "batch": Place(worker="Fargate, 1 vCPU, 2 GB", tasks=1, vcpus=1, gigabytes=2, start_s=120.0),
    # A driver is one more worker of the same type (Glue Developer Guide: Worker types).
    "glue": Place(worker="G.1X, 4 vCPU, 16 GB", tasks=4, dpus=1, drivers=1, start_s=60.0),
    "emr": Place(
        worker="EMR Serverless, 4 vCPU, 8 GB",
        tasks=4,
        vcpus=4,
        gigabytes=8,
        driver_vcpus=2,
        driver_gigabytes=4,
        start_s=120.0,
    ),
}
"""Every place of `refire plan --on`."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """`tasks` of a run `on` a place (None: machines of your own), with pages in S3 if `archive`."""

    tasks: int
    on: FleetPlace | None
    archive: bool

    @property
    def workers(self) -> int:
        """Machines, with that of a Spark driver where it is one of them."""
        place = PLACES[self.on] if self.on else None
        return self.tasks if place is None else math.ceil(self.tasks / place.tasks) + place.drivers

    @property
    def page_wcu(self) -> float:
        """Write units of the checkpoint table for a page."""
        return ARCHIVED_PAGE_WCU if self.archive else PAGE_WCU

    def limits(self) -> dict[str, float]:
        """Items per second that the tasks and the checkpoint table can do, by what limits them."""
        return {
            f"the CPU of {self.tasks:,} task{'' if self.tasks == 1 else 's'}": self.tasks * task_rate(),
            "the checkpoint table": store_rate(self.page_wcu),
        }


@dataclass(frozen=True, slots=True)
class FleetCost:
    """The time of a fleet in seconds, with the start of its workers, and US dollars; `compute` None: not known."""

    seconds: float
    compute: float | None
    store: float

    @property
    def total(self) -> float:
        """The sum of what is known."""
        return (self.compute or 0.0) + self.store


def task_rate() -> float:
    """Items per second of one task on one vCPU."""
    return CPU_SHARE * 1e6 / CPU_US_PER_ITEM


def store_rate(page_wcu: float) -> float:
    """Items per second that the segments of one run take in a checkpoint table."""
    return STORE_KEYS * PARTITION_WCU / page_wcu * PAGE_ITEMS


def process_rate() -> float:
    """Items per second of one process on a core of its own."""
    return 1e6 / CPU_US_PER_ITEM


def choose_fleet(write_rate: float, items_rate: float, tasks: int | None, on: FleetPlace | None) -> Fleet:
    """The tasks for `write_rate` units per second, that could be `items_rate` items; their pages go to S3 where the
    checkpoint table would be the limit."""
    wanted = tasks or max(1, math.ceil(write_rate / WCU_PER_TASK))
    needed = min(items_rate, wanted * task_rate())
    return Fleet(wanted, on, archive=needed > store_rate(PAGE_WCU))


def fleet_cost(fleet: Fleet, items: float, run_s: float, prices: Prices) -> FleetCost:
    """What `fleet` costs for a run of `items` in `run_s` seconds, beside the run's own units."""
    pages = items / PAGE_ITEMS
    store = pages * fleet.page_wcu * prices.write_million / 1e6
    if fleet.archive:
        store += pages * prices.put_million / 1e6
    if fleet.on is None:
        return FleetCost(run_s, None, store)
    place = PLACES[fleet.on]
    seconds = run_s + place.start_s
    billed_h = max(seconds, place.least_s) / _HOUR_S
    if place.dpus:
        hourly = fleet.workers * place.dpus * prices.glue_dpu_hour
    else:
        vcpu, gigabyte = (
            (prices.emr_vcpu_hour, prices.emr_gb_hour)
            if fleet.on == "emr"
            else (prices.fargate_vcpu_hour, prices.fargate_gb_hour)
        )
        hourly = (fleet.workers * place.vcpus + place.driver_vcpus) * vcpu
        hourly += (fleet.workers * place.gigabytes + place.driver_gigabytes) * gigabyte
    return FleetCost(seconds, billed_h * hourly, store)


def fleet_json(fleet: Fleet, cost: FleetCost) -> dict[str, Any]:
    """The member `cluster` of a plan (docs/scripting.md)."""
    return {
        "on": fleet.on,
        "tasks": fleet.tasks,
        "workers": fleet.workers,
        "worker": PLACES[fleet.on].worker if fleet.on else None,
        "archive": fleet.archive,
        "seconds": round(cost.seconds, 1),
        "compute_usd": None if cost.compute is None else round(cost.compute, 4),
        "checkpoint_usd": round(cost.store, 4),
    }

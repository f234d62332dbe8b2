"""A plan: load, rates, cost and backlog together. Pure."""

import math
from dataclasses import dataclass, replace
from typing import Any

from refire_async.model.table import BillingMode
from refire_async.planning.forecast.backlog import Backlog
from refire_async.planning.forecast.cost import DEFAULT_PRICES, Cost, Prices, cost
from refire_async.planning.forecast.duration import Duration, Rates, duration
from refire_async.planning.forecast.fleet import (
    Fleet,
    FleetCost,
    choose_fleet,
    fleet_cost,
    fleet_json,
    process_rate,
)
from refire_async.planning.forecast.load import Load
from refire_async.settings import FleetSettings

STARTUP_S = 0.2
"""Seconds for the description, connections and first pages (measured on one core, with a nearby server)."""

ONE_PROCESS = "the CPU of one process"

SHARES = (0.1, 0.25, 0.5, 0.8, 1.0)
"""Shares of the table's capacity for which a plan shows the duration."""


@dataclass(frozen=True, slots=True)
class ConsumerRate:
    """The consumers of the stream: `rate` in records/s together (None: unknown), `batch` records per Lambda request."""

    rate: float | None = None
    batch: int = 100


@dataclass(frozen=True, slots=True)
class Settings:
    """The recommended settings of the run."""

    segments: int
    workers: int
    max_wcu: float
    max_rate: float | None
    processes: int = 1

    def to_json(self) -> dict[str, Any]:
        """By the names of the options."""
        return {
            "segments": self.segments,
            "workers": self.workers,
            "processes": self.processes,
            "max_wcu": round(self.max_wcu, 1),
            "max_rate": None if self.max_rate is None else round(self.max_rate, 1),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The forecast of a run. `others` are durations at shares of the table's whole capacity.

    `fleet` and `fleet_cost` are those of a run by several tasks. `duration` is without the start of their machines.
    """

    load: Load
    rates: Rates
    duration: Duration
    cost: Cost
    prices: Prices
    records: int
    shards: int
    settings: Settings
    others: tuple[tuple[float, float], ...]
    backlog: Backlog | None
    fleet: Fleet | None = None
    fleet_cost: FleetCost | None = None

    def to_json(self) -> dict[str, Any]:
        """The documented fields, in their order (docs/scripting.md)."""
        cluster = {}
        if self.fleet is not None and self.fleet_cost is not None:
            cluster["cluster"] = fleet_json(self.fleet, self.fleet_cost)
        return {
            "items": self.load.items,
            "item_bytes_mean": round(self.load.item_bytes, 1),
            "wcu": round(self.load.wcu, 1),
            "rcu": round(self.load.rcu, 1),
            "seconds": round(self.duration.seconds, 1),
            "cost_usd": round(self.cost.total, 4),
            "records": self.records,
            "bound_by": self.duration.bound_by,
            "settings": self.settings.to_json(),
            **cluster,
        }


def make_plan(
    load: Load,
    rates: Rates,
    capacity: Rates,
    *,
    billing: BillingMode,
    shards: int,
    settings: Settings,
    consumers: ConsumerRate,
    prices: Prices = DEFAULT_PRICES,
    regions: int = 1,
    fleet_settings: FleetSettings | None = None,
) -> Plan:
    """The plan at `rates`, what the run may consume; `capacity` is what the table has."""
    fleet = _choose_fleet(load, rates, fleet_settings)
    machines = {ONE_PROCESS: process_rate()} if fleet is None else fleet.limits()
    rates, capacity = replace(rates, machines=machines), replace(capacity, machines=machines)
    taken = _with_start(load, rates)
    records = load.items * regions
    backlog = None
    if consumers.rate is not None and load.items:
        backlog = Backlog(load.items, taken.seconds, consumers.rate)
        if (rate := backlog.safe_rate()) is not None:
            settings = Settings(
                settings.segments, settings.workers, settings.max_wcu, rate, settings.processes
            )
    others = tuple((share, _with_start(load, capacity.scaled(share)).seconds) for share in SHARES)
    return Plan(
        load=load,
        rates=rates,
        duration=taken,
        cost=cost(
            load.wcu,
            load.rcu,
            billing,
            prices=prices,
            lambda_requests=math.ceil(load.items / consumers.batch),
            regions=regions,
        ),
        prices=prices,
        records=records,
        shards=shards,
        settings=settings,
        others=others,
        backlog=backlog,
        fleet=fleet,
        fleet_cost=None if fleet is None else fleet_cost(fleet, load.items, taken.seconds, prices),
    )


def _choose_fleet(load: Load, rates: Rates, wanted: FleetSettings | None) -> Fleet | None:
    if wanted is None:
        return None
    alone = duration(load, rates).seconds
    items_rate = load.items / alone if alone else 0.0
    return choose_fleet(min(rates.write.values()), items_rate, wanted.tasks, wanted.on)


def _with_start(load: Load, rates: Rates) -> Duration:
    found = duration(load, rates)
    return Duration(found.seconds + STARTUP_S, found.bound_by)

"""A plan: load, pace, cost and backlog put together. Pure."""

import math
from dataclasses import dataclass
from typing import Any

from refire_async.model.table import BillingMode
from refire_async.planning.forecast.backlog import Backlog
from refire_async.planning.forecast.cost import DEFAULT_PRICES, Cost, Prices, cost
from refire_async.planning.forecast.duration import Duration, Rates, duration
from refire_async.planning.forecast.load import Load

STARTUP_S = 0.2
"""Looking at the table, connecting, the first pages (measured on one core beside a server nearby)."""

SHARES = (0.1, 0.25, 0.5, 0.8, 1.0)
"""Other rates that a plan shows: shares of what the table has."""


@dataclass(frozen=True, slots=True)
class Consumers:
    """Who reads the stream: `rate` records per second together (None: unknown), `batch` records per Lambda request."""

    rate: float | None = None
    batch: int = 100


@dataclass(frozen=True, slots=True)
class Settings:
    """What the plan recommends to run with."""

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
    """What a run would do. `others` are durations at shares of the table's whole capacity."""

    load: Load
    pace: Rates
    duration: Duration
    cost: Cost
    prices: Prices
    records: int
    shards: int
    settings: Settings
    others: tuple[tuple[float, float], ...]
    backlog: Backlog | None

    def to_json(self) -> dict[str, Any]:
        """The documented fields, in their order (docs/scripting.md)."""
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
        }


def make_plan(
    load: Load,
    pace: Rates,
    capacity: Rates,
    *,
    billing: BillingMode,
    shards: int,
    settings: Settings,
    consumers: Consumers,
    prices: Prices = DEFAULT_PRICES,
    regions: int = 1,
) -> Plan:
    """`pace` is what the run may consume, `capacity` what the table has."""
    taken = _with_start(load, pace)
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
        pace=pace,
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
    )


def _with_start(load: Load, pace: Rates) -> Duration:
    found = duration(load, pace)
    return Duration(found.seconds + STARTUP_S, found.bound_by)

"""A plan: load, rates, cost and backlog together. Pure."""

import math
from dataclasses import dataclass
from typing import Any

from refire_async.model.table import BillingMode
from refire_async.planning.forecast.backlog import Backlog
from refire_async.planning.forecast.cost import DEFAULT_PRICES, Cost, Prices, cost
from refire_async.planning.forecast.duration import Duration, Rates, duration
from refire_async.planning.forecast.load import Load

STARTUP_S = 0.2
"""Seconds for the description, connections and first pages (measured on one core, with a nearby server)."""

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
    """The forecast of a run. `others` are durations at shares of the table's whole capacity."""

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
    rates: Rates,
    capacity: Rates,
    *,
    billing: BillingMode,
    shards: int,
    settings: Settings,
    consumers: ConsumerRate,
    prices: Prices = DEFAULT_PRICES,
    regions: int = 1,
) -> Plan:
    """The plan at `rates`, what the run may consume; `capacity` is what the table has."""
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
    )


def _with_start(load: Load, rates: Rates) -> Duration:
    found = duration(load, rates)
    return Duration(found.seconds + STARTUP_S, found.bound_by)

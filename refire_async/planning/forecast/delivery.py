"""The invocations, time and cost of a replay or redrive. Pure; for its question, its dry run and `refire plan`."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from refire_async.planning.forecast.cost import DEFAULT_PRICES, Prices

MAX_EVENT_BYTES = 6_000_000
"""Bytes of an event at most (Lambda Developer Guide: quotas: 6 MB of payload)."""

RECORDS_PER_CALL, BYTES_PER_CALL = 1_000, 1 << 20
"""Most records and bytes of an answer (DynamoDB API reference: GetRecords)."""

READS = 2
"""A replay reads its records twice: to count them before it asks, and to deliver them."""

RECORDS_PER_S = 40_000.0
"""Records per second that one process delivers: `benchmarks run replay` measures 75,000 on a quiet core for records of
2.3 KB, 29,000 on a busy one."""

DEFAULT_CONCURRENCY = 10

FUNCTION = "the function at this concurrency"
LANES = "the lanes of the shards (--parallelization)"
RATE = "--max-rate"
PROCESS = "this process"
READING = "reading the shards"

MOST_PARALLELIZATION = 10

SHARD_CALLS_S, SHARD_BYTES_S = 5, 2 << 20
"""Calls of GetRecords, and bytes, per second and shard: not in AWS's documentation, from its support on GitHub
(aws-sdk-java-v2, issue 470)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLoad:
    """What is to be delivered.

    `busiest_lane` is the number of invocations in the lane with most of them, 0 if unknown. `reads`: how often the
    stream is read, 0 where the records are elsewhere.
    """

    records: int
    size_bytes: int
    invocations: int
    busiest_lane: int = 0
    reads: int = READS


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySpeed:
    """How it is delivered: `batch_s` seconds for an invocation, at most `concurrency` at a time, and for each shard
    at most `parallelization`. The records are spread over the shards evenly.

    None: unknown, or without limit. `memory_mb` is the function's.
    """

    concurrency: int = DEFAULT_CONCURRENCY
    batch_s: float | None = None
    shards: int | None = None
    parallelization: int = 1
    max_rate: float | None = None
    memory_mb: int | None = None

    @property
    def lanes(self) -> int | None:
        """Lanes of all shards."""
        return None if self.shards is None else self.shards * self.parallelization

    @property
    def at_once(self) -> int:
        """Invocations at a time."""
        return self.concurrency if self.lanes is None else min(self.concurrency, self.lanes)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCost:
    """US dollars at list prices: for the requests, the function's run time (None: unknown), and reading the stream."""

    requests: float
    run_time: float | None
    reads: float

    @property
    def total(self) -> float:
        """The sum of what is known."""
        return self.requests + (self.run_time or 0.0) + self.reads


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryForecast:
    """Time and cost if nothing fails. `seconds` is None if nothing is known of the function's speed.

    `others` are (invocations at a time, seconds) for other values of `--concurrency`, `parallelizations` are
    (batches of a shard at a time, seconds) for higher values of `--parallelization`.
    """

    load: DeliveryLoad
    speed: DeliverySpeed
    seconds: float | None
    bound_by: str | None
    cost: DeliveryCost
    others: tuple[tuple[int, float], ...] = ()
    parallelizations: tuple[tuple[int, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """One flat object, with the cost as an object of its own (docs/scripting.md)."""
        return {
            "records": self.load.records,
            "size_bytes": self.load.size_bytes,
            "invocations": self.load.invocations,
            "concurrency": self.speed.at_once,
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "bound_by": self.bound_by,
            "cost": {**asdict(self.cost), "total": self.cost.total},
            "others": [{"concurrency": most, "seconds": round(took, 1)} for most, took in self.others],
            "parallelizations": [
                {"parallelization": most, "seconds": round(took, 1)} for most, took in self.parallelizations
            ],
        }


def whole_batches(records: int, record_bytes: float, batch_size: int) -> DeliveryLoad:
    """The load of this many records in batches that are full: by number or by size."""
    per_event = max(1, min(batch_size, int(MAX_EVENT_BYTES // max(record_bytes, 1.0))))
    return DeliveryLoad(
        records=records,
        size_bytes=round(records * record_bytes),
        invocations=math.ceil(records / per_event),
    )


def forecast_delivery(
    load: DeliveryLoad, speed: DeliverySpeed, prices: Prices = DEFAULT_PRICES
) -> DeliveryForecast:
    """The time and cost of a delivery; also its time with half, twice and four times the concurrency, and with up to
    ten times the parallelization where that matters."""
    seconds, bound_by = _time(load, speed)
    others, parallelizations = [], []
    if speed.batch_s is not None:
        for times in (0.5, 2, 4):
            most = math.ceil(speed.concurrency * times)
            took, _ = _time(load, replace(speed, concurrency=most))
            if took is not None and most != speed.concurrency:
                others.append((most, took))
    if bound_by == LANES and speed.shards is not None:
        for most in sorted({min(speed.parallelization * 2, MOST_PARALLELIZATION), MOST_PARALLELIZATION}):
            took, _ = _time(load, replace(speed, parallelization=most))
            if took is not None and most > speed.parallelization:
                parallelizations.append((most, took))
    return DeliveryForecast(
        load=load,
        speed=speed,
        seconds=seconds,
        bound_by=bound_by,
        cost=_cost(load, speed, prices),
        others=tuple(others),
        parallelizations=tuple(parallelizations),
    )


def _time(load: DeliveryLoad, speed: DeliverySpeed) -> tuple[float | None, str | None]:
    bounds = {}
    if speed.max_rate is not None:
        bounds[RATE] = load.records / speed.max_rate
    if speed.batch_s is not None:
        by_lanes = speed.at_once < speed.concurrency
        bounds[LANES if by_lanes else FUNCTION] = load.invocations * speed.batch_s / speed.at_once
        bounds[LANES] = max(bounds.get(LANES, 0.0), load.busiest_lane * speed.batch_s)
    if not bounds:
        return None, None
    bounds[PROCESS] = load.records / RECORDS_PER_S
    if speed.shards is not None and load.reads:
        calls = load.records / RECORDS_PER_CALL / SHARD_CALLS_S
        bounds[READING] = max(calls, load.size_bytes / SHARD_BYTES_S) / speed.shards
    bound_by = max(bounds, key=bounds.__getitem__)
    return bounds[bound_by], bound_by


def _cost(load: DeliveryLoad, speed: DeliverySpeed, prices: Prices) -> DeliveryCost:
    run_time = None
    if speed.batch_s is not None and speed.memory_mb is not None:
        gb_seconds = load.invocations * speed.batch_s * speed.memory_mb / 1024
        run_time = gb_seconds * prices.lambda_gb_second_million / 1e6
    calls = load.reads * max(load.records / RECORDS_PER_CALL, load.size_bytes / BYTES_PER_CALL)
    return DeliveryCost(
        requests=load.invocations * prices.lambda_million / 1e6,
        run_time=run_time,
        reads=calls * prices.stream_read_million / 1e6,
    )

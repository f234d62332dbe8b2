"""The invocations, time and cost of a replay or redrive. Pure; for its question, its dry run and `refire plan`."""

import math
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLoad:
    """What is to be delivered. `reads`: how often the stream is read for it, 0 where the records are elsewhere."""

    records: int
    size_bytes: int
    invocations: int
    reads: int = READS


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySpeed:
    """How it is delivered: `batch_s` seconds for an invocation, at most `concurrency` and `lanes` at a time.

    None: unknown, or without limit. `memory_mb` is the function's.
    """

    concurrency: int = DEFAULT_CONCURRENCY
    batch_s: float | None = None
    lanes: int | None = None
    max_rate: float | None = None
    memory_mb: int | None = None

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

    `others` are (invocations at a time, seconds) for other values of `--concurrency`.
    """

    load: DeliveryLoad
    speed: DeliverySpeed
    seconds: float | None
    bound_by: str | None
    cost: DeliveryCost
    others: tuple[tuple[int, float], ...] = ()

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
    """The time and cost of a delivery, and its time at half, twice and four times the concurrency."""
    seconds, bound_by = _time(load, speed, speed.concurrency)
    others = []
    if speed.batch_s is not None:
        for times in (0.5, 2, 4):
            most = math.ceil(speed.concurrency * times)
            took, _ = _time(load, speed, most)
            if took is not None and most != speed.concurrency:
                others.append((most, took))
    return DeliveryForecast(
        load=load,
        speed=speed,
        seconds=seconds,
        bound_by=bound_by,
        cost=_cost(load, speed, prices),
        others=tuple(others),
    )


def _time(load: DeliveryLoad, speed: DeliverySpeed, concurrency: int) -> tuple[float | None, str | None]:
    bounds = {}
    if speed.max_rate is not None:
        bounds[RATE] = load.records / speed.max_rate
    if speed.batch_s is not None:
        lanes = math.inf if speed.lanes is None else speed.lanes
        by_lanes = lanes < concurrency
        bounds[LANES if by_lanes else FUNCTION] = load.invocations * speed.batch_s / min(lanes, concurrency)
    if not bounds:
        return None, None
    bounds[PROCESS] = load.records / RECORDS_PER_S
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

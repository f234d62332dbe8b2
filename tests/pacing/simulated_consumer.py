"""A simulated consumer of a stream with a given rate, and a run that receives its metrics late. No I/O, no clock."""

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from refire_async.pacing.consumer import ConsumerModel
from refire_async.pacing.emitted_records import EmittedRecords
from refire_async.pacing.rate_estimate import MINUTE_S
from tests.support.lambda_functions import Metric

EPOCH = 1_800_000_000.0
STEP_S = 0.5
POLL_EVERY_S = 10.0


class Queue:
    """Records in order of creation, and their ages when the consumer handles them."""

    def __init__(self) -> None:
        self.records: deque[list[float]] = deque()

    def put(self, records: float, now: float) -> None:
        """Add records that were created at `now`."""
        if records > 0:
            self.records.append([now, records])

    def take(self, most: float, now: float) -> tuple[float, float | None]:
        """Handle up to `most` records. Returns their number, and the highest age (s) among them."""
        done, age = 0.0, None
        while self.records and most - done > 1e-9:
            made_at, there = self.records[0]
            age = max(age or 0.0, now - made_at)
            taken = min(there, most - done)
            done += taken
            if taken == there:
                self.records.popleft()
            else:
                self.records[0][1] -= taken
        return done, age


@dataclass
class Trace:
    """One row per step: seconds since the start, the run's rate, the highest age (s), the busy share."""

    rows: list[tuple[float, float, float, float]] = field(default_factory=list)

    def oldest(self, since_s: float = 0.0) -> float:
        """The highest age (s) of a handled record."""
        return max(age for at, _, age, _ in self.rows if at >= since_s)

    def busy(self, since_s: float = 0.0) -> float:
        """The share of time in which the consumer was busy."""
        shares = [busy for at, _, _, busy in self.rows if at >= since_s]
        return sum(shares) / len(shares)

    def rates(self, since_s: float = 0.0, until_s: float = math.inf) -> list[float]:
        """The run's rates."""
        return [rate for at, rate, _, _ in self.rows if since_s <= at < until_s]


def simulate(
    capacity: Callable[[float], float],
    bound_s: float,
    *,
    minutes: float,
    budget: float = math.inf,
    lag_s: float = 60.0,
    phase_s: float = 17.0,
    jitter: float = 0.0,
    live: Callable[[float], float] = lambda _at: 0.0,
    known: dict[str, float] | None = None,
) -> Trace:
    """A run of `minutes` with a consumer of `capacity(seconds since the start)` records per second.

    `budget` is the write rate of the table, `live(seconds)` the records per second of the live application, `jitter`
    the relative change of the capacity from one half minute to the next, `known` the arguments of `ConsumerModel`.
    """
    start = now = EPOCH + phase_s
    draw, trace = random.Random(7), Trace()
    queue, metric, emitted = Queue(), Metric(lag_s), EmittedRecords(start)
    consumer = ConsumerModel(bound_s, emitted, **(known or {}))
    look_at, factor = now, 1.0
    while now < start + minutes * MINUTE_S:
        if now >= look_at:
            consumer.learn(metric.by_minute(now), now)
            look_at += POLL_EVERY_S
        if math.isclose(now % 30.0, 0.0):
            factor = 1.0 + draw.uniform(-jitter, jitter)
        at = now - start
        rate = min(consumer.allowed(now), budget)
        now += STEP_S
        if rate:
            emitted.add(rate * STEP_S, now)
        queue.put((rate + live(at)) * STEP_S, now - STEP_S / 2)
        can = capacity(at) * factor * STEP_S
        done, age = queue.take(can, now)
        if age is not None:
            metric.add(now - math.floor(now - age), now)  # creation times are in whole seconds
        trace.rows.append((at, rate, age or 0.0, done / can if can else 1.0))
    return trace

"""Estimate the rate of a consumer from the ages of its records and their creation times. Pure.

The model of a consumer is one queue with a constant service rate. Ages count from the whole second in which a record
was created, as a consumer sees them (DynamoDB Streams API: ApproximateCreationDateTime).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from refire_async.model.units import MINUTE_S
from refire_async.pacing.emitted_records import EmittedRecords

MIN_RATE, MAX_RATE = 0.1, 1e6
"""Bounds of the estimate (records/s). It is never 0, so that the run tries a stalled consumer again."""

FADE = 0.7
"""Weight of a minute relative to the next minute."""

STEPS = 600
_MIN_STEP_S = 0.25
"""The largest number of steps in a simulation, and the shortest step (s)."""

_NEAR = 1.05
_AROUND = 1.5
_GRIDS = (17, 9, 9)
"""The search: precision of the first guess, range (factor) around it, and the number of rates in each finer grid."""

_FINE_RATIO = 1.01
"""Ratio up to which two rates count as the same."""

_APART = 2.0
"""Ratio above which two rates count as different."""

_SAME = 0.05
"""Difference in cost (s²) up to which two rates explain the ages equally well."""


class Progress(NamedTuple):
    """The position of the consumer at `time`: the number of records handled by then."""

    time: float
    handled: float


class Step(NamedTuple):
    """A short period that ends at `time`. `emitted`: the records by then; `observed`: a data point covers it."""

    time: float
    length_s: float
    emitted: float
    observed: bool


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute with a data point: its highest `age` (s), and the steps since the last minute with a data point."""

    minute: int
    age: float
    steps: Sequence[Step]

    @property
    def end(self) -> int:
        """The end of the minute (Unix time)."""
        return self.minute + MINUTE_S


def minutes_of(emitted: EmittedRecords, since: float, ages: Sequence[tuple[int, float]]) -> list[Minute]:
    """The minutes of `ages` (first second, highest age in s), in steps that begin at `since`."""
    step_s = max(_MIN_STEP_S, (ages[-1][0] + MINUTE_S - since) / STEPS)
    found, time = [], since
    for minute, age in ages:
        steps, end = [], minute + MINUTE_S
        while time < end:
            length_s = min(step_s, end - time)
            time += length_s
            steps.append(Step(time, length_s, emitted.at(time), time > minute))
        found.append(Minute(minute, age, steps))
    return found


def follow(
    emitted: EmittedRecords, minute: Minute, progress: Progress, rate: float
) -> tuple[Progress, float]:
    """From `progress` on: the position of a consumer with `rate` at the end of `minute`, and the highest age in it."""
    handled, oldest = progress.handled, 0.0
    for time, length_s, made, observed in minute.steps:
        handled += rate * length_s
        if handled >= made:
            handled = made
        elif observed and (age := time - math.floor(emitted.when(handled))) > oldest:
            oldest = age
    return Progress(minute.end, handled), oldest


def fit(
    emitted: EmittedRecords, minutes: Sequence[Minute], start: Progress, baseline_age_s: float, so_far: float
) -> float:
    """The rate (records/s) that explains the ages best; newer minutes weigh more.

    Ages of `baseline_age_s` and less mean only that the consumer kept up. If many rates explain the ages: the lowest
    one if the consumer kept up all the time, the middle one if they are within a factor of `_APART`, else the one
    nearest to the earlier estimate `so_far`.
    """

    def misses(rate: float) -> list[float]:
        progress, found = start, []
        for minute in minutes:
            progress, oldest = follow(emitted, minute, progress, rate)
            found.append(max(oldest, baseline_age_s) - max(minute.age, baseline_age_s))
        return found

    def cost(rate: float) -> float:
        return _weighted_sum([miss * miss for miss in misses(rate)])

    best, lowest_cost = _best(cost, _first_not_too_slow(lambda rate: _weighted_sum(misses(rate)) > 0.0))

    def explains(rate: float) -> bool:
        return cost(rate) <= lowest_cost + _SAME

    least = _edge(explains, best, MIN_RATE)
    if all(minute.age <= baseline_age_s for minute in minutes):
        return least
    most = _edge(explains, best, MAX_RATE)
    return math.sqrt(least * most) if most < _APART * least else min(most, max(least, so_far))


def _weighted_sum(values: Sequence[float]) -> float:
    """The sum of `values`; the last one has full weight, earlier ones less."""
    total = 0.0
    for value in values:
        total = total * FADE + value
    return total


def _first_not_too_slow(too_slow: Callable[[float], bool]) -> float:
    """An approximation of the lowest rate at which predicted ages are not too high. They fall as the rate rises."""
    low, high = MIN_RATE, MAX_RATE
    while high / low > _NEAR:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if too_slow(middle) else (low, middle)
    return high


def _best(cost: Callable[[float], float], about: float) -> tuple[float, float]:
    """The rate with the lowest cost near `about`, and that cost."""
    best, apart = (cost(about), about), _AROUND
    for points in _GRIDS:
        middle, ratio = best[1], apart ** (2.0 / (points - 1))
        tried = (middle / apart * ratio**number for number in range(points))
        best = min(best, *((cost(rate), rate) for rate in tried))
        apart = ratio
    return min(MAX_RATE, max(MIN_RATE, best[1])), best[0]


def _edge(explains: Callable[[float], bool], inside: float, limit: float) -> float:
    """The last rate on the way from `inside` to `limit` up to which every rate explains the data points."""
    step = _FINE_RATIO if limit > inside else 1.0 / _FINE_RATIO
    while True:
        outside = inside * step
        if (outside >= limit) is (step > 1.0):
            outside = limit
        if not explains(outside):
            break
        if outside == limit:
            return limit
        inside, step = outside, step * step
    while max(outside / inside, inside / outside) > _FINE_RATIO:
        middle = math.sqrt(inside * outside)
        inside, outside = (middle, outside) if explains(middle) else (inside, middle)
    return inside

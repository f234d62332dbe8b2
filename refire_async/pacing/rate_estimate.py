"""Estimate the rate of a consumer from the ages of its records and their creation times. Pure.

A consumer is taken for one queue that is worked off at a steady rate. Ages are those that a consumer sees: they count
from the whole second in which a record was made (DynamoDB Streams API: ApproximateCreationDateTime).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from refire_async.model.units import MINUTE_S
from refire_async.pacing.emitted_records import EmittedRecords

LEAST_RATE, MOST_RATE = 0.1, 1e6
"""Records per second that any consumer is taken for: one that stands still has to be tried again."""

FADE = 0.7
"""Weight of a minute, of that of the next."""

STEPS = 600
_LEAST_STEP_S = 0.25
"""Of a reckoning: how many at most, and how long at least."""

_NEAR = 1.05
_AROUND = 1.5
_GRIDS = (17, 9, 9)
"""How near a first guess is, and rates that are tried: so many times it, then ever nearer around the best."""

_FINE = 1.01
"""Ratio up to which two rates count as the same."""

_APART = 2.0
"""Ratio above which two rates count as different."""

_SAME = 0.05
"""Squares of seconds that make no difference between two rates."""


class Progress(NamedTuple):
    """How far the consumer was at a moment: the records that were handled."""

    moment: float
    handled: float


class Step(NamedTuple):
    """A short time that ends at `moment`, and the records made by then. `observed`: whether ages tell of it."""

    moment: float
    length_s: float
    made: float
    observed: bool


@dataclass(frozen=True, slots=True)
class Minute:
    """The time until the end of a minute that has a figure, from the last one that has: `age` is the highest (s)."""

    minute: int
    age: float
    steps: Sequence[Step]

    @property
    def end(self) -> int:
        """Its last moment."""
        return self.minute + MINUTE_S


def minutes_of(emitted: EmittedRecords, since: float, ages: Sequence[tuple[int, float]]) -> list[Minute]:
    """The minutes of `ages`, in steps, from the moment `since`."""
    step_s = max(_LEAST_STEP_S, (ages[-1][0] + MINUTE_S - since) / STEPS)
    found, moment = [], since
    for minute, age in ages:
        steps, end = [], minute + MINUTE_S
        while moment < end:
            length_s = min(step_s, end - moment)
            moment += length_s
            steps.append(Step(moment, length_s, emitted.at(moment), moment > minute))
        found.append(Minute(minute, age, steps))
    return found


def follow(
    emitted: EmittedRecords, minute: Minute, progress: Progress, rate: float
) -> tuple[Progress, float]:
    """Where a consumer of that rate is at the end of a minute, from `progress` on, and the highest age in it."""
    handled, oldest = progress.handled, 0.0
    for moment, length_s, made, observed in minute.steps:
        handled += rate * length_s
        if handled >= made:
            handled = made
        elif observed and (age := moment - math.floor(emitted.when(handled))) > oldest:
            oldest = age
    return Progress(minute.end, handled), oldest


def fit(
    emitted: EmittedRecords, minutes: Sequence[Minute], start: Progress, blur_s: float, so_far: float
) -> float:
    """The rate that explains the ages best, the newest most of all.

    Ages of `blur_s` and less say no more than that it kept up. Where many rates explain them: the lowest if it kept
    up all the time, the one in the middle if they are near each other, else the one that is nearest to what was
    known `so_far`.
    """

    def misses(rate: float) -> list[float]:
        progress, found = start, []
        for minute in minutes:
            progress, oldest = follow(emitted, minute, progress, rate)
            found.append(max(oldest, blur_s) - max(minute.age, blur_s))
        return found

    def cost(rate: float) -> float:
        return _faded([miss * miss for miss in misses(rate)])

    best, lowest_cost = _best(cost, _first_not_too_slow(lambda rate: _faded(misses(rate)) > 0.0))

    def explains(rate: float) -> bool:
        return cost(rate) <= lowest_cost + _SAME

    least = _edge(explains, best, LEAST_RATE)
    if all(minute.age <= blur_s for minute in minutes):
        return least
    most = _edge(explains, best, MOST_RATE)
    return math.sqrt(least * most) if most < _APART * least else min(most, max(least, so_far))


def _faded(values: Sequence[float]) -> float:
    """Their sum, the last one in full."""
    total = 0.0
    for value in values:
        total = total * FADE + value
    return total


def _first_not_too_slow(too_slow: Callable[[float], bool]) -> float:
    """About the lowest rate at which ages are no longer too high: the higher the rate, the lower they are."""
    low, high = LEAST_RATE, MOST_RATE
    while high / low > _NEAR:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if too_slow(middle) else (low, middle)
    return high


def _best(cost: Callable[[float], float], about: float) -> tuple[float, float]:
    """The rate of the least cost near `about`, and that cost."""
    best, apart = (cost(about), about), _AROUND
    for points in _GRIDS:
        middle, ratio = best[1], apart ** (2.0 / (points - 1))
        tried = (middle / apart * ratio**number for number in range(points))
        best = min(best, *((cost(rate), rate) for rate in tried))
        apart = ratio
    return min(MOST_RATE, max(LEAST_RATE, best[1])), best[0]


def _edge(explains: Callable[[float], bool], inside: float, limit: float) -> float:
    """The rate next to `limit`, from `inside` on without a gap, that explains what was seen."""
    step = _FINE if limit > inside else 1.0 / _FINE
    while True:
        outside = inside * step
        if (outside >= limit) is (step > 1.0):
            outside = limit
        if not explains(outside):
            break
        if outside == limit:
            return limit
        inside, step = outside, step * step
    while max(outside / inside, inside / outside) > _FINE:
        middle = math.sqrt(inside * outside)
        inside, outside = (middle, outside) if explains(middle) else (inside, middle)
    return inside

"""How fast a run may be for the sake of a consumer of its table's stream. Pure.

What is known of a consumer comes late: CloudWatch has the age of what a Lambda function was given (IteratorAge) by
minute, one to three minutes after it. A run that waited for the age to show would be minutes too late. But it knows
how many records it made itself, and when. A record that is handled at the age of 20 s is one that the run made 20 s
before: so each age that comes tells how far the consumer was at that time, and a series of them how fast it is. From
there on the run reckons how far the consumer must be now (a Smith predictor), and keeps so much work waiting for it
that it neither falls idle nor gets near the bound.

How fast a new consumer is, nobody knows. It is given a few seconds' work of a slow one, at once; how soon that is
done tells how fast it is at least, and it is given more. What it did before the run tells a little beforehand
(`pacing/past.py`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from refire_async.pacing.emissions import Emissions

MINUTE_S = 60
SETTLED_S = 30.0
LATE_S = 180.0
"""A minute's figure may still grow for `LATE_S` after its end, but not when a later minute has one, and `SETTLED_S` is
over. Till then it counts only if it is bad news."""

FIRST_RATE = 10.0
"""Records per second that a consumer is taken for at first."""

LEAST_RATE, MOST_RATE = 0.1, 1e6
"""Records per second that any consumer is taken for: one that stands still has to be tried again."""

MOST_WAITING_S = 60.0
"""Work that is to wait for the consumer at the most, whatever its bound: live events wait behind it."""

FILL_S = 0.5
CALM = 0.25
"""How soon what is missing of that is made up for: at once where the consumer keeps up, so that it shows how fast it
is; where work is waiting anyway, in a time of so much of it."""

PAUSE_SHARE = 0.05
"""Of the consumer's rate: a run that would be slower than this pauses."""

WINDOW = 5
"""Minutes with figures by which the rate is measured."""

FADE = 0.7
"""Weight of a minute, of that of the next."""

OTHERS_UNKNOWN = 0.5
"""Share of a consumer that other records are taken to take, where nothing tells."""

OTHERS_FADE = 0.8
"""What is left of that after each minute with figures: what they take in fact has shown itself by and by."""

BLURRED_S = 1.0
"""Ages below this say that the consumer keeps up, and nothing else: polling, and creation times in whole seconds."""

BAD_NEWS_S = 2.0
"""A figure that is not settled counts if it is so much worse than what was reckoned."""

BLIND_S = 300.0
"""How long a run goes on as before when records that it made do not show in any figure."""

BLIND_SHARE = 0.5
"""Of the consumer's rate, what is made after that."""

LOST_S = 1_500.0
"""So much later, or as much later as the bound if that is less, nothing is made any more."""

_STEPS = 600
_LEAST_STEP_S = 0.25
"""Of a reckoning: how many at most, and how long at least."""

_GRIDS = (33, 17, 17)
"""Rates that are tried, the next ones around the best of the last ones: to half a percent."""

_SAME = 0.05
"""Squares of seconds that make no difference between two rates."""


class _Place(NamedTuple):
    """How far the consumer was at a moment: the records that were handled."""

    moment: float
    handled: float


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The time from a place that is known, with the highest ages (s) of its minutes."""

    start: _Place
    ages: Sequence[tuple[int, float]]

    @property
    def step_s(self) -> float:
        return max(_LEAST_STEP_S, (self.ages[-1][0] + MINUTE_S - self.start.moment) / _STEPS)


class Consumer:
    """One consumer: where it must be, how fast it is, and how fast the run may be for its sake.

    `blur_s` is the age of records at a consumer that keeps up. `least_rate`: what it handles at least (records per
    second), as far as that is known beforehand. `others`: the share of that which other records take, until it has
    shown itself what is left for the run's.
    """

    def __init__(
        self,
        bound_s: float,
        emissions: Emissions,
        blur_s: float = BLURRED_S,
        *,
        least_rate: float = FIRST_RATE,
        others: float = 0.0,
    ) -> None:
        self._wanted_s = min(bound_s / 2, MOST_WAITING_S)
        self._lost_s = BLIND_S + min(bound_s, LOST_S)
        self._emissions = emissions
        self._blur_s = min(blur_s, self._wanted_s)
        self._rate = least_rate
        self._others = others
        self._known = [_Place(emissions.start, 0.0)]
        """Where it was by the figures, the newest last."""
        self._reckoned = self._known[0]
        """Where it must be by now."""
        self._counted: tuple[tuple[int, float], ...] = ()
        self._foreign = (0.0, -math.inf)
        """Age of what others have left waiting, and when it had that age."""

    @property
    def rate(self) -> float:
        """Records of the run per second that it handles, or at least, as far as that is known."""
        return self._rate * (1.0 - self._others)

    @property
    def _behind(self) -> bool:
        """Whether it had more to do than it could, when it was seen last."""
        return bool(self._counted) and self._counted[-1][1] > self._blur_s

    @property
    def seen_until(self) -> float:
        """The end of the newest minute that was counted; the start of the run before that."""
        return self._known[-1].moment

    def learn(self, ages: Mapping[int, float], now: float) -> None:
        """Take in the highest age (s) of each minute, by its first second, that CloudWatch has at `now`.

        A minute without a figure is missing.
        """
        minutes = sorted((m, age) for m, age in ages.items() if m + MINUTE_S > self._emissions.start)
        newest = max(ages, default=0)
        settled: list[tuple[int, float]] = []
        young: list[tuple[int, float]] = []
        for minute, age in minutes:
            since_end = now - minute - MINUTE_S
            if since_end >= LATE_S or (since_end >= SETTLED_S and minute < newest):
                settled.append((minute, age))
            elif since_end >= 0:
                young.append((minute, age))
        self._count(settled)
        bad = [(m, age) for m, age in young if age > self._age_in(m) + BAD_NEWS_S]
        if bad:
            self._count([*settled, *bad])
        if ages and not self._emissions.total:  # whatever it has to do is not of this run's making
            self._leave_to_others(newest, ages[newest])

    def waiting_s(self, now: float) -> float:
        """How long a record that is made now has to wait, as far as can be known."""
        foreign, seen_at = self._foreign
        # A consumer that was behind is either still invoked, which shows, or no longer behind.
        left = foreign if now - seen_at < BLIND_S else 0.0
        return (self._emissions.total - self._handled(now)) / self.rate + left

    def allowed(self, now: float) -> float:
        """Records per second that the run may make just now; 0: none."""
        waiting, wanted = self.waiting_s(now), self._wanted_s
        fill_s = max(FILL_S, CALM * wanted) if self._behind else FILL_S
        share = 1.0 + (wanted - waiting) / fill_s if waiting <= wanted else 2.0 - waiting / wanted
        blind = self.blind_s(now)
        if blind > self._lost_s:
            return 0.0
        if blind > BLIND_S:
            share = min(share, BLIND_SHARE)
        return share * self.rate if share >= PAUSE_SHARE else 0.0

    def blind_s(self, now: float) -> float:
        """How long ago the first record was made that no figure tells of."""
        unseen = self._emissions.at(self.seen_until) + 1.0
        return max(0.0, now - self._emissions.when(unseen)) if unseen <= self._emissions.total else 0.0

    def _handled(self, now: float) -> float:
        """Records that must be handled by now. None is handled before it is made."""
        (moment, handled), rate = self._reckoned, self.rate
        step = max(1.0, (now - moment) / _STEPS)
        while moment < now:
            taken = min(step, now - moment)
            moment += taken
            handled = min(handled + rate * taken, self._emissions.at(moment))
        self._reckoned = _Place(moment, handled)
        return handled

    def _age_in(self, minute: int) -> float:
        """The highest age that is reckoned for a minute which is not counted yet; those that are have no say."""
        newest = self._known[-1]
        if minute < newest.moment and len(self._known) > 1:
            return math.inf
        return _follow(self._emissions, newest, minute, self._rate)[1]

    def _count(self, found: Sequence[tuple[int, float]]) -> None:
        """Measure the rate by the last minutes of `found`, and correct where the consumer was."""
        counted = tuple(found[-WINDOW:])
        if not counted or counted == self._counted:
            return
        for minute in {minute for minute, _ in counted} - {minute for minute, _ in self._counted}:
            if self._emissions.at(minute + MINUTE_S) > self._emissions.at(minute):
                self._others *= OTHERS_FADE
        self._counted = counted
        before = [place for place in self._known if place.moment <= counted[0][0]] or self._known[:1]
        stretch = _Stretch(before[-1], counted)
        if self._emissions.at(counted[-1][0] + MINUTE_S) >= stretch.start.handled + 1.0:
            fitted = _fit(self._emissions, stretch, self._blur_s)
            # Ages that are not worth mentioning show only that it is no slower than this.
            busy = any(age > self._blur_s for _, age in counted)
            self._rate = fitted if busy else max(fitted, self._rate)
        self._known = before[-WINDOW:] + self._correct(stretch)
        self._reckoned = self._known[-1]

    def _correct(self, stretch: _Stretch) -> list[_Place]:
        """Where it was at the end of each minute, at the rate that was found; figures rule over what was reckoned."""
        emissions, place, places = self._emissions, stretch.start, []
        for minute, age in stretch.ages:
            end, before = minute + MINUTE_S, place.handled
            place, oldest = _follow(emissions, place, minute, self._rate, stretch.step_s)
            off = 0.0 if max(age, oldest) <= self._blur_s else age - oldest
            at_end = 0.0 if place.handled >= emissions.at(end) else end - emissions.when(place.handled)
            place = _Place(end, max(before, emissions.at(end - max(0.0, at_end + off))))
            places.append(place)
            alone = emissions.at(end) <= max(before, emissions.at(end - age))
            self._leave_to_others(minute, age if alone else 0.0)
        return places

    def _leave_to_others(self, minute: int, age: float) -> None:
        """An age that is not of this run's making is that of others' records: new ones wait behind them."""
        self._foreign = (age if age > self._blur_s else 0.0, minute + MINUTE_S)


def _follow(
    emissions: Emissions, place: _Place, minute: int, rate: float, step_s: float = 1.0
) -> tuple[_Place, float]:
    """Where a consumer of that rate is at the end of `minute`, and the highest age in it."""
    (moment, handled), end, oldest = place, minute + MINUTE_S, 0.0
    while moment < end:
        taken = min(step_s, end - moment)
        moment += taken
        made = emissions.at(moment)
        handled = min(handled + rate * taken, made)
        if moment > minute and handled < made:
            # Creation times are in whole seconds (DynamoDB Streams API: StreamRecord).
            oldest = max(oldest, moment - math.floor(emissions.when(handled)))
    return _Place(moment, handled), oldest


def _fit(emissions: Emissions, stretch: _Stretch, blur_s: float) -> float:
    """The rate that explains the ages best, the newest most of all; the lowest one where many do."""

    def cost(rate: float) -> float:
        place, found = stretch.start, 0.0
        for minute, age in stretch.ages:
            place, oldest = _follow(emissions, place, minute, rate, stretch.step_s)
            found = found * FADE + (max(oldest, blur_s) - max(age, blur_s)) ** 2
        return found

    low, high, best = LEAST_RATE, MOST_RATE, LEAST_RATE
    for points in _GRIDS:
        ratio = (high / low) ** (1.0 / (points - 1))
        rates = [low * ratio**number for number in range(points)]
        costs = [cost(rate) for rate in rates]
        good = min(costs) + _SAME
        best = next(rate for rate, found in zip(rates, costs, strict=True) if found <= good)
        low, high = max(LEAST_RATE, best / ratio), best * ratio
    return best

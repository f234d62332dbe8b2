"""Model of a consumer of the stream: how far it is, how fast it is, how fast the run may be. Pure.

What is known of a consumer comes late: CloudWatch has the age of what a Lambda function was given (IteratorAge) by
minute, one to three minutes after it. A run that waited for the age to show would be minutes too late. But it knows
how many records it made itself, and when. A record that is handled at the age of 20 s is one that the run made 20 s
before: so each age that comes tells how far the consumer was at that time, and a series of them how fast it is. From
there on the run reckons how far the consumer must be now (a Smith predictor), and keeps so much work waiting for it
that it neither falls idle nor gets near the bound.

How fast a new consumer is, nobody knows. It is given a few seconds' work of a slow one, at once; how soon that is
done tells how fast it is at least, and it is given more. What it did before the run tells a little beforehand
(`pacing/consumer_history.py`).
"""

import math
from collections.abc import Mapping, Sequence

from refire_async.model.units import MINUTE_S
from refire_async.pacing.emitted_records import EmittedRecords
from refire_async.pacing.rate_estimate import STEPS, Minute, Progress, fit, follow, minutes_of

SETTLED_S = 30.0
LATE_S = 180.0
"""A minute's figure may still grow for `LATE_S` after its end, but not when a later minute has one, and `SETTLED_S` is
over. Till then it counts only if it is bad news."""

FIRST_RATE = 10.0
"""Assumed records/s of an unknown consumer."""

MOST_WAITING_S = 60.0
"""Work that is to wait for the consumer at the most, whatever its bound: live events wait behind it."""

FILL_S = 0.5
CALM = 0.25
"""How soon what is missing of that is made up for: at once where the consumer keeps up, so that it shows how fast it
is; where work is waiting anyway, in a time of so much of it."""

PAUSE_SHARE = 0.05
"""Of the consumer's rate: a run that would be slower than this pauses."""

SHORT_S = 15.0
"""A shorter period cannot prove that a consumer is faster than estimated."""

WINDOW = 5
"""Minutes with data points from which the rate is estimated."""

OTHERS_UNKNOWN = 0.5
"""Assumed share of a consumer's time that other records take, if unknown."""

OTHERS_FADE = 0.8
"""Factor on that share after each minute with data points: the measured rate includes their real share."""

BLURRED_S = 1.0
"""Ages below this say that the consumer keeps up, and nothing else: polling, and creation times in whole seconds."""

BAD_NEWS_S = 2.0
"""A figure that is not settled counts if it is so much worse than what was reckoned."""

BLIND_S = 300.0
"""How long a run goes on as before when records that it made do not show in any figure."""

BLIND_SHARE = 0.5
"""Of the consumer's rate, what is made after that."""

LOST_S = 1_500.0
"""After a further min(bound, 1,500 s) without metrics the run pauses."""


class Consumer:
    """One consumer: where it must be, how fast it is, and how fast the run may be for its sake.

    `blur_s` is the age of records at a consumer that keeps up. `least_rate`: what it handles at least (records per
    second), as far as that is known beforehand. `others`: the share of that which other records take, until it has
    shown itself what is left for the run's.
    """

    def __init__(
        self,
        bound_s: float,
        emitted: EmittedRecords,
        blur_s: float = BLURRED_S,
        *,
        least_rate: float = FIRST_RATE,
        others: float = 0.0,
    ) -> None:
        self._wanted_s = min(bound_s / 2, MOST_WAITING_S)
        self._lost_s = BLIND_S + min(bound_s, LOST_S)
        self._emitted = emitted
        self._blur_s = min(blur_s, self._wanted_s)
        self._rate = least_rate
        self._others = others
        self._known = [Progress(emitted.start, 0.0)]
        """Where it was by the figures, the newest last."""
        self._reckoned = self._known[0]
        """Where it must be by now."""
        self._counted: tuple[tuple[int, float], ...] = ()
        self._newest = 0
        """The newest minute that was counted ever."""
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
        minutes = sorted((m, age) for m, age in ages.items() if m + MINUTE_S > self._emitted.start)
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
        if ages and not self._emitted.total:  # whatever it has to do is not of this run's making
            self._leave_to_others(newest + MINUTE_S, ages[newest])

    def waiting_s(self, now: float) -> float:
        """How long a record that is made now has to wait, as far as can be known."""
        foreign, seen_at = self._foreign
        # A consumer that was behind is either still invoked, which shows, or no longer behind.
        left = foreign if now - seen_at < BLIND_S else 0.0
        return (self._emitted.total - self._handled(now)) / self.rate + left

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
        unseen = self._emitted.at(self.seen_until) + 1.0
        return max(0.0, now - self._emitted.when(unseen)) if unseen <= self._emitted.total else 0.0

    def _handled(self, now: float) -> float:
        """Records that must be handled by now. None is handled before it is made."""
        (moment, handled), rate = self._reckoned, self.rate
        step = max(1.0, (now - moment) / STEPS)
        while moment < now:
            taken = min(step, now - moment)
            moment += taken
            handled = min(handled + rate * taken, self._emitted.at(moment))
        self._reckoned = Progress(moment, handled)
        return handled

    def _age_in(self, minute: int) -> float:
        """The highest age that is reckoned for a minute which is not counted yet; those that are have no say."""
        newest = self._known[-1]
        if minute < newest.moment and len(self._known) > 1:
            return math.inf
        (unseen,) = minutes_of(self._emitted, newest.moment, [(minute, 0.0)])
        return follow(self._emitted, unseen, newest, self._rate)[1]

    def _count(self, found: Sequence[tuple[int, float]]) -> None:
        """Measure the rate by the last minutes of `found`, and correct where the consumer was."""
        counted = tuple(found[-WINDOW:])
        if not counted or counted == self._counted:
            return
        for minute, _ in counted:
            if minute > self._newest and self._emitted.at(minute + MINUTE_S) > self._emitted.at(minute):
                self._others *= OTHERS_FADE
        self._newest = max(self._newest, counted[-1][0])
        self._counted = counted
        before = [progress for progress in self._known if progress.moment <= counted[0][0]] or self._known[:1]
        start = before[-1]
        minutes = minutes_of(self._emitted, start.moment, counted)
        if self._emitted.at(minutes[-1].end) >= start.handled + 1.0:
            fitted = fit(self._emitted, minutes, start, self._blur_s, self._rate)
            # Ages that are not worth mentioning show only that it is no slower than this.
            busy = any(age > self._blur_s for _, age in counted)
            if minutes[-1].end - start.moment < SHORT_S:
                self._rate = min(fitted, self._rate)
            else:
                self._rate = fitted if busy else max(fitted, self._rate)
        self._known = before[-WINDOW:] + self._correct(start, minutes)
        self._reckoned = self._known[-1]

    def _correct(self, progress: Progress, minutes: Sequence[Minute]) -> list[Progress]:
        """Where it was at the end of each minute, at the rate that was found; figures rule over what was reckoned."""
        emitted, places = self._emitted, []
        for minute in minutes:
            end, age, before = minute.end, minute.age, progress.handled
            progress, oldest = follow(emitted, minute, progress, self._rate)
            off = 0.0 if max(age, oldest) <= self._blur_s else age - oldest
            at_end = 0.0 if progress.handled >= emitted.at(end) else end - emitted.when(progress.handled)
            progress = Progress(end, max(before, emitted.at(end - max(0.0, at_end + off))))
            places.append(progress)
            alone = emitted.at(end) <= max(before, emitted.at(end - age))
            self._leave_to_others(end, age if alone else 0.0)
        return places

    def _leave_to_others(self, end: int, age: float) -> None:
        """An age that is not of this run's making is that of others' records: new ones wait behind them."""
        self._foreign = (age if age > self._blur_s else 0.0, end)

"""Model of a consumer of the stream: its position, its rate, and the rate that the run may have. Pure.

Metrics of a consumer arrive late: CloudWatch publishes the age of the records that a Lambda function received
(IteratorAge) per minute, with a delay of one to three minutes. A run that waited for a high age would be minutes too
late. But the run knows how many records it emitted, and when. A record that the consumer handles at the age of 20 s
was emitted 20 s earlier: each age gives the consumer's position at that time, and a series of ages gives its rate.
From there the model predicts the present position (a Smith predictor), and keeps enough work waiting that the
consumer is neither idle nor near the bound.

The rate of a new consumer is unknown. The model first emits a few seconds of work for a slow consumer; the time in
which the consumer handles it gives a minimum of its rate, and the run emits more. Metrics from before the run give a
first estimate (`pacing/consumer_history.py`).
"""

import math
from collections.abc import Mapping, Sequence

from refire_async.model.units import MINUTE_S
from refire_async.pacing.emitted_records import EmittedRecords
from refire_async.pacing.rate_estimate import STEPS, Minute, Progress, fit, follow, minutes_of

COMPLETE_AFTER_S = 30.0
LATE_S = 180.0
"""A data point of a minute is complete `LATE_S` after the end of the minute, or `COMPLETE_AFTER_S` after it if a later
minute has a data point. Until then it counts only if it is much higher than predicted."""

FIRST_RATE = 10.0
"""Assumed records/s of an unknown consumer."""

MAX_WAITING_S = 60.0
"""The most work (s) that waits for the consumer with any bound, because live events wait behind it."""

FILL_S = 0.5
FILL_SHARE = 0.25
"""Time in which the run makes up for missing work: `FILL_S` where the consumer keeps up, so that its rate shows; where
work is waiting already, `FILL_SHARE` of the work that should wait (s)."""

PAUSE_SHARE = 0.05
"""Share of the consumer's rate below which the run pauses instead."""

SHORT_S = 15.0
"""A shorter period cannot prove that a consumer is faster than estimated."""

WINDOW = 5
"""Minutes with data points from which the rate is estimated."""

UNKNOWN_LIVE_SHARE = 0.5
"""Assumed share of a consumer's rate that live events use, if unknown."""

LIVE_SHARE_DECAY = 0.8
"""Factor on that share after each minute with data points, because the measured rate includes the real share."""

BASELINE_AGE_S = 1.0
"""Ages (s) below this mean only that the consumer keeps up: they result from polling and from creation times in whole
seconds."""

HIGHER_BY_S = 2.0
"""An incomplete data point counts if it is this much higher (s) than predicted."""

BLIND_S = 300.0
"""How long (s) a run continues unchanged when no data point shows the records that it emitted."""

BLIND_SHARE = 0.5
"""Share of the consumer's rate that the run may have after that."""

LOST_S = 1_500.0
"""After a further min(bound, 1,500 s) without metrics the run pauses."""


class ConsumerModel:
    """One consumer: its predicted position, its rate, and the rate that the run may have.

    `bound_s` is the highest age (s) that the user allows, `baseline_age_s` the age of records at a consumer that keeps
    up. Known before the run: `min_rate` (records/s) that it handles at least, and `live_share`, the share (0 to 1) of
    it that live events use until the measured rate shows what is left for the run.
    """

    def __init__(
        self,
        bound_s: float,
        emitted: EmittedRecords,
        baseline_age_s: float = BASELINE_AGE_S,
        *,
        min_rate: float = FIRST_RATE,
        live_share: float = 0.0,
    ) -> None:
        self._wanted_s = min(bound_s / 2, MAX_WAITING_S)
        self._lost_s = BLIND_S + min(bound_s, LOST_S)
        self._emitted = emitted
        self._baseline_age_s = min(baseline_age_s, self._wanted_s)
        self._rate = min_rate
        self._live_share = live_share
        self._known = [Progress(emitted.start, 0.0)]
        """Positions measured by data points, the newest last."""
        self._predicted = self._known[0]
        """The predicted present position."""
        self._counted: tuple[tuple[int, float], ...] = ()
        self._newest = 0
        """The newest minute that ever had a data point."""
        self._live_backlog = (0.0, -math.inf)
        """Age (s) of waiting live events, and the time of that age."""

    @property
    def rate(self) -> float:
        """Records of the run per second that the consumer handles, or a known minimum."""
        return self._rate * (1.0 - self._live_share)

    @property
    def _behind(self) -> bool:
        """Whether work was waiting for the consumer at the last data point."""
        return bool(self._counted) and self._counted[-1][1] > self._baseline_age_s

    @property
    def seen_until(self) -> float:
        """The end of the newest minute with a data point that counted; before the first, the start of the run."""
        return self._known[-1].time

    def learn(self, ages: Mapping[int, float], now: float) -> None:
        """Update the model with the highest age (s) of each minute (its first second) that CloudWatch has at `now`.

        Minutes without a data point are missing.
        """
        minutes = sorted((m, age) for m, age in ages.items() if m + MINUTE_S > self._emitted.start)
        newest = max(ages, default=0)
        complete: list[tuple[int, float]] = []
        incomplete: list[tuple[int, float]] = []
        for minute, age in minutes:
            since_end = now - minute - MINUTE_S
            if since_end >= LATE_S or (since_end >= COMPLETE_AFTER_S and minute < newest):
                complete.append((minute, age))
            elif since_end >= 0:
                incomplete.append((minute, age))
        self._count(complete)
        higher = [(m, age) for m, age in incomplete if age > self._age_in(m) + HIGHER_BY_S]
        if higher:
            self._count([*complete, *higher])
        if ages and not self._emitted.total:  # the run has emitted nothing, so only live events wait
            self._set_live_backlog(newest + MINUTE_S, ages[newest])

    def waiting_s(self, now: float) -> float:
        """The predicted time (s) that a record emitted now will wait."""
        live, seen_at = self._live_backlog
        # A consumer that is still behind is invoked, so a new data point would show it.
        left = live if now - seen_at < BLIND_S else 0.0
        return (self._emitted.total - self._handled(now)) / self.rate + left

    def allowed(self, now: float) -> float:
        """Records per second that the run may emit at `now`; 0: none."""
        waiting, wanted = self.waiting_s(now), self._wanted_s
        fill_s = max(FILL_S, FILL_SHARE * wanted) if self._behind else FILL_S
        share = 1.0 + (wanted - waiting) / fill_s if waiting <= wanted else 2.0 - waiting / wanted
        blind = self.blind_s(now)
        if blind > self._lost_s:
            return 0.0
        if blind > BLIND_S:
            share = min(share, BLIND_SHARE)
        return share * self.rate if share >= PAUSE_SHARE else 0.0

    def blind_s(self, now: float) -> float:
        """Seconds since the run emitted the first record that no data point shows."""
        unseen = self._emitted.at(self.seen_until) + 1.0
        return max(0.0, now - self._emitted.when(unseen)) if unseen <= self._emitted.total else 0.0

    def _handled(self, now: float) -> float:
        """The predicted number of records handled by `now`: at most those emitted by then."""
        (time, handled), rate = self._predicted, self.rate
        step = max(1.0, (now - time) / STEPS)
        while time < now:
            taken = min(step, now - time)
            time += taken
            handled = min(handled + rate * taken, self._emitted.at(time))
        self._predicted = Progress(time, handled)
        return handled

    def _age_in(self, minute: int) -> float:
        """The highest predicted age (s) in a minute without a counted data point; infinite for any other minute."""
        newest = self._known[-1]
        if minute < newest.time and len(self._known) > 1:
            return math.inf
        (unseen,) = minutes_of(self._emitted, newest.time, [(minute, 0.0)])
        return follow(self._emitted, unseen, newest, self._rate)[1]

    def _count(self, found: Sequence[tuple[int, float]]) -> None:
        """Estimate the rate from the last minutes of `found`, and correct the measured positions."""
        counted = tuple(found[-WINDOW:])
        if not counted or counted == self._counted:
            return
        for minute, _ in counted:
            if minute > self._newest and self._emitted.at(minute + MINUTE_S) > self._emitted.at(minute):
                self._live_share *= LIVE_SHARE_DECAY
        self._newest = max(self._newest, counted[-1][0])
        self._counted = counted
        before = [progress for progress in self._known if progress.time <= counted[0][0]] or self._known[:1]
        start = before[-1]
        minutes = minutes_of(self._emitted, start.time, counted)
        if self._emitted.at(minutes[-1].end) >= start.handled + 1.0:
            fitted = fit(self._emitted, minutes, start, self._baseline_age_s, self._rate)
            # Without an age above the baseline the estimate is only a minimum.
            busy = any(age > self._baseline_age_s for _, age in counted)
            if minutes[-1].end - start.time < SHORT_S:
                self._rate = min(fitted, self._rate)
            else:
                self._rate = fitted if busy else max(fitted, self._rate)
        self._known = before[-WINDOW:] + self._correct(start, minutes)
        self._predicted = self._known[-1]

    def _correct(self, progress: Progress, minutes: Sequence[Minute]) -> list[Progress]:
        """The position at the end of each minute at the estimated rate. A data point overrides the prediction."""
        emitted, places = self._emitted, []
        for minute in minutes:
            end, age, before = minute.end, minute.age, progress.handled
            progress, oldest = follow(emitted, minute, progress, self._rate)
            off = 0.0 if max(age, oldest) <= self._baseline_age_s else age - oldest
            at_end = 0.0 if progress.handled >= emitted.at(end) else end - emitted.when(progress.handled)
            progress = Progress(end, max(before, emitted.at(end - max(0.0, at_end + off))))
            places.append(progress)
            alone = emitted.at(end) <= max(before, emitted.at(end - age))
            self._set_live_backlog(end, age if alone else 0.0)
        return places

    def _set_live_backlog(self, end: int, age: float) -> None:
        """An age that the run's records do not explain is that of live events. New records wait behind them."""
        self._live_backlog = (age if age > self._baseline_age_s else 0.0, end)

"""Monitor the Lambda functions that read the stream: age of their records, failures, throttles."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio

from refire_async.aws.other_services import Services, UnansweredError
from refire_async.errors import StoppedError
from refire_async.events import AdviceBack, AdviceMissing, BatchWritten, ConsumerSeen, Emit, Subscriber
from refire_async.model.stop import StopRequest
from refire_async.model.units import STREAM_RETENTION_S, minute_of
from refire_async.pacing.consumer import BLIND_S, LOST_S, ConsumerModel
from refire_async.pacing.emitted_records import EmittedRecords
from refire_async.pacing.governor import Governor
from refire_async.pacing.watchers.functions import Figures, Function, query_figures
from refire_async.settings import PacingSettings

LIMIT_SOURCE = "consumer"
POLL_EVERY_S = 10.0
ADJUST_EVERY_S = 0.25
BACK_S = 900.0
"""Shortest period queried (s): data points can arrive late, or be corrected."""

MAX_BACK_S = 12 * 3600.0
"""Longest period queried (s)."""

MAX_AGE_S = STREAM_RETENTION_S / 2
"""The run stops when a function is this far behind: the other half of the retention is left to fix it."""

_NOTICEABLE = 0.01
"""Smaller relative changes of the rate are ignored."""


class _MinuteCounter:
    """Sums counts by minute; each minute is reported several times."""

    def __init__(self, since: int) -> None:
        self._since = since
        self._minutes: dict[int, float] = {}
        self._earlier = 0.0

    def add(self, found: Mapping[int, float], asked_since: float) -> None:
        """Add counts by minute. Minutes before `asked_since` are final."""
        for minute in [m for m in self._minutes if m < minute_of(asked_since)]:
            self._earlier += self._minutes.pop(minute)
        self._minutes.update((m, count) for m, count in found.items() if m >= self._since)

    @property
    def total(self) -> int:
        return round(self._earlier + sum(self._minutes.values()))


class _WatchedFunction:
    """State of one function."""

    def __init__(self, function: Function, start: float, consumer: ConsumerModel | None) -> None:
        self.name = function.name
        self.consumer = consumer
        self.errors = _MinuteCounter(minute_of(start))
        self.throttles = _MinuteCounter(minute_of(start))
        self.age_s: float | None = None
        self._last_event: ConsumerSeen | None = None

    def update(self, figures: Figures, asked_since: float, now: float) -> ConsumerSeen | None:
        """The event to emit, or None if nothing changed."""
        self.errors.add(figures.errors, asked_since)
        self.throttles.add(figures.throttles, asked_since)
        self.age_s = figures.ages[max(figures.ages)] if figures.ages else None
        if self.consumer is not None:
            self.consumer.learn(figures.ages, now)
        rate = None if self.consumer is None else self.consumer.rate
        seen = ConsumerSeen(self.name, self.age_s, self.errors.total, self.throttles.total, rate)
        news, self._last_event = seen != self._last_event, seen
        return seen if news else None


class ConsumerWatch(Subscriber):
    """Subscribe it to the run's events, and run `poll` and `adjust` in the background.

    `clock` returns seconds since 1970. With a bound for the age, the slowest function limits the run. The run is
    paused until the first poll.
    """

    def __init__(
        self,
        functions: Sequence[Function],
        pacing: PacingSettings,
        governor: Governor,
        services: Services,
        *,
        emit: Emit,
        stop: StopRequest,
        clock: Callable[[], float],
    ) -> None:
        self._governor = governor
        self._services = services
        self._emit = emit
        self._stop = stop
        self._clock = clock
        self._bound_s = pacing.max_iterator_age_s
        self._most_errors = pacing.max_consumer_errors
        self._start = clock()
        self._emitted = EmittedRecords(self._start)
        self._watched = [_WatchedFunction(one, self._start, self._model(one)) for one in functions]
        self._answered_at = self._start
        self._polled = anyio.Event()
        self._why = ""
        self._missing = False
        self._rate = math.inf
        governor.limit(LIMIT_SOURCE, share=0.0, why="consumers: waiting for the age of their records")
        self.handlers = {} if self._bound_s is None else {BatchWritten: self._batch_written}

    def _batch_written(self, event: BatchWritten) -> None:
        """Count the records that the run emits."""
        self._emitted.add(event.items, self._clock())

    async def poll(self, sleep: Callable[[float], Awaitable[None]] = anyio.sleep) -> None:
        """Query CloudWatch periodically until cancelled."""
        while True:
            await self._poll()
            self._polled.set()
            await sleep(POLL_EVERY_S)

    async def adjust(self, sleep: Callable[[float], Awaitable[None]] = anyio.sleep) -> None:
        """Apply the model's rate between the polls, until cancelled."""
        await self._polled.wait()
        while True:
            self._adjust()
            await sleep(ADJUST_EVERY_S)

    def _model(self, function: Function) -> ConsumerModel | None:
        if self._bound_s is None:
            return None
        return ConsumerModel(
            self._bound_s,
            self._emitted,
            function.baseline_age_s,
            min_rate=function.min_rate,
            live_share=function.live_share,
        )

    async def _poll(self) -> None:
        now = self._clock()
        seen_until = [one.consumer.seen_until for one in self._watched if one.consumer is not None]
        since = max(now - MAX_BACK_S, min([now, *seen_until]) - BACK_S)
        try:
            found = await query_figures(self._services, [one.name for one in self._watched], since, now)
        except UnansweredError as error:
            self._why = str(error)
            return
        self._answered_at, self._why = now, ""
        for one in self._watched:
            seen = one.update(found[one.name], since, now)
            if seen is not None:
                self._emit(seen)
            self._end_if_needed(one)

    def _end_if_needed(self, one: _WatchedFunction) -> None:
        if self._most_errors is not None and one.errors.total > self._most_errors:
            error = StoppedError(
                f"consumer {one.name} has failed more than {self._most_errors:,} times ({one.errors.total:,})",
                "fix the function, then run 'refire resume'",
            )
            self._stop.request("error", error)
        elif one.age_s is not None and one.age_s >= MAX_AGE_S:
            error = StoppedError(
                f"consumer {one.name} is {one.age_s / 3600:.1f} hours behind, and a stream keeps records for 24",
                "fix the function, then run 'refire resume'",
            )
            self._stop.request("error", error)

    def _adjust(self) -> None:
        now = self._clock()
        unanswered_s = now - self._answered_at
        paced = [(one.consumer.allowed(now), one) for one in self._watched if one.consumer is not None]
        blind = [one.name for _, one in paced if one.consumer and one.consumer.blind_s(now) > BLIND_S]
        self._notify(blind, unanswered_s)
        if not paced:
            if unanswered_s > BLIND_S + LOST_S:
                self._governor.limit(LIMIT_SOURCE, share=0.0, why="consumers: cloudwatch does not answer")
            else:
                self._governor.limit(LIMIT_SOURCE)
            return
        rate, slowest = min(paced, key=lambda found: found[0])
        if rate <= 0.0:
            why = "no metrics of" if slowest.name in blind else "waiting for"
            self._governor.limit(LIMIT_SOURCE, share=0.0, why=f"{why} consumer {slowest.name}")
        elif self._rate <= 0.0 or abs(rate - self._rate) > _NOTICEABLE * self._rate or math.isinf(self._rate):
            self._governor.limit(LIMIT_SOURCE, max_rate=rate)
        else:
            return
        self._rate = rate

    def _notify(self, blind: Sequence[str], unanswered_s: float) -> None:
        """Emit AdviceMissing when data about consumers is missing, AdviceBack when it arrives again."""
        missing = bool(blind) or unanswered_s > BLIND_S
        if missing and not self._missing:
            names = ", ".join(blind or [one.name for one in self._watched])
            why = self._why or f"cloudwatch shows no iterator age of {names}"
            instead = "the run continues at half their speed, then pauses until metrics arrive"
            if self._bound_s is None:
                instead = "failures are not detected; the run continues for half an hour, then pauses"
            self._emit(AdviceMissing(LIMIT_SOURCE, why, instead))
        elif self._missing and not missing:
            self._emit(AdviceBack(LIMIT_SOURCE))
        self._missing = missing

"""What the tasks of one sitting share."""

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TypeVar

import anyio

from refire_async.aws.errors import AwsError, Disposition, ThrottlingReason
from refire_async.checkpoint.journal import Journal
from refire_async.errors import StoppedError
from refire_async.events import Emit, Retried, Suspended, Throttled
from refire_async.model.keys import Item, Key, identity
from refire_async.model.run import RunSpec
from refire_async.model.stop import StopRequest
from refire_async.pacing.backoff import failure_delay, throttle_delay
from refire_async.pacing.budget import ReadBudget, WriteBudget
from refire_async.pacing.governor import RateLimits
from refire_async.pipeline.outage import MOST_ATTEMPTS, Outage
from refire_async.pipeline.writers.base import Writer
from refire_async.sources.base import Source
from refire_async.sources.lookup import ITEM_RCU, MAX_BATCH_KEYS, Found, Lookup

T = TypeVar("T")

BAD_KEY = ("Validation", "ValidationError")
"""Names of errors by which BatchGetItem says that it does not take one of its keys, among others."""

FUTILE = (Disposition.FATAL, Disposition.ITEM, Disposition.CONDITION)
"""Answers to a read that another attempt does not change."""


@dataclass(frozen=True, slots=True)
class LookedUp:
    """`items` that are there, and keys that the service does not take, each with what it says."""

    items: list[Item]
    refused: list[tuple[Key, AwsError]]


@dataclass(slots=True)
class Context:
    """One sitting of a run: what it is, what it works with, and what it has met."""

    spec: RunSpec
    source: Source
    lookup: Lookup
    writer: Writer
    journal: Journal
    write_budget: WriteBudget
    read_budget: ReadBudget
    outage: Outage
    emit: Emit
    stop: StopRequest
    item_bytes: float
    readers: int = 32
    page_items: int = 500
    per_segment: int | None = None
    """So many items at most of each segment: a canary's. Its rest is left for a later sitting."""
    draw: random.Random = field(default_factory=random.Random)
    clock: Callable[[], float] = time.time
    """The service's time (Unix time): it decides what has expired."""
    _lookup_rcu: float = ITEM_RCU
    """What one consistent look-up has cost lately."""
    _waits: set[anyio.CancelScope] = field(default_factory=set)
    _rests: set[anyio.Event] = field(default_factory=set)
    _on_recovery: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.outage.on_recovery = self.go_on

    def on_recovery(self, call: Callable[[], None]) -> None:
        """Call this when the service works again: what waits for its next attempt can be tried at once."""
        self._on_recovery.append(call)

    def go_on(self) -> None:
        """Nobody waits for a next attempt any longer; the budget still spreads the attempts."""
        for rest in self._rests:
            rest.set()
        for call in self._on_recovery:
            call()

    def stood_still(self, seconds: float) -> None:
        """The process did nothing for `seconds`: that is no outage, and no time at work."""
        self.outage.restart()
        self.journal.leave_out(seconds)
        self.emit(Suspended(seconds))

    async def rest(self, delay_s: float) -> None:
        """Wait for a next attempt: `delay_s`, or until the service works again, or the run stops."""
        over = anyio.Event()
        self._rests.add(over)
        try:
            with anyio.move_on_after(delay_s):
                await over.wait()
        finally:
            self._rests.discard(over)

    def follow(self, rate_limits: RateLimits) -> None:
        """Consume what `rate_limits` allows from now on."""
        paused = self.read_budget.paused
        if rate_limits.paused or paused:
            self.outage.restart()
        self.write_budget.follow(rate_limits)
        self.read_budget.follow(rate_limits)
        if paused and not rate_limits.paused:
            self.go_on()  # the pause was longer than any wait that began before it

    async def unless_stopped(self, grant: Awaitable[T]) -> T | None:
        """What a budget grants, or None if a stop comes first: then nothing new is begun."""
        with anyio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                return await grant
            finally:
                self._waits.discard(scope)
        return None

    def stop_waiting(self) -> None:
        """The run stops: whoever waits for a budget, or to read again, waits no longer."""
        for scope in self._waits:
            scope.cancel()
        for rest in self._rests:
            rest.set()

    async def read_with_retries(self, segment: int, attempt_read: Callable[[], Awaitable[T]]) -> T:
        """Try a read until it goes through; a read can be tried again without harm.

        Raises:
            WireError: trying again is futile, or the run stops and does not wait for better times.
            StoppedError: nothing has gone through for too long, or this read alone has failed too often.
        """
        attempt = failures = 0
        while True:
            try:
                result = await attempt_read()
            except AwsError as error:
                if error.disposition in FUTILE or self.stop.reason is not None:
                    raise
                attempt += 1
                if error.disposition is not Disposition.THROTTLED:
                    failures = self.outage.attempts(failures + 1, anyio.current_time())
                    if failures >= MOST_ATTEMPTS:
                        raise StoppedError(
                            f"a read of segment {segment} failed {MOST_ATTEMPTS} times in a row: {error.message}",
                            "find out why, then go on with 'refire resume'",
                        ) from error
                await self._wait_after(segment, attempt, error)
            else:
                self.outage.succeeded()
                return result

    async def _wait_after(self, segment: int, attempt: int, error: AwsError) -> None:
        self.outage.failed(error.code, anyio.current_time(), error.message)
        totals = self.journal.totals
        if error.disposition is Disposition.THROTTLED:
            totals.throttled += 1
            self.emit(throttled_event(segment, 1, error.code, error.reasons, lane_only=True))
            delay = throttle_delay(attempt, self.draw)
        else:
            totals.retries += 1
            delay = self.outage.delay(failure_delay(attempt, self.draw), anyio.current_time())
            self.emit(Retried(segment, 1, error.code, attempt, delay))
        await self.rest(delay)

    async def look_up_first(self, segment: int, keys: Sequence[Key]) -> LookedUp:
        """What is in the table for `keys` of a source that does not carry the marker, in any order.

        Eventually consistent, as any source is, for half the price: a marker that is behind makes its write's
        condition fail. Only what is not found is asked for again, so that no item is taken for gone that is not.

        Raises:
            WireError, StoppedError: as `look_up`.
        """
        names = self.spec.keys.names
        looked = await self._look_up(segment, keys, consistent=False)
        if len(looked.items) + len(looked.refused) < len(keys):
            known = {identity(names, item) for item in (*looked.items, *(key for key, _ in looked.refused))}
            missing = [key for key in keys if identity(names, key) not in known]
            again = await self._look_up(segment, missing, consistent=True)
            looked = LookedUp(looked.items + again.items, looked.refused + again.refused)
        return looked

    async def look_up(self, segment: int, items: list[Item]) -> dict[tuple[object, ...], Item]:
        """What is in the table now for each of `items`, by key identity; items that are gone are left out.

        An item whose key the service refuses is given as it was: its write is refused too, and says why.

        Raises:
            WireError, StoppedError: as `read_with_retries`; the latter also if a stop comes before the budget's leave.
        """
        keys = self.spec.keys
        looked = await self._look_up(segment, [keys.key_of(item) for item in items], consistent=True)
        found = {identity(keys.names, item): item for item in looked.items}
        refused = {identity(keys.names, key) for key, _ in looked.refused}
        return found | {key: item for item in items if (key := identity(keys.names, item)) in refused}

    async def _look_up(self, segment: int, wanted: Sequence[Key], *, consistent: bool) -> LookedUp:
        looked = LookedUp([], [])
        parts = [wanted] if wanted else []
        while parts:
            wanted = parts.pop()
            price = self._lookup_rcu if consistent else self._lookup_rcu / 2
            size = self.read_budget.page_limit(price, MAX_BATCH_KEYS)
            part, rest = wanted[:size], wanted[size:]
            if rest:
                parts.append(rest)
            try:
                answer = await self.read_with_retries(segment, partial(self._look_up_once, part, consistent))
            except AwsError as error:
                if error.name not in BAD_KEY:
                    raise
                # One bad key spoils a request: halves find it without giving up the others.
                middle = len(part) // 2
                if middle:
                    parts += [part[middle:], part[:middle]]
                else:
                    looked.refused.append((part[0], error))
                continue
            looked.items.extend(answer.items)
            if answer.unprocessed:
                parts.append(answer.unprocessed)
        return looked

    async def _look_up_once(self, part: Sequence[Key], consistent: bool) -> Found:  # noqa: FBT001 - through `partial`
        times = len(part) if consistent else len(part) / 2
        estimate = times * self._lookup_rcu
        if (self.stop.reason is not None and self.read_budget.paused) or not await self.unless_stopped(
            self.read_budget.reserve(estimate)
        ):
            raise StoppedError("stopped before everything was looked up", "go on with 'refire resume'")
        answer = await self.lookup.read(part, consistent=consistent)
        consumed = estimate
        if answer.rcu is not None:
            consumed = answer.rcu
            self._lookup_rcu += 0.2 * (max(ITEM_RCU, consumed / times) - self._lookup_rcu)
        self.journal.totals.rcu += self.read_budget.settle(estimate, consumed)
        if len(answer.unprocessed) == len(part):
            # As good as refused: the next attempt waits, and it does not count as a success.
            raise AwsError("UnprocessedKeys", "BatchGetItem left every key out", Disposition.THROTTLED)
        return answer


def throttled_event(
    segment: int, items: int, code: str, reasons: Sequence[ThrottlingReason], *, lane_only: bool
) -> Throttled:
    """What was refused, by the service's first reason, or by the error's code where it gives none."""
    name, resource = (reasons[0].reason, reasons[0].resource) if reasons else (code, "")
    return Throttled(segment, items, name, resource, lane_only=lane_only)


def elapsed_since(started: float) -> float:
    """Seconds since `started`, a reading of perf_counter."""
    return perf_counter() - started

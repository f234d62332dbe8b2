"""Retry reads. Reading twice changes nothing, so every failed read may be repeated."""

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

from refire_async.aws.errors import AwsError, Disposition, ThrottlingReason
from refire_async.errors import StoppedError
from refire_async.events import Emit, Retried, Throttled
from refire_async.model.counts import Totals
from refire_async.model.stop import StopRequest
from refire_async.pacing.backoff import failure_delay, throttle_delay
from refire_async.pacing.outage import MAX_ATTEMPTS, Outage
from refire_async.pipeline.waits import Waits

T = TypeVar("T")

PERMANENT = (Disposition.FATAL, Disposition.ITEM, Disposition.CONDITION)
"""Errors of a read that a retry cannot fix."""


class ReadRetries:
    """Tries each read until it succeeds, fails permanently, or the run stops."""

    def __init__(
        self,
        *,
        waits: Waits,
        outage: Outage,
        stop: StopRequest,
        totals: Totals,
        emit: Emit,
        draw: random.Random,
    ) -> None:
        """`totals` counts throttled reads and retries; `draw` supplies the jitter of the delays."""
        self._waits = waits
        self._outage = outage
        self._stop = stop
        self._totals = totals
        self._emit = emit
        self._draw = draw

    async def call(self, segment: int, attempt_read: Callable[[], Awaitable[T]]) -> T:
        """Call `attempt_read` until it succeeds, and return its result.

        Raises:
            AwsError: a retry cannot succeed, or the run stops.
            StoppedError: no request has succeeded for too long, or this read alone has failed too often.
        """
        tries = failures = 0
        while True:
            try:
                result = await attempt_read()
            except AwsError as error:
                if error.disposition in PERMANENT or self._stop.reason is not None:
                    raise
                tries += 1
                if error.disposition is not Disposition.THROTTLED:
                    failures = self._outage.attempts(failures + 1, anyio.current_time())
                    if failures >= MAX_ATTEMPTS:
                        raise StoppedError(
                            f"a read of segment {segment} failed {MAX_ATTEMPTS} times in a row: {error.message}",
                            "fix the cause, then run 'refire resume'",
                        ) from error
                await self._wait_after(segment, tries, error)
            else:
                self._outage.succeeded()
                return result

    async def _wait_after(self, segment: int, tries: int, error: AwsError) -> None:
        self._outage.failed(error.code, anyio.current_time(), error.message)
        if error.disposition is Disposition.THROTTLED:
            self._totals.throttled += 1
            self._emit(throttled_event(segment, 1, error.code, error.reasons, lane_only=True))
            delay = throttle_delay(tries, self._draw)
        else:
            self._totals.retries += 1
            delay = self._outage.delay(failure_delay(tries, self._draw), anyio.current_time())
            self._emit(Retried(segment, 1, error.code, tries, delay))
        await self._waits.delay(delay)


def throttled_event(
    segment: int, items: int, code: str, reasons: Sequence[ThrottlingReason], *, lane_only: bool
) -> Throttled:
    """The event for throttled `items`: its first throttling reason, or the error code if DynamoDB gives no reason."""
    name, resource = (reasons[0].reason, reasons[0].resource) if reasons else (code, "")
    return Throttled(segment, items, name, resource, lane_only=lane_only)

"""Invokes the target with one batch, and does what its outcome asks for."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import anyio

from refire_async import failpoints
from refire_async.delivery.answers import (
    EXHAUSTED,
    TOO_LARGE,
    TOO_OLD,
    Step,
    after_invocation,
    after_lost_answer,
    after_too_large,
    count_too_old,
    read_answer,
)
from refire_async.delivery.batches import ARRAY, EVENT, Batch
from refire_async.delivery.buffers import Buffers
from refire_async.delivery.failures import GivenUp
from refire_async.delivery.journal import Journal
from refire_async.delivery.pace import Pace
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.saved import Doubtful, Flight
from refire_async.delivery.shards import Lane, Shard, memory_of
from refire_async.delivery.sink import Skipped
from refire_async.delivery.target import Answer, Fate, InvocationError, Target
from refire_async.events import (
    BatchDelivered,
    BatchFailed,
    Emit,
    InFlight,
    InvocationRetried,
    InvocationThrottled,
    Invoked,
    PaceChanged,
)
from refire_async.model.stop import StopRequest
from refire_async.pacing.backoff import failure_delay, throttle_delay
from refire_async.pacing.outage import Outage

LOST_ANSWER = "the answer was lost"


@dataclass(slots=True, kw_only=True)
class DeliveryContext:
    """What a delivery works with. `stream_arn` goes into the failed-records file where a record names no stream.

    `clock` is the wall clock in seconds since the epoch, against which the age of records is measured. Their age counts
    from `aging_from` at the earliest.
    """

    target: Target
    rules: DeliveryRules
    journal: Journal
    pace: Pace
    outage: Outage
    stop: StopRequest
    emit: Emit
    stream_arn: str | None = None
    buffers: Buffers = field(default_factory=Buffers)
    clock: Callable[[], float] = time.time
    aging_from: float = -math.inf
    random: Random = field(default_factory=Random)


class Invoker:
    """Delivers batches of lanes, one per lane at a time."""

    def __init__(self, context: DeliveryContext) -> None:
        self._context = context
        self._journal = context.journal
        self._envelope = ARRAY if context.target.wants_array else EVENT
        self._pace = PaceChanged(0, 0.0)
        self._in_flight = 0
        self.room = self._envelope.room()
        """Bytes of records in an event at most, with the commas between them."""

    async def deliver(self, lane: Lane, batch: Batch) -> float:
        """Invoke the target with the batch that was taken out of `lane`, unless its records are too old or too large.

        What is to be tried again is in `lane.work` then. Returns the seconds that the lane must wait before.

        Raises:
            StoppedError: nothing has succeeded for too long, or failed records cannot be written.
        """
        context = self._context
        old = count_too_old(batch, context.rules.max_record_age_s, context.clock(), context.aging_from)
        if old:
            await self._give_up(lane, batch.part(0, old), TOO_OLD, "records are older than the limit")
            if old < len(batch.records):
                lane.work.appendleft(batch.part(old))
            return 0.0
        if len(batch.records) == 1 and batch.size_bytes > self.room:
            await self._give_up(lane, batch, TOO_LARGE, "the record is larger than an event may be")
            return 0.0
        return await self._invoke(lane, batch)

    async def _invoke(self, lane: Lane, batch: Batch) -> float:
        flight = Flight(batch.first, batch.last, len(batch.records), batch.invocations + 1)
        self._save(lane, flight)
        await self._journal.durable()
        if self._context.stop.reason is not None:
            self._put_back(lane, batch)
            return 0.0
        if failpoints.reached is not None:
            failpoints.reached("batch-in-delivery-ledger")
        self._report_pace()
        began = anyio.current_time()
        self._count_in_flight(1)
        try:
            answer = await self._context.target.invoke(self._envelope.join(batch.records))
        except InvocationError as error:
            if error.fate is Fate.UNKNOWN:
                self._context.emit(Invoked(anyio.current_time() - began))
            return await self._act_on_error(lane, batch, flight, error)
        finally:
            self._count_in_flight(-1)
        if failpoints.reached is not None:
            failpoints.reached("invocation-answered")
        latency_s = anyio.current_time() - began
        self._context.emit(Invoked(latency_s))
        return await self._act_on_answer(lane, batch, answer, latency_s)

    async def _act_on_answer(self, lane: Lane, batch: Batch, answer: Answer, latency_s: float) -> float:
        context, rules = self._context, self._context.rules
        self._count_invocation(lane, batch)
        context.pace.succeeded()
        self._report_pace()
        outcome = read_answer(answer, batch.records, partial_failures=rules.partial_failures)
        step = after_invocation(batch, outcome, rules)
        delay_s = await self._act(
            lane, batch, step, reason=outcome.failure or "", answer=answer, latency_s=latency_s
        )
        if outcome.delivered or rules.retries is not None:
            context.outage.succeeded()
        elif outcome.failure is not None:  # without a limit on retries, only the outage ends them
            context.outage.failed(outcome.failure, anyio.current_time())
        return delay_s

    async def _act_on_error(self, lane: Lane, batch: Batch, flight: Flight, error: InvocationError) -> float:
        context = self._context
        if error.fate is Fate.STOP:
            self._put_back(lane, batch)
            context.stop.request("error", error)
            return 0.0
        if error.fate is Fate.TOO_LARGE:
            return await self._act(
                lane, batch, after_too_large(batch), reason=error.message, condition=TOO_LARGE
            )
        if error.fate is Fate.UNKNOWN:
            self._count_invocation(lane, batch)
            self._journal.note_doubtful(
                Doubtful(lane.shard.name, lane.number, flight, f"{LOST_ANSWER} ({error.code})")
            )
            reason = f"{error.message} ({error.code})"
            delay_s = await self._act(lane, batch, after_lost_answer(batch, context.rules), reason=reason)
            context.outage.failed(error.code, anyio.current_time(), error.message)
            return delay_s
        return self._refused(lane, batch, error)

    def _refused(self, lane: Lane, batch: Batch, error: InvocationError) -> float:
        """The service did not run the batch, for a passing reason: no retry is used up."""
        context, now = self._context, anyio.current_time()
        self._put_back(lane, batch)
        lane.refusals += 1
        self._journal.counts.throttled += 1
        if error.fate is Fate.THROTTLED:
            context.pace.throttled(error.reason, error.retry_after_s, now)
            self._report_pace()
            delay_s = throttle_delay(lane.refusals, context.random)
        else:
            delay_s = failure_delay(lane.refusals, context.random)
        context.outage.failed(error.code, now, error.message)
        delay_s = max(context.outage.delay(delay_s, now), error.retry_after_s or 0.0)
        context.emit(InvocationThrottled(error.reason or error.code, delay_s))
        return delay_s

    async def _act(
        self,
        lane: Lane,
        batch: Batch,
        step: Step,
        *,
        reason: str,
        condition: str = EXHAUSTED,
        answer: Answer | None = None,
        latency_s: float = 0.0,
    ) -> float:
        """Settle and put back what `step` says. Returns the seconds before the next invocation of the lane.

        `reason` and `condition` say why records are tried again or given up.
        """
        context = self._context
        lane.work.extendleft(reversed(step.again))
        if step.delivered:
            self._journal.counts.delivered += step.delivered
            whole = step.delivered == len(batch.records)
            self._settle(lane, batch if whole else batch.part(0, step.delivered))
            created_at = batch.records[step.delivered - 1].created_at
            context.emit(BatchDelivered(lane.shard.name, lane.number, step.delivered, latency_s, created_at))
        rest = step.given_up
        if rest is None:
            self._save(lane, None)
        else:
            if lane.flight is not None:
                self._save(lane, Flight(rest.first, rest.last, len(rest.records), lane.flight.attempt))
            await self._give_up(lane, rest, condition, reason, answer)
        if not step.uses_retry:
            return 0.0
        (again,) = step.again
        now = anyio.current_time()
        delay_s = context.outage.delay(failure_delay(again.attempts, context.random), now)
        context.emit(InvocationRetried(lane.shard.name, lane.number, len(again.records), reason, delay_s))
        return delay_s

    async def _give_up(
        self, lane: Lane, batch: Batch, condition: str, reason: str, answer: Answer | None = None
    ) -> None:
        context, shard = self._context, lane.shard
        count = len(batch.records)

        def failed() -> None:
            self._journal.counts.failed += count
            shard.failed += count
            self._settle(lane, batch)
            self._save(lane, None)

        given_up = GivenUp(
            shard=shard.name,
            batch=batch,
            condition=condition,
            at=context.clock(),
            function=context.target.name,
            stream_arn=context.stream_arn,
            answer=answer,
        )
        await self._journal.give_up(given_up, failed)
        context.emit(BatchFailed(shard.name, lane.number, count, condition, reason))

    def _report_pace(self) -> None:
        pace = self._context.pace
        if self._pace != (now := PaceChanged(pace.concurrency, pace.rate, pace.max_rate)):
            self._pace = now
            self._context.emit(now)

    def _count_in_flight(self, more: int) -> None:
        self._in_flight += more
        self._context.emit(InFlight(self._in_flight))

    def _count_invocation(self, lane: Lane, batch: Batch) -> None:
        counts, repeated = self._journal.counts, lane.repeated(batch)
        counts.invocations += 1
        if repeated:
            counts.repeated += repeated
            counts.retries += 1
        lane.invoked(batch)
        lane.refusals = 0

    def _put_back(self, lane: Lane, batch: Batch) -> None:
        """The batch was not run: it is the lane's next one."""
        lane.work.appendleft(batch)
        self._save(lane, None)

    def _save(self, lane: Lane, flight: Flight | None) -> None:
        lane.flight = flight
        self._journal.note_lane(lane.shard.name, lane.number, lane.saved())

    def _settle(self, lane: Lane, batch: Batch) -> None:
        """The next records of the lane are settled: their memory is free, and the token may move."""
        shard = lane.shard
        before = shard.token
        skipped = shard.settle(lane, batch)
        self._context.buffers.free(shard, memory_of(batch))
        if shard.token != before or skipped:
            self.save_token(shard, skipped)

    def save_token(self, shard: Shard, skipped: Sequence[Skipped]) -> None:
        """Everything up to the shard's token is settled, and what the source skipped up to there is counted."""
        counts = self._journal.counts
        for one in skipped:
            counts.filtered += one.filtered
            counts.lost += one.lost
        self._journal.note_token(shard.name, shard.token)

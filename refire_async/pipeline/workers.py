"""Write workers: each gets one batch at a time from the queue, writes it and records the outcome of every item.

This module decides about all retries of writes. The decisions rest on one rule: a write is retried only with the same
condition. If an earlier try may have been applied (`in_doubt`), a failed condition means that the item has changed
since it was read, so a record was emitted: the item has fired. Otherwise another writer changed the item; the worker
reads it again and touches it once more, conditional on its present marker.
"""

import time
from dataclasses import replace

import anyio

from refire_async import failpoints
from refire_async.aws.errors import AwsError, Disposition, ThrottlingReason
from refire_async.checkpoint.ledger import Failure, OpenPage
from refire_async.errors import RefireError, RefusedError, StoppedError
from refire_async.events import BatchWritten, ItemFailed, RateChanged, Retried
from refire_async.model.capacity import TABLE
from refire_async.model.keys import Item, identity
from refire_async.model.marker import UntouchableError
from refire_async.pacing.backoff import failure_delay, throttle_delay
from refire_async.pacing.budget import Reservation
from refire_async.pacing.outage import MAX_ATTEMPTS
from refire_async.pipeline.context import Context
from refire_async.pipeline.lanes import Batch
from refire_async.pipeline.pages import PagesInProgress
from refire_async.pipeline.queue import WorkQueue
from refire_async.pipeline.reads import throttled_event
from refire_async.pipeline.writers.base import MemberError, WriteReply

RETRYABLE = (Disposition.THROTTLED, Disposition.RETRY, Disposition.UNKNOWN)
"""Errors after which a batch member is retried."""

ACCOUNT_LIMIT = "RequestLimitExceeded"
"""Prefix of the error code for throttling by the account's quota, which does not depend on a key range
(DynamoDB Developer Guide: Error handling)."""

MAX_CONFLICTS = 5
"""How often an item that other writers keep changing is read again. Coverage holds from the first conflict on, because
the other writer's change emitted a record."""


class Workers:
    """All workers of one attempt."""

    def __init__(self, context: Context, queue: WorkQueue, pages: PagesInProgress) -> None:
        self._context = context
        self._queue = queue
        self._pages = pages
        self._totals = context.journal.totals
        # `fast_acquire`: an uncontended lock must not cost a turn of the event loop per batch.
        self._gate = anyio.Lock(fast_acquire=True)

    async def work(self) -> None:
        """Write batches until none is left or the run stops."""
        while True:
            async with self._gate:
                next_batch = await self._reserve_next()
            if next_batch is None:
                return
            batch, reservation = next_batch
            try:
                await self._write(batch, reservation)
                if failpoints.reached is not None:
                    failpoints.reached("batch-counted")
            finally:
                self._queue.done()
            if batch.page.done:
                self._pages.acknowledge(batch.page)

    async def _reserve_next(self) -> tuple[Batch, Reservation] | None:
        """Get the next batch and reserve its capacity. Returns None if no batch is left or the run stops first.

        One worker at a time waits here, so that the lane is chosen, and its rate applied, when the batch is sent.
        If many workers held batches that wait for the budget, those batches would form a single FIFO queue again.
        """
        batch = await self._queue.get()
        if batch is None:
            return None
        budget = self._context.write_budget
        estimate = len(batch.items) * batch.page.item_units
        reservation = await self._context.waits.unless_stopped(budget.reserve(estimate, len(batch.items)))
        if reservation is not None and not self._queue.stopped:
            if failpoints.reached is not None:
                failpoints.reached("batch-ready")
            return batch, reservation
        if reservation is not None:
            budget.release(reservation)
        self._queue.put_back(batch)
        self._queue.done()
        return None

    async def _write(self, batch: Batch, reservation: Reservation) -> None:
        """Send the batch once. Afterwards every item has an outcome or is back in its lane."""
        context = self._context
        started = time.perf_counter()
        try:
            reply = await context.writer.write(batch.items)
        except AwsError as error:
            self._handle_error(batch, error, reservation)
            return
        if failpoints.reached is not None:
            failpoints.reached("batch-answered")
        latency = time.perf_counter() - started
        if sum(error.disposition in RETRYABLE for error in reply.errors.values()) < len(batch.items):
            context.outage.succeeded()
        throttled = sum(error.disposition is Disposition.THROTTLED for error in reply.errors.values())
        wcu = context.write_budget.correct(reservation, reply.consumed, throttled)
        self._totals.wcu += wcu
        if not throttled:
            self._raise_rates()
        self._queue.processed(batch, len(batch.items) - throttled)
        touched = len(batch.items) - len(reply.errors)
        if batch.conflicts:
            batch.page.touched_after_conflict(
                [item for position, item in enumerate(batch.items) if position not in reply.errors]
            )
        else:
            batch.page.touched(touched)
        context.emit(BatchWritten(batch.page.segment, touched, wcu, latency, reply.consumed))
        if reply.errors:
            await self._handle_member_errors(batch, reply)

    def _handle_error(self, batch: Batch, error: AwsError, reservation: Reservation) -> None:
        """Handle a request that failed as a whole."""
        budget = self._context.write_budget
        match error.disposition:
            case Disposition.THROTTLED:
                self._throttled(batch, error.code, error.reasons)
            case Disposition.RETRY | Disposition.UNKNOWN:
                batch.in_doubt = batch.in_doubt or error.disposition is Disposition.UNKNOWN
                if failpoints.reached is not None:
                    failpoints.reached("outcome-unknown")
                self._retry(batch, error.code, error.detail or error.message, message=error.message)
            case Disposition.ITEM if len(batch.items) > 1:
                # One invalid member fails the whole batch: halve it until that member is alone.
                budget.release(reservation)
                middle = len(batch.items) // 2
                for half in (batch.items[:middle], batch.items[middle:]):
                    self._queue.put_back(self._rest(batch, half))
            case Disposition.ITEM:
                budget.release(reservation)
                self._queue.processed(batch, 0)
                self._fail(batch.page, error.code, [(item, error.detail) for item in batch.items])
            case _:
                budget.release(reservation)
                self._queue.put_back(batch)
                self._context.stop.request("error", error)

    async def _handle_member_errors(self, batch: Batch, reply: WriteReply) -> None:
        """Handle the members of a batch that failed. `_write` has counted the others."""
        page = batch.page
        by_code: dict[str, list[tuple[Item, MemberError]]] = {}
        for position, error in reply.errors.items():
            by_code.setdefault(error.code, []).append((batch.items[position], error))
        conflicted: list[Item] = []
        for code, failed in by_code.items():
            items = [item for item, _ in failed]
            rest = self._rest(batch, items)
            disposition = failed[0][1].disposition
            match disposition:
                case Disposition.CONDITION if self._has_fired(batch):
                    page.already_fired(items)
                case Disposition.CONDITION:
                    conflicted += items
                case Disposition.THROTTLED:
                    self._throttled(rest, code, ())
                case Disposition.ITEM:
                    self._fail(page, code, [(item, error.detail) for item, error in failed])
                case Disposition.FATAL:
                    self._queue.put_back(rest)
                    message = f"DynamoDB refuses to write to the table: {code}"
                    action = "check the table and the permission dynamodb:PartiQLUpdate, then try again"
                    self._context.stop.request("error", RefusedError(message, action))
                case _:
                    rest.in_doubt = batch.in_doubt or disposition is Disposition.UNKNOWN
                    self._retry(rest, code, "")
        if conflicted:
            rest = self._rest(batch, conflicted)
            try:
                await self._read_again(rest)
            except RefireError as error:
                self._queue.put_back(rest)
                self._context.stop.request("error", error)

    def _has_fired(self, batch: Batch) -> bool:
        """Whether a failed condition proves that the items have changed since the run read them."""
        if batch.conflicts >= MAX_CONFLICTS:
            return True
        return batch.in_doubt and not self._markers_predate_run(batch)

    def _markers_predate_run(self, batch: Batch) -> bool:
        """Whether the markers of these items are from before the run, because it has not read them from the table."""
        return self._context.spec.markers_are_older and not batch.marker_read

    async def _read_again(self, batch: Batch) -> None:
        """Another writer changed these items: read them again and retry with their present markers.

        If the outcome of an earlier try is unknown and its marker is older than the run, that try itself may have
        changed an item. Items whose present marker that try can have written are not touched again.
        """
        context, page = self._context, batch.page
        ambiguous = batch.in_doubt and self._markers_predate_run(batch)
        found = await context.lookups.read_current(page.segment, batch.items)
        if failpoints.reached is not None:
            failpoints.reached("conflict-read")
        spec = context.spec
        names, marker = spec.keys.names, spec.marker
        present: list[Item] = []
        for item in batch.items:
            now = found.get(identity(names, item))
            old = None if now is None else now.get(marker.attribute)
            if now is None:
                page.vanished([item])
            elif marker.fired(old) or (ambiguous and spec.may_have_touched(item.get(marker.attribute), old)):
                page.already_fired([item])
            else:
                try:
                    marker.next(old)
                except UntouchableError as error:
                    self._fail(page, "UntouchableMarker", [(item, str(error))])
                else:
                    present.append(now)
        if present:
            await context.journal.amend(page, present, first=not batch.conflicts)
            if failpoints.reached is not None:
                failpoints.reached("conflict-in-ledger")
            self._queue.put_back(Batch(page, present, conflicts=batch.conflicts + 1, marker_read=True))

    def _throttled(self, batch: Batch, code: str, reasons: tuple[ThrottlingReason, ...]) -> None:
        """Slow down the lane for a hot key range, or the shared rate for any other throttling.

        DynamoDB gives no reason for throttled members of a batch. Then the lane slows down first; when half of the
        lanes are throttled at once, the shared capacity is exhausted rather than their key ranges.
        """
        context, segment = self._context, batch.page.segment
        self._totals.throttled += len(batch.items)
        shared = {reason.index or TABLE for reason in reasons if reason.scope != "key-range"}
        if not reasons and code.startswith(ACCOUNT_LIMIT):
            shared = {context.write_budget.scarcest}
        if not shared:
            self._queue.throttled(batch)
            if not reasons and self._queue.capacity_is_exhausted():
                shared = {context.write_budget.scarcest}
        delay = throttle_delay(1, context.draw)
        event = throttled_event(segment, len(batch.items), code, reasons, lane_only=not shared)
        context.emit(event)
        now = anyio.current_time()
        for resource in shared:
            lowered = context.write_budget.throttled(resource, now)
            if lowered is not None:
                context.emit(RateChanged(*context.write_budget.rates()[lowered], event.reason))
        self._queue.put_back(batch, delay)
        self._count_failure(code)

    def _raise_rates(self) -> None:
        """DynamoDB throttled no member of a batch: raise the rates that throttling has lowered."""
        budget = self._context.write_budget
        for name in budget.recover(anyio.current_time()):
            self._context.emit(RateChanged(*budget.rates()[name], "recovered"))

    def _retry(self, batch: Batch, code: str, detail: str, message: str = "") -> None:
        """Retry the batch later, or fail its items if it has failed too often while other requests succeed.

        `detail` can quote item data and goes only to the failed-keys file; `message` goes to logs and the terminal.
        """
        context = self._context
        batch.attempts = context.outage.attempts(batch.attempts + 1, anyio.current_time())
        self._totals.retries += 1
        if batch.attempts >= MAX_ATTEMPTS:
            reason = detail or f"no success in {MAX_ATTEMPTS} attempts"
            self._fail(batch.page, code, [(item, reason) for item in batch.items])
            return
        delay = context.outage.delay(failure_delay(batch.attempts, context.draw), anyio.current_time())
        context.emit(Retried(batch.page.segment, len(batch.items), code, batch.attempts, delay))
        self._queue.put_back(batch, delay)
        self._count_failure(code, message)

    def _count_failure(self, code: str, message: str = "") -> None:
        """Count a failed request, and stop the run if none has succeeded for too long."""
        try:
            self._context.outage.failed(code, anyio.current_time(), message)
        except StoppedError as error:
            self._context.stop.request("error", error)

    def _fail(self, page: OpenPage, code: str, failed: list[tuple[Item, str]]) -> None:
        """Record items that cannot be touched, each with the reason."""
        keys = self._context.spec.keys
        page.failed(
            [item for item, _ in failed],
            (Failure(keys.key_of(item), code, detail) for item, detail in failed),
        )
        self._context.emit(ItemFailed(page.segment, len(failed), code))

    @staticmethod
    def _rest(batch: Batch, items: list[Item]) -> Batch:
        """A batch of the `items` of `batch` that are retried."""
        return replace(batch, items=items, ready_at=0.0)

"""Delivers records to the target as the function's event source mapping would: the sink of a source.

Records go into the lanes of their shard, batches out of them. At most one batch of a lane is invoked at a time; shards
take turns. invoking.py does what an answer asks for.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio
from anyio.abc import TaskGroup

from refire_async.delivery.batches import Batch
from refire_async.delivery.invoking import DeliveryContext, Invoker
from refire_async.delivery.ready import ReadyLanes
from refire_async.delivery.record import EventRecord
from refire_async.delivery.saved import SavedShard
from refire_async.delivery.shards import Lane, Shard
from refire_async.delivery.sink import Skipped
from refire_async.delivery.timers import Timers
from refire_async.errors import RefireError
from refire_async.events import Suspended

SUSPENDED_S = 4.0
"""A second that takes so much longer means that the process was suspended, or the machine slept."""

_LOOK_EVERY_S = 1.0


class DispatchedShard:
    """The sink of one shard."""

    def __init__(self, dispatcher: "Dispatcher", shard: Shard) -> None:
        self._dispatcher = dispatcher
        self._shard = shard

    @property
    def token(self) -> str | None:
        """See `ShardSink.token`."""
        return self._shard.token

    async def put(self, records: Sequence[EventRecord], token: str, skipped: Skipped | None = None) -> None:
        """See `ShardSink.put`."""
        await self._dispatcher.put(self._shard, records, token, skipped)

    async def drain(self) -> int:
        """See `ShardSink.drain`. What has been settled is on disk when this returns."""
        return await self._dispatcher.drain(self._shard)


class Dispatcher:
    """The sink of a delivery, to be used while `run` works."""

    def __init__(self, context: DeliveryContext, saved: dict[str, SavedShard] | None = None) -> None:
        """`saved` are the shards of earlier attempts, by name."""
        self._context = context
        self._invoker = Invoker(context)
        self._saved = saved or {}
        self._shards: list[Shard] = []
        self._ready = ReadyLanes()
        self._timers = Timers()
        self._delayed: set[Lane] = set()
        self._draining: dict[str, anyio.Event] = {}
        self._workers = 0
        self._rested = anyio.Event()
        self._wakes_at: float | None = None
        self._tasks: TaskGroup | None = None
        context.outage.on_recovery = self._end_delays
        context.pace.on_change = self.wake

    async def run(self, feed: Callable[[], Awaitable[None]]) -> bool:
        """Invoke while `feed` puts records into this sink. Returns whether it came to its end and all is settled.

        When a stop is requested no invocation begins any more, those that run come to their end, and `feed` is
        cancelled. Errors of `feed` and of invocations request a stop.
        """
        done = False

        async def feed_and_drain() -> None:
            nonlocal done
            await feed()
            for shard in self._shards:
                if shard.unsettled:
                    await self.drain(shard)
            done = True

        stop, feeding = self._context.stop, anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._timers.run)
            tasks.start_soon(self._notice_suspensions)
            stop.subscribe(feeding.cancel)
            with feeding:
                await self._orderly(feed_and_drain)
            while self._workers:
                self._rested = anyio.Event()
                await self._rested.wait()
            self._tasks = None
            tasks.cancel_scope.cancel()
        return done

    async def _notice_suspensions(self) -> None:
        """A process that was suspended (Ctrl-Z, sleep) has had no outage, and has delivered nothing meanwhile."""
        while True:
            began = anyio.current_time()
            await anyio.sleep(_LOOK_EVERY_S)
            late_s = anyio.current_time() - began - _LOOK_EVERY_S
            if late_s > SUSPENDED_S:
                self._context.emit(Suspended(late_s))
                self._context.outage.restart()
                self._context.journal.leave_out(late_s)

    async def _orderly(self, task: Callable[[], Awaitable[None]]) -> None:
        """Stop the delivery if `task` fails: invocations in flight still end and are saved."""
        try:
            await task()
        except RefireError as error:
            self._context.stop.request("error", error)

    # The sink

    async def open_shard(self, name: str) -> DispatchedShard:
        """See `Sink.open_shard`."""
        shard = Shard(name, self._context.rules.parallelization, self._saved.get(name, SavedShard()))
        self._shards.append(shard)
        self._context.journal.note_token(name, shard.token)
        return DispatchedShard(self, shard)

    async def put(
        self, shard: Shard, records: Sequence[EventRecord], token: str, skipped: Skipped | None
    ) -> None:
        """Take records of a shard; see `ShardSink.put`."""
        buffers = self._context.buffers
        arrivals = shard.arrivals(records)
        if arrivals.count and not buffers.admit(shard, arrivals.memory):
            if self._context.rules.window_s > 0:
                self._flush(self._shards)
            await buffers.wait(shard, arrivals.memory)
        self._context.journal.counts.selected += arrivals.count
        for lane in shard.put(arrivals, token, skipped):
            self._offer(lane)
        if not arrivals.count:
            self._invoker.save_token(shard, shard.advance())
        self.wake()

    async def drain(self, shard: Shard) -> int:
        """Wait until everything put into a shard is settled; see `ShardSink.drain`."""
        shard.flushed = True
        self._flush([shard])
        if shard.unsettled:
            settled = self._draining[shard.name] = anyio.Event()
            await settled.wait()
        shard.flushed = False
        failed, shard.failed = shard.failed, 0
        await self._context.journal.durable()
        return failed

    # Which lane is invoked when

    def wake(self) -> None:
        """Begin the invocations that may begin now: records came, a time has come, or `pace` has changed."""
        if self._tasks is None:  # before or after `run`
            return
        while (job := self._take()) is not None:
            self._workers += 1
            self._tasks.start_soon(self._work, *job)

    def _take(self) -> tuple[Lane, Batch] | None:
        """The next lane with its batch, if one may be invoked now."""
        pace, rules = self._context.pace, self._context.rules
        if not self._ready or self._context.stop.reason is not None or self._workers >= pace.concurrency:
            return None
        now = anyio.current_time()
        starts_at = pace.starts_at()
        if starts_at > now:
            self._wake_at(starts_at)
            return None
        lane = self._ready.pop()
        lane.busy = True
        lane.window_ends = None
        batch = lane.take(rules.batch_size, self._invoker.room)
        pace.started(len(batch.records), now)
        return lane, batch

    async def _work(self, lane: Lane, batch: Batch) -> None:
        """Deliver batches until none may be invoked."""
        try:
            job: tuple[Lane, Batch] | None = (lane, batch)
            while job is not None:
                await self._orderly(partial(self._deliver, *job))
                self._workers -= 1
                job = self._take()
                if job is not None:
                    self._workers += 1
                    self.wake()  # `pace` may allow more invocations than before
        finally:
            if not self._workers:
                self._rested.set()

    async def _deliver(self, lane: Lane, batch: Batch) -> None:
        delay_s = await self._invoker.deliver(lane, batch)
        lane.busy = False
        if delay_s > 0:
            lane.delayed_until = anyio.current_time() + delay_s
            self._delayed.add(lane)
            self._timers.at(lane.delayed_until, partial(self._end_delay, lane))
        self._offer(lane)
        shard = lane.shard
        if not shard.unsettled and shard.name in self._draining:
            self._draining.pop(shard.name).set()

    def _offer(self, lane: Lane, *, at_once: bool = False) -> None:
        """Queue a lane if it has a batch to invoke now, or see to it that it is queued when its window ends."""
        if lane.busy or lane.queued or lane.delayed_until is not None:
            return
        if not lane.work and not lane.pending:
            return
        rules, context = self._context.rules, self._context
        if (
            at_once
            or rules.window_s <= 0
            or lane.shard.flushed
            or context.buffers.pressed
            or lane.is_full(rules.batch_size, self._invoker.room)
        ):
            self._ready.add(lane)
            return
        now = anyio.current_time()
        if lane.window_ends is None:
            lane.window_ends = now + rules.window_s
            self._timers.at(lane.window_ends, partial(self._end_window, lane, lane.window_ends))
        elif lane.window_ends <= now:
            self._ready.add(lane)

    def _flush(self, shards: Sequence[Shard]) -> None:
        """Batches of these shards wait no longer to fill."""
        for shard in shards:
            for lane in shard.lanes.values():
                self._offer(lane, at_once=True)
        self.wake()

    def _end_window(self, lane: Lane, ends: float) -> None:
        if lane.window_ends == ends:
            self._offer(lane)
            self.wake()

    def _end_delay(self, lane: Lane) -> None:
        if lane.delayed_until is not None and lane.delayed_until <= anyio.current_time():
            self._delayed.discard(lane)
            lane.delayed_until = None
            self._offer(lane)
            self.wake()

    def _end_delays(self) -> None:
        """The service works again: what was delayed is tried at once."""
        for lane in self._delayed:
            lane.delayed_until = None
            self._offer(lane)
        self._delayed.clear()
        self.wake()

    def _wake_at(self, when: float) -> None:
        if self._wakes_at is None or when < self._wakes_at:
            self._wakes_at = when
            self._timers.at(when, self._wake_now)

    def _wake_now(self) -> None:
        self._wakes_at = None
        self.wake()

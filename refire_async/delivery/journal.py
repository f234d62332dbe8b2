"""Group commit of a ledger: many lanes ask for durability, one thread commits for all of them at once."""

import math
from collections.abc import Callable
from dataclasses import replace

import anyio
from anyio import to_thread

from refire_async import failpoints
from refire_async.delivery.failures import FailuresFile, GivenUp, to_line
from refire_async.delivery.ledger import Changes, Ledger
from refire_async.delivery.saved import Doubtful, SavedLane
from refire_async.events import CheckpointSaved, DeliveryCounted, Emit
from refire_async.model.delivery import DeliveryCounts
from refire_async.model.run import RunStatus

EMIT_S = 1.0

SPACING_S = 0.005
"""Time between two commits of more than `FEW_LANES` lanes: a commit takes about 0.5 ms of CPU, most of it in fsync."""

FEW_LANES = 4
"""Lanes that do not wait for others: their invocations are worth more than the CPU of a commit."""

IDLE_SAVE_S = 5.0
"""Counts and seconds are saved at least this often, so that `refire status` is fresh."""


class Journal:
    """Makes what a delivery does durable. `run` is the committing task; it ends after `finish`.

    `counts` are those of all attempts, as far as they are known in memory.
    """

    def __init__(
        self,
        ledger: Ledger,
        failures: FailuresFile | None,
        emit: Emit,
        counts: DeliveryCounts,
        seconds: float = 0.0,
    ) -> None:
        """`counts` and `seconds` are those of earlier attempts. Without `failures`, failed records are only counted."""
        self.counts = counts
        self.seconds = seconds
        self.doubtful: list[Doubtful] = []
        """Batches of all attempts that may have run without an answer."""
        self._ledger = ledger
        self._failures = failures
        self._failures_bytes = 0 if failures is None else failures.size
        self._emit = emit
        self._emitted_at = -math.inf
        self._lanes: dict[tuple[str, int], SavedLane] = {}
        self._in_flight: set[tuple[str, int]] = set()
        self._tokens: dict[str, str | None] = {}
        self._doubtful: list[Doubtful] = []
        self._status: RunStatus | None = "running"
        self._committed = anyio.Event()
        self._wanted = anyio.Event()
        self._finishing = False
        self._appending = anyio.Lock(fast_acquire=True)
        # One thread: SQLite has one writer, and order of commits is order of calls.
        self._thread = anyio.CapacityLimiter(1)
        self._clock = anyio.current_time()

    def note_lane(self, shard: str, lane: int, state: SavedLane) -> None:
        """The lane is saved with the next commit."""
        self._lanes[shard, lane] = state
        if state.flight is None:
            self._in_flight.discard((shard, lane))
        else:
            self._in_flight.add((shard, lane))
        self._wanted.set()

    def note_token(self, shard: str, token: str | None) -> None:
        """The shard's token is saved with the next commit."""
        self._tokens[shard] = token
        self._wanted.set()

    def note_doubtful(self, batch: Doubtful) -> None:
        """The batch is saved with the next commit as one that may have run."""
        self.doubtful.append(batch)
        self._doubtful.append(batch)
        self._wanted.set()

    async def durable(self) -> None:
        """Return when everything noted so far is on disk."""
        self._wanted.set()
        await self._committed.wait()

    async def give_up(self, given_up: GivenUp, count: Callable[[], None]) -> None:
        """Write the records to the failed-records file, then call `count`, which counts them as failed.

        Both are one step for the ledger: a resume cuts off what the file has and the counts have not.
        """
        if self._failures is None:
            count()
            return
        line = to_line(given_up)
        async with self._appending:
            await to_thread.run_sync(self._failures.append, line)
            if failpoints.reached is not None:
                failpoints.reached("failures-written")
            count()
            self._failures_bytes = self._failures.size

    async def finish(self, status: RunStatus) -> None:
        """Commit what is left and the status. The committing task ends."""
        self._status = status
        self._finishing = True
        await self.durable()

    async def run(self) -> None:
        """Commit until `finish`. Raises StoppedError if the ledger cannot be saved."""
        began = -math.inf
        while True:
            with anyio.move_on_after(IDLE_SAVE_S):
                await self._wanted.wait()
            if len(self._in_flight) > FEW_LANES:
                await anyio.sleep_until(began + SPACING_S)
            began = anyio.current_time()
            last = self._finishing
            changes, committed = self._take(), self._committed
            self._committed, self._wanted = anyio.Event(), anyio.Event()
            await to_thread.run_sync(self._ledger.save, changes, limiter=self._thread)
            if failpoints.reached is not None:
                failpoints.reached("ledger-committed")
            committed.set()
            self._announce(changes.counts, last=last)
            if last and not self._wanted.is_set():
                return

    def leave_out(self, seconds: float) -> None:
        """The process did nothing for `seconds` (it was suspended, or waited for an answer of its user)."""
        self._clock += seconds

    def _take(self) -> Changes:
        now = anyio.current_time()
        self.seconds += now - self._clock
        self._clock = now
        counts = replace(self.counts, selected=self.counts.delivered + self.counts.failed)
        changes = Changes(
            counts=counts,
            seconds=self.seconds,
            failures_bytes=self._failures_bytes,
            status=self._status,
            lanes=self._lanes,
            tokens=self._tokens,
            doubtful=tuple(self._doubtful),
        )
        self._lanes, self._tokens, self._doubtful = {}, {}, []
        return changes

    def _announce(self, counts: DeliveryCounts, *, last: bool) -> None:
        if last or self._clock >= self._emitted_at + EMIT_S:
            self._emitted_at = self._clock
            self._emit(CheckpointSaved(0, counts.selected))
            self._emit(DeliveryCounted(counts))

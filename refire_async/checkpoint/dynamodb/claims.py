"""The claim of a task: one process at a time has its segments, and says so by a counter that it moves.

The clocks of two machines are never compared. A second process watches the counter by its own clock: if it stands still
for `DEAD_AFTER_S`, it takes the owner for dead and raises the epoch. The owner's writes fail from the moment at which
the segments have the new epoch. An owner that cannot move its counter for `HOLD_S` stops before that, by its own clock.
"""

import math
import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import anyio

from refire_async.checkpoint.dynamodb.places import task_name
from refire_async.checkpoint.dynamodb.table import DAMAGED, CheckpointTable, Condition, Fields, number
from refire_async.errors import StoppedError
from refire_async.model.steady import steady

BEAT_S = 3.0
HOLD_S = 15.0
"""Seconds after the sending of its last successful beat, at the end of which an owner sends nothing more."""

DEAD_AFTER_S = 20.0
"""Seconds of standing still after which another process takes over: more than `HOLD_S` by any two clocks."""

LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A task's claim. `epoch` rises with each owner; `finished`: nothing is left to do.

    `moved_at`: when its owner wrote it, by the service's time (seconds since the epoch); only shown.
    """

    epoch: int
    owner: str
    beat: int
    finished: bool
    moved_at: float = 0.0

    @classmethod
    def of(cls, fields: Fields) -> "Claim":
        """From the attributes of its item."""
        return cls(
            int(fields["epoch"]["N"]),
            fields["owner"]["S"],
            int(fields["beat"]["N"]),
            bool(fields["finished"]["BOOL"]),
            float(fields["moved_at"]["N"]),
        )

    def fields(self) -> Fields:
        """The attributes of its item."""
        return {
            "epoch": number(self.epoch),
            "owner": {"S": self.owner},
            "beat": number(self.beat),
            "finished": {"BOOL": self.finished},
            "moved_at": number(round(self.moved_at, 3)),
        }


def own_name() -> str:
    """Host, process and start of this owner, unique, for other processes to show."""
    since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return f"{socket.gethostname()} (process {os.getpid()}, since {since}, {secrets.token_hex(3)})"


async def take(
    table: CheckpointTable,
    run_id: str,
    task: int,
    owner: str,
    *,
    now: Callable[[], float] = time.time,
    on_wait: Callable[[Claim], None] = lambda _: None,
) -> Claim:
    """Claim a task, after its owner is done, gone or dead. `on_wait` is called once if there is one to wait for.

    `now` is the service's time. A task that is finished is returned as it is. Raises StoppedError.
    """
    name, waited = task_name(task), False
    seen: Claim | None = None
    seen_at = anyio.current_time()
    while True:
        fields = await table.get(run_id, name)
        if fields is None:
            first = Claim(1, owner, 0, finished=False, moved_at=now())
            if await table.put(run_id, name, first.fields(), Condition("attribute_not_exists(id)", {})):
                return first
            continue
        found = _read(table, run_id, fields)
        if found.finished:
            return found
        at = anyio.current_time()
        if found != seen:
            seen, seen_at = found, at
        if found.owner == owner:  # the answer to our own write was lost
            return found
        if not found.owner or at - seen_at >= DEAD_AFTER_S:
            mine = Claim(found.epoch + 1, owner, 0, finished=False, moved_at=now())
            if await table.put(run_id, name, mine.fields(), _is(found)):
                return mine
            continue
        if not waited:
            waited = True
            on_wait(found)
        await anyio.sleep(LOOK_S)


class Keeper:
    """Keeps a claim. `in_force` is to be asked before each request that only the owner may send.

    A process that was stopped runs no timer, so the end of its hold is no event.
    """

    def __init__(
        self,
        table: CheckpointTable,
        run_id: str,
        task: int,
        claim: Claim,
        *,
        clock: Callable[[], float] = steady,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`clock` counts this machine's seconds; `now` is the service's time."""
        self._table = table
        self._run_id = run_id
        self._task = task
        self._claim = claim
        self._clock = clock
        self._now = now
        self._held_until = -math.inf

    def in_force(self) -> bool:
        """Whether no other process can have taken this one for dead."""
        return self._clock() < self._held_until

    async def keep(self) -> None:
        """Move the counter until cancelled. Raises StoppedError if another process has the task, or might have it."""
        beat = self._claim.beat
        while True:
            for _ in range(2):  # the first try may have stood still with the process
                beat += 1
                with anyio.move_on_after(HOLD_S / 2.0) as scope:
                    await self._move(beat)
                if not scope.cancelled_caught:
                    break
            else:
                raise StoppedError(
                    f"task {self._task} could not reach checkpoint table {self._table.name} for {HOLD_S:.0f} s",
                    "start it again: it continues",
                )
            await anyio.sleep(BEAT_S)

    async def _move(self, beat: int) -> None:
        sent_at = self._clock()
        now = replace(self._claim, beat=beat, moved_at=self._now())
        if not await self._table.put(
            self._run_id, task_name(self._task), now.fields(), _of_epoch(self._claim)
        ):
            raise await lost(self._table, self._run_id, self._task)
        self._held_until = sent_at + HOLD_S


async def release(table: CheckpointTable, run_id: str, task: int, claim: Claim, *, finished: bool) -> None:
    """Give the task back. Does nothing if another process has it."""
    rest = replace(claim, owner="", finished=finished)
    await table.put(run_id, task_name(task), rest.fields(), _of_epoch(claim))


async def lost(table: CheckpointTable, run_id: str, task: int) -> StoppedError:
    """The error for a task that another process has taken over."""
    fields = await table.get(run_id, task_name(task))
    owner = _read(table, run_id, fields).owner if fields is not None else ""
    return StoppedError(
        f"task {task} of run {run_id} is now at {owner or 'another process'}, which took this one for dead",
        "nothing is lost, and nothing needs to be done",
    )


def _read(table: CheckpointTable, run_id: str, fields: Fields) -> Claim:
    try:
        return Claim.of(fields)
    except DAMAGED as error:
        raise table.damaged(run_id, error) from error


def _is(claim: Claim) -> Condition:
    return Condition(
        "epoch = :epoch AND beat = :beat", {":epoch": number(claim.epoch), ":beat": number(claim.beat)}
    )


def _of_epoch(claim: Claim) -> Condition:
    return Condition("epoch = :epoch", {":epoch": number(claim.epoch)})

"""The shards of a stream, read side by side, each after its parent.

A shard ends for a reader when it is closed and read to its end, when a record is too late, or when nothing has come for
some answers that were asked for after the time of interest. What was trimmed before it was read is named.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TypeAlias

import anyio
import anyio.abc

from refire_async.aws.errors import AwsError
from refire_async.aws.streams import Shard, StreamReader
from refire_async.delivery.sources.slicing import SlicedAnswer, slice_answer
from refire_async.errors import RefireError, first_of
from refire_async.model.units import STREAM_RETENTION_S

Take: TypeAlias = Callable[[SlicedAnswer], Awaitable[None]]
Lost: TypeAlias = Callable[[str, float, str], None]

MOST_ANSWERS = 32
"""Answers (1 MB each) that are in memory at a time; also the most requests under way."""

_EMPTY_ANSWERS = 8
"""Answers without a record, one after the other, that make an end. One proves little: an answer can be empty before
the newest record too (API reference: GetRecords)."""

_IDLE_S = 0.25
"""Between two questions to a shard that has nothing new; at most 5 calls a second are allowed."""

_LOOKS, _LOOK_S = 3, 1.0
"""How often, and in which intervals, the children of a shard are looked for that has just been closed."""

_MOST_LOSSES = 5
"""Times that records of a shard may be trimmed in front of the reader without one that it can read."""


class ShardWalk:
    """Reads one stream from `since` on (seconds since the epoch)."""

    def __init__(
        self,
        reader: StreamReader,
        arn: str,
        since: float,
        lost: Lost,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        """`lost` is called with a shard, the time before which records are gone, and why. `now` is the service's."""
        self._reader = reader
        self._arn = arn
        self._since = since
        self._lost = lost
        self._now = now
        self._sleep = sleep
        self._slots = anyio.CapacityLimiter(MOST_ANSWERS)
        self._shards: dict[str, Shard] = {}
        self._begun: set[str] = set()

    async def run(self, read: Callable[[str], Awaitable[bool]]) -> None:
        """Call `read` with each shard, and with its children when it has returned True. Raises RefireError."""
        failure: RefireError | None = None
        try:
            shards = await self._list()
            async with anyio.create_task_group() as tasks:
                for shard in shards:
                    if shard.parent not in self._shards:
                        self._start(tasks, shard.id, read)
        except* RefireError as group:
            failure = first_of(group)
        if failure is not None:
            raise failure

    def _start(self, tasks: anyio.abc.TaskGroup, shard: str, read: Callable[[str], Awaitable[bool]]) -> None:
        async def walk() -> None:
            if await read(shard):
                for child in await self._children(shard):
                    self._start(tasks, child, read)

        if shard not in self._begun:
            self._begun.add(shard)
            tasks.start_soon(walk)

    async def _list(self) -> list[Shard]:
        shards = await self._reader.shards(self._arn)
        self._shards |= {shard.id: shard for shard in shards}
        return shards

    async def _children(self, shard: str) -> list[str]:
        """The shards that continue this one. They may be listed a little later than it ends."""
        for look in range(_LOOKS):
            children = [child.id for child in self._shards.values() if child.parent == shard]
            if children and not self._shards[shard].is_open:
                return children
            # Pages of a list are not of one moment: of a shard that was open then, it may lack a child.
            if look:
                await self._sleep(_LOOK_S)
            await self._list()
        return [child.id for child in self._shards.values() if child.parent == shard]

    async def read(self, shard: str, take: Take, *, until: float, after: str | None = None) -> bool:
        """Give `take` the records of a shard that arose before `until` (seconds since the epoch), and some later ones.

        Begins behind the sequence number `after`, where it is given. Returns whether the shard was read to its end, so
        that its children continue it.

        Raises:
            AwsError: the stream cannot be read.
        """
        losses = 0

        async def count_and_take(sliced: SlicedAnswer) -> None:
            nonlocal losses, after
            losses, after = 0, sliced.last
            await take(sliced)

        while True:
            try:
                return await self._read(shard, count_and_take, until, after)
            except AwsError as error:
                if error.name not in ("TrimmedDataAccess", "ResourceNotFound"):
                    raise
                losses += 1
                if losses == _MOST_LOSSES:
                    raise
                self._lost(shard, self._now() - STREAM_RETENTION_S, _WHY_TRIMMED)
                if error.name == "ResourceNotFound":
                    return True
                after = None

    async def _read(self, shard: str, take: Take, until: float, after: str | None) -> bool:
        empty = 0
        answers = self._reader.answers(self._arn, shard, after=after, since=self._since)
        async with aclosing(answers):
            while True:
                async with self._slots:
                    asked_at = self._now()
                    answer = await anext(answers, None)
                    if answer is None:
                        return True
                    sliced = slice_answer(answer, self._arn)
                    del answer
                    if sliced.records:
                        empty = 0
                        await take(sliced)
                        if sliced.records[-1].created_at >= until:
                            return False
                        continue
                empty = empty + 1 if asked_at >= until else 0
                if empty == _EMPTY_ANSWERS:
                    return False
                await self._sleep(_IDLE_S)


_WHY_TRIMMED = "the stream keeps records for 24 hours"

"""Reads a stream from a given time on: every shard that can hold such records, parents before children.

One task per shard, at most `_AT_ONCE` requests under way, so at most as many answers (1 MB each) in memory. A shard
takes one of the two readers that DynamoDB gives it (Developer Guide: Change data capture for DynamoDB Streams).
"""

import math
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

import anyio
import anyio.abc

from refire_async.aws.errors import AwsError
from refire_async.aws.streams import Shard, StreamReader
from refire_async.model.units import STREAM_RETENTION_S

Take: TypeAlias = Callable[[list[dict[str, Any]]], Awaitable[None]]

_AT_ONCE = 8
_FOLLOW_S = 1.0
"""How often an open shard is polled while idle, unless `caught_up` waits; at most 5 calls a second are allowed."""

_HURRY_S = 0.25
_EMPTY_ANSWERS = 8
"""Answers without a record, one after the other, that make an end. One proves little: an answer can be empty before
the newest record too (API reference: GetRecords)."""

_PEEKS = 3
_LOOKS = 3


class Follower:
    """Follows one stream until it is cancelled."""

    def __init__(
        self,
        reader: StreamReader,
        arn: str,
        *,
        since: float,
        take: Take,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        """`take` is given records in order per item, from `since` (seconds since the epoch) or somewhat earlier on.

        `now` is the service's time.
        """
        self._reader = reader
        self._arn = arn
        self._since = since
        self._take = take
        self._now = now
        self._sleep = sleep
        self._slots = anyio.CapacityLimiter(_AT_ONCE)
        self._shards: dict[str, Shard] = {}
        self._over: set[str] = set()
        """Shards that have nothing from `since` on."""
        self._begun: set[str] = set()
        self._open: dict[str, int] = {}
        self._listed = False
        self._until = math.inf
        self._changed = anyio.Event()
        self.lost_before = -math.inf
        """Records from before this second may have been trimmed."""
        self.shards_read = 0

    async def run(self) -> None:
        """Read until cancelled. Raises WireError."""
        async with anyio.create_task_group() as tasks:
            await self._begin(tasks)
            self._listed = True
            self._notify()
            await anyio.sleep_forever()

    async def caught_up(self, until: float) -> None:
        """Return when every shard is read to its end, or to records from `until` on (seconds since the epoch)."""
        self._until = until
        self._open = dict.fromkeys(self._open, 0)
        while not self._listed or any(empty < _EMPTY_ANSWERS for empty in self._open.values()):
            await self._changed.wait()
        self._until = math.inf

    async def _begin(self, tasks: anyio.abc.TaskGroup) -> None:
        try:
            shards = await self._reader.shards(self._arn)
        except AwsError as error:
            if error.name != "ResourceNotFound":
                raise
            # A stream that was turned off stays for a day.
            self._lose(self._now() - STREAM_RETENTION_S)
            return
        self._shards = {shard.id: shard for shard in shards}
        wanted = await self._choose()
        self._over = self._shards.keys() - wanted
        for shard in shards:
            # The others begin when their parent is read to its end.
            if shard.id in wanted and shard.parent not in wanted:
                self._start(tasks, shard.id)

    def _start(self, tasks: anyio.abc.TaskGroup, shard: str) -> None:
        if shard not in self._begun:
            self._begun.add(shard)
            self._open[shard] = 0
            tasks.start_soon(self._read, tasks, shard)

    async def _choose(self) -> set[str]:
        """Shards that can hold records from `since` on: those without children, and upwards from there.

        A shard is closed before its children have records. So where all of them begin before `since`, it, and all
        that came before it, is over by then.
        """
        children = {shard.parent for shard in self._shards.values()}
        wanted = {name for name in self._shards if name not in children}
        edge = set(wanted)
        while edge:
            looked_at = [name for name in edge if self._shards[name].parent in self._shards]
            firsts: dict[str, float] = {}

            async def look(name: str, into: dict[str, float]) -> None:
                into[name] = await self._first_second(name)

            async with anyio.create_task_group() as tasks:
                for name in looked_at:
                    tasks.start_soon(look, name, firsts)
            parents = {self._shards[name].parent for name in looked_at if firsts[name] >= self._since}
            edge = {name for name in parents if name is not None} - wanted
            wanted |= edge
        return wanted

    async def _first_second(self, shard: str) -> float:
        """When the first record of a shard arose; infinite if it has none, or none to be seen at once."""
        peeks = 0
        pages = self._reader.records(self._arn, shard)
        try:
            async with self._slots:
                async for records in pages:
                    if records:
                        return _second(records[0])
                    peeks += 1
                    if peeks == _PEEKS:
                        break
        except AwsError as error:
            if error.name not in ("TrimmedDataAccess", "ResourceNotFound"):
                raise
        finally:
            await pages.aclose()
        return math.inf

    async def _read(self, tasks: anyio.abc.TaskGroup, shard: str) -> None:
        """Read one shard to its end, then let its children begin."""
        self.shards_read += 1
        parent = self._shards[shard].parent
        if parent is None or parent not in self._begun:
            self._lose(self._now() - STREAM_RETENTION_S)
        while True:
            try:
                await self._read_to_end(shard)
                break
            except AwsError as error:
                if error.name not in ("TrimmedDataAccess", "ResourceNotFound"):
                    raise
                # It took longer than records are kept: go on with the oldest that is left.
                self._lose(self._now() - STREAM_RETENTION_S)
                if error.name == "ResourceNotFound":
                    break
        for child in await self._children(shard):
            self._start(tasks, child)
        del self._open[shard]
        self._notify()

    async def _children(self, shard: str) -> list[str]:
        """The shards that go on from this one. A shard that ends while it is read has new ones.

        Whatever arose since reading began is read, also what was listed for another shard's sake.
        """
        for look in range(_LOOKS):
            children = [child.id for child in self._shards.values() if child.parent == shard]
            if children:
                return [child for child in children if child not in self._over]
            if look:
                await self._sleep(_FOLLOW_S)
            self._shards |= {child.id: child for child in await self._reader.shards(self._arn)}
        return [child.id for child in self._shards.values() if child.parent == shard]

    async def _read_to_end(self, shard: str) -> None:
        pages = self._reader.records(self._arn, shard)
        try:
            while True:
                async with self._slots:
                    records = await anext(pages, None)
                if records is None:
                    return
                if records:
                    await self._take(records)
                self._note(shard, records)
                if not records:
                    await self._sleep(_FOLLOW_S if self._until == math.inf else _HURRY_S)
        finally:
            await pages.aclose()

    def _note(self, shard: str, records: list[dict[str, Any]]) -> None:
        if not records:
            self._open[shard] += 1
        elif _second(records[-1]) >= self._until:
            self._open[shard] = _EMPTY_ANSWERS
        else:
            self._open[shard] = 0
        self._notify()

    def _lose(self, before: float) -> None:
        """Records from before `before` may be gone."""
        self.lost_before = max(self.lost_before, before)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _second(record: dict[str, Any]) -> float:
    return float(record["dynamodb"]["ApproximateCreationDateTime"])


def lost_before(followers: Iterable[Follower]) -> float:
    """Records from before this second may be missing from what was read."""
    return max((follower.lost_before for follower in followers), default=-math.inf)

"""Reads a stream from a given time on: every shard that can contain such records, parents before children.

One task per shard and at most `_MAX_REQUESTS` requests at a time, so at most as many answers (1 MB each) in memory.
It takes one of the two readers that DynamoDB allows per shard (Developer Guide: Change data capture for DynamoDB
Streams).
"""

import math
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

import anyio
import anyio.abc

from refire_async.aws.errors import AwsError
from refire_async.aws.streams import Shard, StreamReader, parse_records
from refire_async.model.units import STREAM_RETENTION_S

OnAnswer: TypeAlias = Callable[[bytes], Awaitable[float | None]]
"""Takes an answer to GetRecords, and returns the second of its last record; None if it has none."""

_MAX_REQUESTS = 8
_POLL_S = 1.0
"""Interval between polls of an idle open shard; DynamoDB allows 5 GetRecords calls per second and shard."""

_CATCH_UP_POLL_S = 0.25
"""The same while `caught_up` waits."""

_EMPTY_ANSWERS = 8
"""Consecutive answers without a record after which a shard counts as read to its end.

A single one is not enough: an answer can be empty although newer records exist (API reference: GetRecords).
"""

_FIRST_RECORD_ANSWERS = 3
"""Empty answers after which a shard counts as having no first record yet."""

_CHILD_LISTINGS = 3
"""How often the shards are listed to find the children of a shard that was read to its end."""


class Follower:
    """Follows one stream until it is cancelled."""

    def __init__(
        self,
        reader: StreamReader,
        arn: str,
        *,
        since: float,
        on_answer: OnAnswer,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        """`on_answer` receives the answers, their records in order per item, from `since` (seconds since the epoch) or
        somewhat earlier on.

        `now` is the service's time.
        """
        self._reader = reader
        self._arn = arn
        self._since = since
        self._on_answer = on_answer
        self._now = now
        self._sleep = sleep
        self._slots = anyio.CapacityLimiter(_MAX_REQUESTS)
        self._shards: dict[str, Shard] = {}
        self._skipped: set[str] = set()
        """Shards that have no records from `since` on."""
        self._started: set[str] = set()
        self._empty_answers: dict[str, int] = {}
        """Consecutive empty answers of each shard that is being read."""
        self._listed = False
        self._until = math.inf
        self._changed = anyio.Event()
        self.lost_before = -math.inf
        """Records from before this second may have been trimmed."""
        self.shards_read = 0

    async def run(self) -> None:
        """Read until cancelled. Raises AwsError."""
        async with anyio.create_task_group() as tasks:
            await self._start_shards(tasks)
            self._listed = True
            self._notify()
            await anyio.sleep_forever()

    async def caught_up(self, until: float) -> None:
        """Wait until every shard is read to its end, or up to a record from `until` on (seconds since the epoch)."""
        self._until = until
        self._empty_answers = dict.fromkeys(self._empty_answers, 0)
        while not self._listed or any(empty < _EMPTY_ANSWERS for empty in self._empty_answers.values()):
            await self._changed.wait()
        self._until = math.inf

    async def _start_shards(self, tasks: anyio.abc.TaskGroup) -> None:
        try:
            shards = await self._reader.shards(self._arn)
        except AwsError as error:
            if error.name != "ResourceNotFound":
                raise
            # A stream that was turned off stays readable for 24 hours; this one is gone.
            self._note_lost(self._now() - STREAM_RETENTION_S)
            return
        self._shards = {shard.id: shard for shard in shards}
        wanted = await self._select()
        self._skipped = self._shards.keys() - wanted
        for shard in shards:
            # The others start when their parent has been read to its end.
            if shard.id in wanted and shard.parent not in wanted:
                self._start(tasks, shard.id)

    def _start(self, tasks: anyio.abc.TaskGroup, shard: str) -> None:
        if shard not in self._started:
            self._started.add(shard)
            self._empty_answers[shard] = 0
            tasks.start_soon(self._read, tasks, shard)

    async def _select(self) -> set[str]:
        """The shards that can contain records from `since` on: those without children, and their ancestors as needed.

        A shard is closed before its children have records. So if the first record of every child is older than
        `since`, the shard and its ancestors have no records from `since` on.
        """
        children = {shard.parent for shard in self._shards.values()}
        wanted = {name for name in self._shards if name not in children}
        edge = set(wanted)
        while edge:
            with_parent = [name for name in edge if self._shards[name].parent in self._shards]
            firsts: dict[str, float] = {}

            async def note_first(name: str, into: dict[str, float]) -> None:
                into[name] = await self._first_second(name)

            async with anyio.create_task_group() as tasks:
                for name in with_parent:
                    tasks.start_soon(note_first, name, firsts)
            parents = {self._shards[name].parent for name in with_parent if firsts[name] >= self._since}
            edge = {name for name in parents if name is not None} - wanted
            wanted |= edge
        return wanted

    async def _first_second(self, shard: str) -> float:
        """The time of the first record of a shard; infinite if a few answers show none."""
        answers = 0
        pages = self._reader.answers(self._arn, shard)
        try:
            async with self._slots:
                async for answer in pages:
                    if records := parse_records(answer):
                        return _second(records[0])
                    answers += 1
                    if answers == _FIRST_RECORD_ANSWERS:
                        break
        except AwsError as error:
            if error.name not in ("TrimmedDataAccess", "ResourceNotFound"):
                raise
        finally:
            await pages.aclose()
        return math.inf

    async def _read(self, tasks: anyio.abc.TaskGroup, shard: str) -> None:
        """Read one shard to its end, then start its children."""
        self.shards_read += 1
        parent = self._shards[shard].parent
        if parent is None or parent not in self._started:
            self._note_lost(self._now() - STREAM_RETENTION_S)
        while True:
            try:
                await self._read_to_end(shard)
                break
            except AwsError as error:
                if error.name not in ("TrimmedDataAccess", "ResourceNotFound"):
                    raise
                # Records were trimmed before they were read: continue with the oldest that is left.
                self._note_lost(self._now() - STREAM_RETENTION_S)
                if error.name == "ResourceNotFound":
                    break
        for child in await self._children(shard):
            self._start(tasks, child)
        del self._empty_answers[shard]
        self._notify()

    async def _children(self, shard: str) -> list[str]:
        """The children of a shard that are to be read. A shard that is closed while it is read gets new ones.

        Lists the shards again if the children are not known yet. Children that a listing for another shard found
        count too.
        """
        for listing in range(_CHILD_LISTINGS):
            children = [child.id for child in self._shards.values() if child.parent == shard]
            # The pages of a listing are not of one moment: it may lack a child of a shard that was open then.
            if children and not self._shards[shard].is_open:
                return [child for child in children if child not in self._skipped]
            if listing:
                await self._sleep(_POLL_S)
            self._shards |= {child.id: child for child in await self._reader.shards(self._arn)}
        children = [child.id for child in self._shards.values() if child.parent == shard]
        return [child for child in children if child not in self._skipped]

    async def _read_to_end(self, shard: str) -> None:
        pages = self._reader.answers(self._arn, shard)
        try:
            while True:
                async with self._slots:
                    answer = await anext(pages, None)
                if answer is None:
                    return
                last = await self._on_answer(answer)
                self._count_empty(shard, last)
                if last is None:
                    await self._sleep(_POLL_S if self._until == math.inf else _CATCH_UP_POLL_S)
        finally:
            await pages.aclose()

    def _count_empty(self, shard: str, last: float | None) -> None:
        """Update how many consecutive answers of the shard were empty; a record from `until` on ends the wait at
        once. `last` is the second of the last record."""
        if last is None:
            self._empty_answers[shard] += 1
        elif last >= self._until:
            self._empty_answers[shard] = _EMPTY_ANSWERS
        else:
            self._empty_answers[shard] = 0
        self._notify()

    def _note_lost(self, before: float) -> None:
        """Note that records from before `before` may have been trimmed."""
        self.lost_before = max(self.lost_before, before)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _second(record: dict[str, Any]) -> float:
    return float(record["dynamodb"]["ApproximateCreationDateTime"])


def lost_before(followers: Iterable[Follower]) -> float:
    """Records from before this second may be missing from what was read."""
    return max((follower.lost_before for follower in followers), default=-math.inf)

"""A table in memory that behaves as badly as DynamoDB and the network may, and everything around one sitting.

Writes are conditional and applied at a moment between request and answer, or after the answer was lost, or never.
Other writers count up markers and delete items meanwhile. What has fired is counted by who caused it.
"""

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc

from refire_async.aws.errors import AwsError, Disposition, ThrottlingReason, member_disposition
from refire_async.checkpoint.journal import Journal
from refire_async.checkpoint.ledger import Ledger
from refire_async.checkpoint.store import Store
from refire_async.events import Event
from refire_async.model.capacity import TABLE, Consumed
from refire_async.model.counts import Counts
from refire_async.model.keys import Cursor, Item, Key
from refire_async.model.run import RunStatus
from refire_async.model.stop import StopRequest
from refire_async.pacing.budget import ReadBudget, WriteBudget
from refire_async.pacing.outage import Outage
from refire_async.pipeline import Context, run_pipeline
from refire_async.pipeline.writers.base import MemberError, WriteReply
from refire_async.sources.base import SourcePage
from refire_async.sources.lookup import Found
from tests.support.checkpoints import SPEC, item

ARN = "arn:aws:dynamodb:eu-west-1:1:table/t"
THROTTLED = "ProvisionedThroughputExceededException"


@dataclass
class Weather:
    """How likely each trouble is, per call or (`member_…`) per item."""

    read_error: float = 0.0
    stale_read: float = 0.0
    unprocessed: float = 0.0
    throttled: float = 0.0
    retry: float = 0.0
    lost_answer: float = 0.0
    never_arrives: float = 0.0
    late: float = 0.0
    member_throttled: float = 0.0
    member_unknown: float = 0.0
    silent_capacity: float = 0.0


CALM = Weather()
STORM = Weather(0.15, 0.15, 0.3, 0.15, 0.1, 0.2, 0.4, 0.3, 0.08, 0.05, 0.3)


@dataclass
class World:
    """The table. `revision` of an item is None where the marker is missing."""

    sizes: Sequence[int]
    draw: random.Random
    weather: Weather = field(default_factory=Weather)
    tasks: anyio.abc.TaskGroup | None = None

    def __post_init__(self) -> None:
        self.items: dict[str, int | None] = {}
        self.segments = [[f"{s}-{n:04}" for n in range(size)] for s, size in enumerate(self.sizes)]
        for names in self.segments:
            for name in names:
                self.items[name] = self.draw.choice([None, None, 1, 7])
        self.first = dict(self.items)
        self.before: dict[str, int | None] = {}
        """What a replica that is behind still shows."""
        self.fired: Counter[str] = Counter()
        self.wrote: dict[str, int] = {}
        """The marker that the run wrote."""
        self.by_others: Counter[str] = Counter()
        self.deleted: set[str] = set()
        self.put_back: set[str] = set()
        """Items that an application has put back as they once were."""
        self.had: defaultdict[str, list[int | None]] = defaultdict(list)
        self.touched_from: defaultdict[str, list[int | None]] = defaultdict(list)
        self.taken_back: Counter[str] = Counter()
        """Second touches that started from exactly the marker of an earlier one: the limit that the design names."""
        self.steps = itertools.count()
        self.read_first: dict[str, int] = {}
        self.last_record: dict[str, int] = {}
        """Steps at which the run first read an item, and at which it last emitted a record."""
        self.unwritable: set[str] = set()
        self.poison: set[str] = set()
        """Items that spoil the whole request that they are in."""
        self.on_write: Callable[[], None] | None = None

    def seen(self, name: str) -> Item:
        """The item as a read shows it."""
        return item(name, self.items[name])

    def touch(self, one: Item) -> bool:
        """A conditional update. Returns whether its condition held."""
        name = one["pk"]["S"]
        read = int(one["revision"]["N"]) if "revision" in one else None
        if name not in self.items or self.items[name] != read:
            return False
        # A second touch is a broken promise, unless the marker was taken back to what it was before the first.
        assert not self.touched_from[name] or read in self.touched_from[name], f"{name} fired twice"
        self.taken_back[name] += bool(self.touched_from[name])
        self.touched_from[name].append(read)
        self.had[name].append(read)
        self.last_record[name] = next(self.steps)
        self.items[name] = (read or 0) + 1
        self.fired[name] += 1
        self.wrote[name] = (read or 0) + 1
        return True

    async def others(self, changes: int, pause_s: float, *, old_copies: bool = False) -> None:
        """Other writers: they count the marker up as well, or delete items, or put them back as they once were."""
        for _ in range(changes if self.first else 0):
            await anyio.sleep(self.draw.uniform(0, pause_s))
            name = self.draw.choice(list(self.first))
            if name not in self.items:
                continue
            self.had[name].append(self.items[name])
            old = self.draw.choice(self.had[name]) if old_copies else self.items[name]
            self.by_others[name] += 1
            self.last_record[name] = next(self.steps)
            if old != self.items[name]:
                self.before[name] = self.items[name]
                self.items[name] = old
                self.put_back.add(name)
            elif self.draw.random() < 0.3:
                del self.items[name]
                self.deleted.add(name)
            else:
                self.before[name] = self.items[name]
                self.items[name] = (self.items[name] or 0) + 1

    def chance(self, probability: float) -> bool:
        return self.draw.random() < probability

    def check_promises(self, counts: Counts) -> None:
        """Once, Coverage, No harm and Honest end, for a run that is complete."""
        assert all(times == 1 + self.taken_back[name] for name, times in self.fired.items())
        for name in self.items:
            assert name in self.put_back or self.items[name] == self.expected(name)
            if name not in self.unwritable | self.poison:
                assert self.fired[name] or self.by_others[name], f"{name} has not fired"
                # A read that is behind may be followed by no record: what it did not show is older than it.
                if not self.weather.stale_read and name in self.read_first:
                    assert self.last_record[name] > self.read_first[name], f"{name} fired before it was read"
        assert set(self.items) == set(self.first) - self.deleted
        # An item that was deleted before its page was read was not met at all.
        assert len(self.items) <= counts.scanned <= len(self.first)
        assert counts.settled == counts.scanned
        assert counts.touched <= self.fired.total()
        assert len(self.fired) <= counts.touched + counts.already + counts.vanished
        assert counts.conflicts <= counts.touched
        assert counts.vanished <= len(self.deleted)

    def expected(self, name: str) -> int | None:
        """The marker after everybody's changes, none of them lost."""
        changes = self.fired[name] + self.by_others[name]
        return (self.first[name] or 0) + changes if changes else self.first[name]


class FakeSource:
    """The world's segments, page by page."""

    def __init__(self, world: World, *, carries_marker: bool = True, may_repeat: bool = False) -> None:
        self._world = world
        self.carries_marker = carries_marker
        self.may_repeat = may_repeat
        self.total_segments = len(world.segments)
        self.reads = 0

    async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
        """See `Source.read`."""
        world = self._world
        self.reads += 1
        await anyio.sleep(world.draw.uniform(0.001, 0.030))
        _maybe_fail(world)
        after = "" if cursor is None else cursor["pk"]["S"]
        names = [name for name in world.segments[segment] if name > after]
        taken, more = names[:limit], len(names) > limit
        items = [self._shown(name) for name in taken if name in world.items]
        if self.may_repeat and 1 < len(items) < limit:
            items.insert(0, world.draw.choice(items))  # it moved within the index
        end = {"pk": {"S": taken[-1]}} if more else None
        return SourcePage(items, end, 0.5, None)

    def _shown(self, name: str) -> Item:
        self._world.read_first.setdefault(name, next(self._world.steps))
        if not self.carries_marker:
            return item(name)
        if name in self._world.before and self._world.chance(self._world.weather.stale_read):
            return item(name, self._world.before[name])
        return self._world.seen(name)


class FakeLookup:
    """Reads of given keys; one that is not consistent may show what was there before, or miss what is new."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def read(self, keys: Sequence[Key], *, consistent: bool = True) -> Found:
        """See `Lookup.read`. Refuses duplicates, as the service does."""
        world = self._world
        names = [key["pk"]["S"] for key in keys]
        assert len(set(names)) == len(names) <= 100
        await anyio.sleep(world.draw.uniform(0.001, 0.030))
        _maybe_fail(world)
        left = [key for key in keys if world.chance(world.weather.unprocessed)]
        found = []
        for name in names:
            if name in world.items and {"pk": {"S": name}} not in left:
                behind = not consistent and world.chance(world.weather.stale_read)
                if behind and name in world.before:
                    found.append(item(name, world.before[name]))
                elif not behind:
                    found.append(world.seen(name))
        return Found(found, left, float(len(keys)))


def _maybe_fail(world: World) -> None:
    if world.chance(world.weather.read_error):
        code = world.draw.choice([THROTTLED, "InternalServerError", "ConnectionReset"])
        kind = Disposition.THROTTLED if code == THROTTLED else Disposition.UNKNOWN
        raise AwsError(code, f"read failed: {code}", kind)


class FakeWriter:
    """Writes to the world through a bad network."""

    def __init__(self, world: World, largest: int = 25) -> None:
        self._world = world
        self.largest = largest
        self.at_once = 0
        self.most_at_once = 0

    async def write(self, items: Sequence[Item]) -> WriteReply:
        """See `Writer.write`."""
        world, weather = self._world, self._world.weather
        names = [one["pk"]["S"] for one in items]
        assert len(set(names)) == len(names) <= self.largest
        if world.on_write is not None:
            world.on_write()
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await anyio.sleep(world.draw.uniform(0.001, 0.020))
            if world.chance(weather.throttled):
                raise self._throttling()
            if world.poison & set(names):
                raise AwsError("ValidationException", "refused", Disposition.ITEM, detail="spoilt")
            if world.chance(weather.retry):
                raise AwsError("ReplicatedWriteConflictException", "refused", Disposition.RETRY)
            return await self._deliver(items)
        finally:
            self.at_once -= 1

    async def _deliver(self, items: Sequence[Item]) -> WriteReply:
        world, weather = self._world, self._world.weather
        assert world.tasks is not None
        arrived, replies = anyio.Event(), []
        lost = world.chance(weather.lost_answer)
        if not (lost and world.chance(weather.never_arrives)):
            delay = world.draw.uniform(0.001, 0.030)
            if lost and world.chance(weather.late):
                delay = world.draw.uniform(0.1, 30.0)  # still on its way when it is sent again

            async def apply() -> None:
                await anyio.sleep(delay)
                replies.append(self._apply(items))
                arrived.set()

            # The service goes on with it whatever becomes of the client.
            world.tasks.start_soon(apply)
        if lost:
            await anyio.sleep(world.draw.uniform(0.001, 0.050))
            raise AwsError("ReadTimeout", "no answer", Disposition.UNKNOWN)
        await arrived.wait()
        await anyio.sleep(world.draw.uniform(0.001, 0.010))
        return replies[0]

    def _apply(self, items: Sequence[Item]) -> WriteReply:
        world, weather = self._world, self._world.weather
        errors: dict[int, MemberError] = {}
        for position, one in enumerate(items):
            code = ""
            if one["pk"]["S"] in world.unwritable:
                code = "ValidationError"
            elif world.chance(weather.member_throttled):
                code = "ThrottlingError"
            elif world.chance(weather.member_unknown):
                code = "InternalServerError"
                if world.chance(0.5):
                    world.touch(one)
            elif not world.touch(one):
                code = "ConditionalCheckFailed"
            if code:
                errors[position] = MemberError(code, member_disposition(code), f"{code} {one['pk']['S']}")
        taken = float(len(items) - len(errors))
        silent = not taken or world.chance(weather.silent_capacity)
        return WriteReply(None if silent else Consumed(taken, {TABLE: taken}), errors)

    def _throttling(self) -> AwsError:
        reason = self._world.draw.choice(
            [
                (),
                (ThrottlingReason("TableWriteKeyRangeThroughputExceeded", ARN),),
                (ThrottlingReason("TableWriteProvisionedThroughputExceeded", ARN),),
                (ThrottlingReason("IndexWriteProvisionedThroughputExceeded", f"{ARN}/index/g"),),
            ]
        )
        return AwsError(THROTTLED, "throttled", Disposition.THROTTLED, reasons=reason)


@dataclass
class Sitting:
    """One sitting of a run: what it works with, and what it told."""

    context: Context
    events: list[Event]
    workers: int
    max_items: int | None

    async def run(self) -> RunStatus:
        """Work until the end or a stop."""
        return await run_pipeline(
            self.context, self.segments(), workers=self.workers, max_items=self.max_items
        )

    def segments(self) -> Iterator[int]:
        return iter(range(self.context.source.total_segments))

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of this kind."""
        return [event for event in self.events if isinstance(event, kind)]


def sit(
    world: World,
    store: Store,
    *,
    source: FakeSource | None = None,
    writer: FakeWriter | None = None,
    stop: StopRequest | None = None,
    workers: int = 4,
    max_items: int | None = None,
    wcu: float = 10_000.0,
    rcu: float = 24.0,
    give_up_after_s: float = 600.0,
) -> Sitting:
    """A sitting that goes on where `store` stands. 24 RCU make pages of 19 items."""
    source = source or FakeSource(world)
    progress, number = store.progress(range(source.total_segments)), store.load().next_attempt * 1_024
    ledger = Ledger(number << 20)
    ledger.restore(progress.segments, progress.pages)
    events: list[Event] = []
    context = Context(
        spec=SPEC,
        source=source,
        lookup=FakeLookup(world),  # type: ignore[arg-type] # the same method
        writer=writer or FakeWriter(world),
        journal=Journal(store, ledger, number),
        write_budget=WriteBudget({TABLE: wcu, "g": wcu}),
        read_budget=ReadBudget(rcu),
        outage=Outage(give_up_after_s, events.append),
        emit=events.append,
        stop=stop or StopRequest(),
        item_bytes=1_000.0,
        draw=random.Random(world.draw.random()),
    )
    return Sitting(context, events, workers, max_items)


@asynccontextmanager
async def world_of(*sizes: int, weather: Weather | None = None) -> AsyncIterator[World]:
    """A world with segments of these sizes, and a place for its tasks."""
    world = World(sizes, random.Random(1), weather or Weather())
    async with anyio.create_task_group() as world.tasks:
        yield world

"""A table in memory with the faults of DynamoDB and the network, and a source, lookup and writer for it.

Writes are conditional and applied at a time between request and answer, or after the answer was lost, or never.
Other writers increment markers and delete items meanwhile. Records are counted separately for the run and for them.
"""

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.abc

from refire_async.aws.answers import Found
from refire_async.aws.errors import AwsError, Disposition, ThrottlingReason, member_disposition
from refire_async.model.capacity import TABLE, Consumed
from refire_async.model.counts import Counts
from refire_async.model.keys import Cursor, Item, Key
from refire_async.pipeline.writers.base import MemberError, WriteReply
from refire_async.sources.base import SourcePage
from tests.support.checkpoints import item

ARN = "arn:aws:dynamodb:eu-west-1:1:table/t"
THROTTLED = "ProvisionedThroughputExceededException"


@dataclass(kw_only=True)
class FaultProfile:
    """The probability of each fault, per call or (`member_…`) per item."""

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


NO_FAULTS = FaultProfile()
MANY_FAULTS = FaultProfile(
    read_error=0.15,
    stale_read=0.15,
    unprocessed=0.3,
    throttled=0.15,
    retry=0.1,
    lost_answer=0.2,
    never_arrives=0.4,
    late=0.3,
    member_throttled=0.08,
    member_unknown=0.05,
    silent_capacity=0.3,
)


@dataclass
class FakeTable:
    """A table whose items have a key and a `revision`, None if the marker is missing."""

    sizes: Sequence[int]
    draw: random.Random
    faults: FaultProfile = field(default_factory=FaultProfile)
    tasks: anyio.abc.TaskGroup | None = None

    def __post_init__(self) -> None:
        self.items: dict[str, int | None] = {}
        self.segments = [[f"{s}-{n:04}" for n in range(size)] for s, size in enumerate(self.sizes)]
        for names in self.segments:
            for name in names:
                self.items[name] = self.draw.choice([None, None, 1, 7])
        self.first = dict(self.items)
        self.before: dict[str, int | None] = {}
        """The markers that a stale read returns."""
        self.fired: Counter[str] = Counter()
        self.wrote: dict[str, int] = {}
        """The markers that the run wrote."""
        self.other_changes: Counter[str] = Counter()
        self.deleted: set[str] = set()
        self.restored: set[str] = set()
        """Items that an application has restored to an older state."""
        self.markers_before: defaultdict[str, list[int | None]] = defaultdict(list)
        self.touched_from: defaultdict[str, list[int | None]] = defaultdict(list)
        self.repeated_touches: Counter[str] = Counter()
        """Second touches of an item whose marker was restored to its value before the first (the limit of Once)."""
        self.steps = itertools.count()
        self.read_first: dict[str, int] = {}
        self.last_record: dict[str, int] = {}
        """Steps at which the run first read an item, and at which it last emitted a record."""
        self.unwritable: set[str] = set()
        self.poison: set[str] = set()
        """Items that make DynamoDB reject the whole request that holds them."""
        self.on_write: Callable[[], None] | None = None

    def seen(self, name: str) -> Item:
        """The item as a consistent read returns it."""
        return item(name, self.items[name])

    def touch(self, one: Item) -> bool:
        """A conditional update. Returns whether its condition held."""
        name = one["pk"]["S"]
        read = int(one["revision"]["N"]) if "revision" in one else None
        if name not in self.items or self.items[name] != read:
            return False
        # A second touch breaks Once, unless the marker was restored to its value before the first.
        assert not self.touched_from[name] or read in self.touched_from[name], f"{name} fired twice"
        self.repeated_touches[name] += bool(self.touched_from[name])
        self.touched_from[name].append(read)
        self.markers_before[name].append(read)
        self.last_record[name] = next(self.steps)
        self.items[name] = (read or 0) + 1
        self.fired[name] += 1
        self.wrote[name] = (read or 0) + 1
        return True

    async def others(self, changes: int, pause_s: float, *, old_copies: bool = False) -> None:
        """Other writers increment the marker, delete items or (`old_copies`) restore them to an older state."""
        for _ in range(changes if self.first else 0):
            await anyio.sleep(self.draw.uniform(0, pause_s))
            name = self.draw.choice(list(self.first))
            if name not in self.items:
                continue
            self.markers_before[name].append(self.items[name])
            old = self.draw.choice(self.markers_before[name]) if old_copies else self.items[name]
            self.other_changes[name] += 1
            self.last_record[name] = next(self.steps)
            if old != self.items[name]:
                self.before[name] = self.items[name]
                self.items[name] = old
                self.restored.add(name)
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
        assert all(times == 1 + self.repeated_touches[name] for name, times in self.fired.items())
        for name in self.items:
            assert name in self.restored or self.items[name] == self.expected(name)
            if name not in self.unwritable | self.poison:
                assert self.fired[name] or self.other_changes[name], f"{name} has not fired"
                # A stale read may be followed by no record: the change that it did not show is older than the read.
                if not self.faults.stale_read and name in self.read_first:
                    assert self.last_record[name] > self.read_first[name], f"{name} fired before it was read"
        assert set(self.items) == set(self.first) - self.deleted
        # An item that was deleted before its page was read does not count as scanned.
        assert len(self.items) <= counts.scanned <= len(self.first)
        assert counts.settled == counts.scanned
        assert counts.touched <= self.fired.total()
        assert len(self.fired) <= counts.touched + counts.already + counts.vanished
        assert counts.conflicts <= counts.touched
        assert counts.vanished <= len(self.deleted)

    def expected(self, name: str) -> int | None:
        """The marker after the changes of the run and of the other writers, if none is lost."""
        changes = self.fired[name] + self.other_changes[name]
        return (self.first[name] or 0) + changes if changes else self.first[name]


class FakeSource:
    """A source that reads the table's segments page by page."""

    def __init__(self, table: FakeTable, *, carries_marker: bool = True, may_repeat: bool = False) -> None:
        self._world = table
        self.carries_marker = carries_marker
        self.may_repeat = may_repeat
        self.total_segments = len(table.segments)
        self.reads = 0

    async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
        """See `Source.read`."""
        table = self._world
        self.reads += 1
        await anyio.sleep(table.draw.uniform(0.001, 0.030))
        _maybe_fail(table)
        after = "" if cursor is None else cursor["pk"]["S"]
        names = [name for name in table.segments[segment] if name > after]
        taken, more = names[:limit], len(names) > limit
        items = [self._shown(name) for name in taken if name in table.items]
        if self.may_repeat and 1 < len(items) < limit:
            items.insert(0, table.draw.choice(items))  # it moved within the index
        end = {"pk": {"S": taken[-1]}} if more else None
        return SourcePage(items, end, 0.5, None)

    def _shown(self, name: str) -> Item:
        self._world.read_first.setdefault(name, next(self._world.steps))
        if not self.carries_marker:
            return item(name)
        if name in self._world.before and self._world.chance(self._world.faults.stale_read):
            return item(name, self._world.before[name])
        return self._world.seen(name)


class FakeLookup:
    """ReadRetries of given keys; one that is not consistent may show what was there before, or miss what is new."""

    def __init__(self, table: FakeTable) -> None:
        self._world = table

    async def read(self, keys: Sequence[Key], *, consistent: bool = True) -> Found:
        """See `Lookup.read`. Refuses duplicates, as the service does."""
        table = self._world
        names = [key["pk"]["S"] for key in keys]
        assert len(set(names)) == len(names) <= 100
        await anyio.sleep(table.draw.uniform(0.001, 0.030))
        _maybe_fail(table)
        left = [key for key in keys if table.chance(table.faults.unprocessed)]
        found = []
        for name in names:
            if name in table.items and {"pk": {"S": name}} not in left:
                behind = not consistent and table.chance(table.faults.stale_read)
                if behind and name in table.before:
                    found.append(item(name, table.before[name]))
                elif not behind:
                    found.append(table.seen(name))
        return Found(found, left, float(len(keys)))


def _maybe_fail(table: FakeTable) -> None:
    if table.chance(table.faults.read_error):
        code = table.draw.choice([THROTTLED, "InternalServerError", "ConnectionReset"])
        kind = Disposition.THROTTLED if code == THROTTLED else Disposition.UNKNOWN
        raise AwsError(code, f"read failed: {code}", kind)


class FakeWriter:
    """Writes to the table through a network that loses and delays requests and answers."""

    def __init__(self, table: FakeTable, largest: int = 25) -> None:
        self._world = table
        self.largest = largest
        self.at_once = 0
        self.most_at_once = 0

    async def write(self, items: Sequence[Item]) -> WriteReply:
        """See `Writer.write`."""
        table, faults = self._world, self._world.faults
        names = [one["pk"]["S"] for one in items]
        assert len(set(names)) == len(names) <= self.largest
        if table.on_write is not None:
            table.on_write()
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await anyio.sleep(table.draw.uniform(0.001, 0.020))
            if table.chance(faults.throttled):
                raise self._throttling()
            if table.poison & set(names):
                raise AwsError("ValidationException", "refused", Disposition.ITEM, detail="invalid")
            if table.chance(faults.retry):
                raise AwsError("ReplicatedWriteConflictException", "refused", Disposition.RETRY)
            return await self._deliver(items)
        finally:
            self.at_once -= 1

    async def _deliver(self, items: Sequence[Item]) -> WriteReply:
        table, faults = self._world, self._world.faults
        assert table.tasks is not None
        arrived, replies = anyio.Event(), []
        lost = table.chance(faults.lost_answer)
        if not (lost and table.chance(faults.never_arrives)):
            delay = table.draw.uniform(0.001, 0.030)
            if lost and table.chance(faults.late):
                delay = table.draw.uniform(0.1, 30.0)  # still on its way when it is sent again

            async def apply() -> None:
                await anyio.sleep(delay)
                replies.append(self._apply(items))
                arrived.set()

            # The service applies the write even if the client no longer waits.
            table.tasks.start_soon(apply)
        if lost:
            await anyio.sleep(table.draw.uniform(0.001, 0.050))
            raise AwsError("ReadTimeout", "no answer", Disposition.UNKNOWN)
        await arrived.wait()
        await anyio.sleep(table.draw.uniform(0.001, 0.010))
        return replies[0]

    def _apply(self, items: Sequence[Item]) -> WriteReply:
        table, faults = self._world, self._world.faults
        errors: dict[int, MemberError] = {}
        for position, one in enumerate(items):
            code = ""
            if one["pk"]["S"] in table.unwritable:
                code = "ValidationError"
            elif table.chance(faults.member_throttled):
                code = "ThrottlingError"
            elif table.chance(faults.member_unknown):
                code = "InternalServerError"
                if table.chance(0.5):
                    table.touch(one)
            elif not table.touch(one):
                code = "ConditionalCheckFailed"
            if code:
                errors[position] = MemberError(code, member_disposition(code), f"{code} {one['pk']['S']}")
        taken = float(len(items) - len(errors))
        silent = not taken or table.chance(faults.silent_capacity)
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

"""Failed batches as a source: the ranges that they name, shard by shard, in ascending order.

Each range stands for a shard of its own in the sink, since an earlier attempt may have had other ranges of the same
shard. Ranges of one shard follow each other; shards are read side by side.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
import orjson

from refire_async.aws.errors import AwsError
from refire_async.aws.streams import StreamReader
from refire_async.delivery.failed_batch import Range
from refire_async.delivery.keys import canonical_key
from refire_async.delivery.patterns import Patterns
from refire_async.delivery.record import EventRecord
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.sink import Preview, Sink, Skipped
from refire_async.delivery.sources.preview import PreviewCounts
from refire_async.delivery.sources.slicing import slice_answer
from refire_async.errors import RefireError, UsageError, first_of
from refire_async.events import Emit, RecordsLost
from refire_async.model.units import STREAM_RETENTION_S

Settled: TypeAlias = Callable[[Range, bool], Awaitable[None]]
"""Called when every record of a range is settled; True: all of them were delivered."""

END = "end"
_AT_ONCE = 8
_EMPTY_ANSWERS = 8
"""Answers without a record, one after the other, that end a range in an open shard (API reference: GetRecords)."""

_IDLE_S = 0.25
_WHY_TRIMMED = "the stream keeps records for 24 hours"


@dataclass(slots=True)
class _Page:
    """Records of a range, and what was left out in front of them."""

    records: list[EventRecord]
    skipped: Skipped = field(default_factory=Skipped)


class FailedBatches:
    """See `Source`."""

    def __init__(
        self,
        ranges: Mapping[tuple[str, str], Sequence[Range]],
        reader: StreamReader,
        patterns: Patterns,
        rules: DeliveryRules,
        *,
        emit: Emit,
        settled: Settled,
        now: Callable[[], float],
    ) -> None:
        """`ranges` by stream and shard, ascending (failed_batch.py). `now` is the service's time."""
        self._ranges = ranges
        self._reader = reader
        self._patterns = patterns
        self._rules = rules
        self._emit = emit
        self._settled = settled
        self._now = now
        self._slots = anyio.CapacityLimiter(_AT_ONCE)
        self.skipped = Skipped()
        self.mismatches: list[tuple[Range, int]] = []
        """Ranges of which `preview` found another number of records than their batches had, with that number."""

    async def preview(self) -> Preview:
        """See `Source`."""
        counts, skipped = PreviewCounts(self._rules), Skipped()
        self.mismatches.clear()

        async def look(of_shard: Sequence[Range]) -> None:
            for one in of_shard:
                found, lost = 0, 0
                async with aclosing(self._pages(one)) as pages:
                    async for page in pages:
                        counts.add(one.name, page.records)
                        _add(skipped, page.skipped)
                        found += len(page.records)
                        lost += page.skipped.lost
                if found + lost != one.expected and (len(one.batches) == 1 or found > one.expected):
                    self.mismatches.append((one, found))

        await self._side_by_side(look)
        return counts.preview(skipped)

    async def feed(self, sink: Sink) -> None:
        """See `Source`."""

        async def deliver(of_shard: Sequence[Range]) -> None:
            for one in of_shard:
                await self._deliver(one, sink)

        await self._side_by_side(deliver)

    async def _deliver(self, one: Range, sink: Sink) -> None:
        into = await sink.open_shard(one.name)
        lost = 0
        if into.token != END:
            async with aclosing(self._pages(one)) as pages:
                async for page in pages:
                    if page.skipped.lost:
                        before = self._now() - STREAM_RETENTION_S
                        self._emit(RecordsLost(one.name, one.last_arrival or before, _WHY_TRIMMED))
                    _add(self.skipped, page.skipped)
                    lost += page.skipped.lost
                    await into.put(page.records, "", page.skipped)
            if not lost:
                await into.put((), END)
        failed = await into.drain()
        await self._settled(one, not failed and not lost)

    async def _side_by_side(self, work: Callable[[Sequence[Range]], Coroutine[Any, Any, None]]) -> None:
        """Do `work` for each shard's ranges. Raises RefireError."""
        failure: RefireError | None = None
        try:
            async with anyio.create_task_group() as tasks:
                for of_shard in self._ranges.values():
                    tasks.start_soon(work, of_shard)
        except* RefireError as group:
            failure = first_of(group)
        if failure is not None:
            raise failure

    async def _pages(self, one: Range) -> AsyncGenerator[_Page]:
        """The records of a range in order, a few at a time. Those of the stream have passed the filters."""
        if one.exact:
            yield _Page(_exact(one))
            return
        found = 0
        try:
            async with aclosing(self._read(one, at=one.start)) as answers:
                async for records in answers:
                    page = self._sift(records)
                    found += len(page.records)
                    yield page
        except AwsError as error:
            if error.name not in ("TrimmedDataAccess", "ResourceNotFound"):
                raise
            gone = error.name == "ResourceNotFound"
        else:
            return
        # What the records of failed batches hold themselves is not lost.
        exact = _exact(one)
        rest = [] if gone else [page async for page in self._rest(one)]
        begun = min((record.sequence for page in rest for record in page.records), default=one.last + 1)
        head = [record for record in exact if record.sequence < begun]
        found += len(head) + sum(len(page.records) for page in rest)
        yield _Page(head, Skipped(lost=max(one.expected - found, 0)))
        for page in rest:
            yield page

    async def _rest(self, one: Range) -> AsyncGenerator[_Page]:
        """What the stream still has of a range whose beginning is trimmed."""
        try:
            async for records in self._read(one):
                yield self._sift(records)
        except AwsError as error:
            if error.name not in ("TrimmedDataAccess", "ResourceNotFound"):
                raise

    async def _read(self, one: Range, at: str | None = None) -> AsyncGenerator[list[EventRecord]]:
        empty = 0
        answers = self._reader.answers(one.stream_arn, one.shard_id, at=at)
        async with aclosing(answers):
            while True:
                async with self._slots:
                    answer = await anext(answers, None)
                if answer is None:
                    return
                records = slice_answer(answer, one.stream_arn).records
                if records:
                    empty = 0
                    within = [record for record in records if one.first <= record.sequence <= one.last]
                    if within:
                        yield within
                    if records[-1].sequence >= one.last:
                        return
                else:
                    empty += 1
                    if empty == _EMPTY_ANSWERS:
                        return
                    await anyio.sleep(_IDLE_S)

    def _sift(self, records: list[EventRecord]) -> _Page:
        passing = [record for record in records if self._patterns.passes(record)]
        return _Page(passing, Skipped(filtered=len(records) - len(passing)))


def _exact(one: Range) -> list[EventRecord]:
    """The records that the failed batches of a range carry, each once, in ascending order. Raises UsageError."""
    found: dict[int, EventRecord] = {}
    for batch in one.batches:
        for record in batch.load() if batch.load is not None else ():
            event = event_record(record, batch.where)
            found[event.sequence] = event
    return [found[sequence] for sequence in sorted(found)]


def event_record(record: dict[str, Any], where: str) -> EventRecord:
    """A record out of an event, as it was delivered before. Raises UsageError that names `where`."""
    change = record["dynamodb"]
    kind, created = record.get("eventName"), change.get("ApproximateCreationDateTime", 0)
    if kind not in ("INSERT", "MODIFY", "REMOVE") or not isinstance(created, int | float):
        raise UsageError(
            f"{where} has a payload with something else than stream records",
            "give the invocation records of an on-failure destination",
        )
    try:
        key = canonical_key(change["Keys"])
    except ValueError as error:
        raise UsageError(
            f"{where} has a record with a bad key: {error}",
            "give the invocation records of an on-failure destination",
        ) from None
    return EventRecord(orjson.dumps(record), key, int(change["SequenceNumber"]), float(created), kind)


def _add(total: Skipped, more: Skipped) -> None:
    total.filtered += more.filtered
    total.lost += more.lost

"""A run in a checkpoint table, open for one task. See `RunStore`.

A page is a blob, written once; then one conditional write of its segment's item puts it among the open pages, moves the
cursor, and closes the segment's earlier pages. Writes of a segment fail once another process has its epoch.

Which pages are acknowledged is written with the next page of their segment, or in a blob of its own after the last one,
and always before the segment's item leaves them out: a page that an item still has open is open, whatever a blob says.
"""

import time
from collections.abc import AsyncIterator, Callable, Container, Coroutine, Iterable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import orjson

from refire_async import failpoints
from refire_async.checkpoint.dynamodb import runs
from refire_async.checkpoint.dynamodb.blobs import Blobs
from refire_async.checkpoint.dynamodb.claims import Claim, lost
from refire_async.checkpoint.dynamodb.lists import SavedList, stored_keys
from refire_async.checkpoint.dynamodb.places import STREAM, process_name, segment_place
from refire_async.checkpoint.dynamodb.segments import SavedPage, SavedSegment
from refire_async.checkpoint.dynamodb.table import (
    AT_ONCE,
    DAMAGED,
    CheckpointTable,
    Condition,
    Fields,
    number,
    text,
)
from refire_async.checkpoint.invariants import broken_progress
from refire_async.checkpoint.ledger import Failure, OpenPage
from refire_async.checkpoint.pages import Note, amended, pack, shrunk, unpack
from refire_async.checkpoint.reading import Progress, SavedRun
from refire_async.checkpoint.run_store import (
    Commit,
    CursorMoved,
    Operation,
    PageAmended,
    PageClosed,
    PageOpened,
    PageShrunk,
)
from refire_async.checkpoint.shapes import conforms
from refire_async.errors import RefusedError, alone
from refire_async.folders import temporary_folder
from refire_async.model.counts import Totals
from refire_async.model.keys import Item
from refire_async.model.run import RunSpec, RunStatus
from refire_async.model.table import Stream

SAVE_AFTER_S = 5.0
"""Seconds after which what needs no write of its own is written: closed pages, totals."""


class TableStore:
    """See `RunStore`. `claim` is that of the task whose segments are written here; without one nothing is."""

    def __init__(
        self,
        table: CheckpointTable,
        spec: RunSpec,
        blobs: Blobs,
        *,
        task: int = 0,
        claim: Claim | None = None,
        keys: SavedList | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self.keys = None if keys is None else stored_keys(blobs, keys)
        """See `RunStore.keys`."""
        self._table = table
        self._spec = spec
        self._task = task
        self._claim = claim
        self._blobs = blobs
        self._segments: dict[int, SavedSegment] = {}
        self._contents: dict[int, list[Item]] = {}
        """Items of the open pages, as they are in their blobs."""
        self._unsaved: set[int] = set()
        self._closed: dict[int, list[tuple[int, int]]] = {}
        """By segment: number and last revision of closed pages that no blob says are acknowledged."""
        self._saved_at = 0.0
        self._process: tuple[int, Totals] | None = None
        """Totals of the process that are not saved yet."""

    @property
    def name(self) -> str:
        """See `RunStore.name`."""
        return f"dynamodb://{self._table.name}/{self._spec.run_id}"

    @property
    def outputs(self) -> Path:
        """See `RunStore.outputs`: in the folder for temporary files."""
        return (temporary_folder() or Path()) / f"{self._spec.run_id}.{self._task}"

    async def load(self) -> SavedRun:
        """See `RunStore.load`."""
        return await runs.load(self._table, self._spec.run_id)

    async def claim_segments(self, segments: Iterable[int]) -> None:
        """Raise the epoch of these segments, after which no earlier owner can write them, and read what they say.

        Raises StoppedError if a later owner has one.
        """
        claim = self._must_claim()
        epoch = {":epoch": number(claim.epoch)}
        condition = Condition("attribute_not_exists(epoch) OR epoch <= :epoch", epoch)
        limiter = anyio.CapacityLimiter(AT_ONCE)

        async def take(segment: int) -> None:
            async with limiter:
                place = segment_place(self._spec.run_id, segment)
                found = await self._table.update(*place, {"epoch": epoch[":epoch"]}, condition)
            if found is None:
                raise await lost(self._table, self._spec.run_id, self._task)
            self._segments[segment] = self._read(found)

        await _at_once(partial(take, segment) for segment in segments)

    async def progress(self, segments: Container[int]) -> Progress:
        """See `RunStore.progress`. The segments are claimed."""
        chosen = {segment: saved for segment, saved in self._segments.items() if segment in segments}
        found = await read_progress(self._table, self._spec, self._blobs, chosen)
        self._contents |= {page.number: list(page.items) for page in found.pages}
        return found

    async def commit(self, commit: Commit) -> None:
        """See `RunStore.commit`. Pages that only close are written with the next page of their segment, or later."""
        if failpoints.reached is not None:
            failpoints.reached("commit-begun")
        blobs: list[_NewBlob] = []
        urgent: set[int] = set()
        for operation in commit.operations:
            self._apply(operation, blobs, urgent)
        self._process = (commit.process, commit.totals)
        due = self.clock() >= self._saved_at + SAVE_AFTER_S or not commit.operations
        await _at_once(partial(self._blobs.write, *blob) for blob in blobs)
        if failpoints.reached is not None:
            failpoints.reached("commit-pending")
        await self._save(self._unsaved | urgent if due else urgent)
        if due:
            await self._save_process()
        if failpoints.reached is not None:
            failpoints.reached("committed")

    async def settle(self) -> None:
        """See `RunStore.settle`."""
        await self._save(set(self._unsaved))
        await self._save_process()

    async def start_attempt(self, stream: Stream) -> None:
        """See `RunStore.start_attempt`."""
        if stream.enabled and stream.arn is not None:
            await self._table.put(
                self._spec.run_id,
                f"{STREAM}{stream.arn}",
                {"data": text({"view_type": stream.view_type or ""})},
            )

    async def save_status(self, status: RunStatus) -> None:
        """See `RunStore.save_status`. A task that stops does not stop the run; the last one completes it."""
        await self.settle()
        if status == "complete":
            await runs.complete(self._table, self._spec.run_id, self.clock())

    async def save_clock(self, offset_s: float) -> None:
        """See `RunStore.save_clock`: all times here are the service's."""

    async def failures(self) -> AsyncIterator[list[Failure]]:
        """See `RunStore.failures`."""
        opened = open_pages(await runs.read_segments(self._table, self._spec))
        for page in opened.values():
            yield page.failures
        async for block in closed_failures(self._table, self._spec, self._blobs, opened):
            yield block

    def _apply(self, operation: Operation, blobs: list["_NewBlob"], urgent: set[int]) -> None:
        """Change the segment of an operation in memory, and add the blobs that must be written first."""
        match operation:
            case PageOpened(page, digests):
                if digests is not None:
                    raise RefusedError(
                        "an index can be scanned only with a checkpoint in a file",
                        "leave out --checkpoint dynamodb://…, or select by --key-value",
                    )
                opened = self.clock()
                self._segments[page.segment].open(page, opened)
                self._contents[page.number] = list(page.items)
                fields = {"opened": number(round(opened, 3)), **self._closed_fields(page.segment)}
                blobs.append((page.segment, _blob(page.number, 0), pack(page.items), fields))
                urgent.add(page.segment)
            case CursorMoved(segment, cursor):
                self._segments[segment].move(cursor)
                self._unsaved.add(segment)
            case PageClosed(page):
                revision = self._segments[page.segment].close(page)
                self._closed.setdefault(page.segment, []).append((page.number, revision))
                self._contents.pop(page.number, None)
                self._unsaved.add(page.segment)
                # A process that died may have written these of a page in doubt, and then not closed it.
                if page.notes or page.in_doubt:
                    blobs.append((page.segment, f"notes#{page.number}", orjson.dumps(page.notes), None))
                if page.failures or page.in_doubt:
                    content = orjson.dumps([asdict(failure) for failure in page.failures])
                    blobs.append((page.segment, f"{FAILURES}{page.number}", content, None))
            case PageAmended(page, present, first):
                self._amend(page, list(present), blobs, first=first)
                urgent.add(page.segment)
            case PageShrunk(page, rest):
                self._shrink(page, list(rest), blobs)
                urgent.add(page.segment)

    def _amend(self, page: OpenPage, present: list[Item], blobs: list["_NewBlob"], *, first: bool) -> None:
        items, notes = amended(self._spec.keys.names, self._contents[page.number], present)
        self._segments[page.segment].pages[page.number].revision += 1
        self._revise(page, items, notes if first else [], blobs)

    def _shrink(self, page: OpenPage, rest: list[Item], blobs: list["_NewBlob"]) -> None:
        _, notes = shrunk(self._spec.keys.names, self._contents[page.number], rest)
        self._segments[page.segment].pages[page.number].shrink(page, len(rest))
        self._revise(page, rest, [*page.notes, *notes], blobs)

    def _revise(self, page: OpenPage, items: list[Item], notes: list[Note], blobs: list["_NewBlob"]) -> None:
        """The open page has these items from now on; `notes` are on its earlier revision."""
        self._contents[page.number] = items
        revision = self._segments[page.segment].pages[page.number].revision
        if notes:
            blobs.append((page.segment, f"read#{page.number}#{revision}", orjson.dumps(notes), None))
        blobs.append((page.segment, _blob(page.number, revision), pack(items), None))

    def _closed_fields(self, segment: int) -> dict[str, Any]:
        """The attribute of a blob that says which pages are acknowledged."""
        closed = self._closed.pop(segment, None)
        return {} if closed is None else {"closed": text(closed)}

    async def _save(self, segments: set[int]) -> None:
        """Write the items of segments. Raises StoppedError if another process has one."""
        self._unsaved -= segments
        closed = [
            (segment, f"closed#{self._closed[segment][0][0]}", b"", self._closed_fields(segment))
            for segment in segments & self._closed.keys()
        ]
        await _at_once(partial(self._blobs.write, *blob) for blob in closed)
        await _at_once(partial(self._save_segment, segment) for segment in segments)

    async def _save_segment(self, segment: int) -> None:
        claim = self._must_claim()
        epoch = number(claim.epoch)
        fields = {**self._segments[segment].to_fields(), "epoch": epoch}
        place = segment_place(self._spec.run_id, segment)
        if not await self._table.put(*place, fields, Condition("epoch = :epoch", {":epoch": epoch})):
            raise await lost(self._table, self._spec.run_id, self._task)

    async def _save_process(self) -> None:
        self._saved_at = self.clock()
        if self._process is None:
            return
        (process, totals), self._process = self._process, None
        await self._table.put(
            self._spec.run_id, process_name(process), {"data": text({"task": self._task, **asdict(totals)})}
        )

    def _must_claim(self) -> Claim:
        if self._claim is None:
            raise RuntimeError("this store was opened for reading")
        return self._claim

    def _read(self, fields: Fields) -> SavedSegment:
        try:
            return SavedSegment.of(fields)
        except DAMAGED as error:
            raise self._table.damaged(self._spec.run_id, error) from error


async def read_progress(
    table: CheckpointTable, spec: RunSpec, blobs: Blobs, segments: Mapping[int, SavedSegment]
) -> Progress:
    """How far `segments` are read, and their open pages. Raises CheckpointRefusedError if they are damaged."""
    pages = []
    try:
        for segment, saved in sorted(segments.items()):
            for number_, page in sorted(saved.pages.items()):
                content = await blobs.read(segment, _blob(number_, page.revision))
                if content is None:
                    raise ValueError(f"the blob of page {number_} is missing")
                pages.append(page.to_page(number_, segment, unpack(content)))
        states = {segment: saved.state for segment, saved in segments.items() if saved.begun}
        wrong = broken_progress(spec, states, pages)
    except DAMAGED as error:
        raise table.damaged(spec.run_id, error) from error
    if wrong is not None:
        raise table.damaged(spec.run_id, wrong)
    return Progress(states, pages)


def open_pages(segments: Mapping[int, SavedSegment]) -> dict[int, SavedPage]:
    """The open pages of segments by their numbers."""
    return {number: page for one in segments.values() for number, page in one.pages.items()}


async def closed_failures(
    table: CheckpointTable, spec: RunSpec, blobs: Blobs, opened: Container[int]
) -> AsyncIterator[list[Failure]]:
    """The items of closed pages that could not be touched. `opened` are the numbers of open pages.

    Raises CheckpointRefusedError if they are damaged.
    """
    async for blob in blobs.all(FAILURES):
        try:
            found = [Failure(**failure) for failure in orjson.loads(blob.content)]
            is_open = int(blob.name.removeprefix(FAILURES)) in opened
        except DAMAGED as error:
            raise table.damaged(spec.run_id, error) from error
        if not conforms(found, list[Failure]):
            raise table.damaged(spec.run_id, "a failure has a value of the wrong type")
        if not is_open:
            yield found


FAILURES = "failures#"
"""The names of blobs with the failures of closed pages begin with this."""

_NewBlob: TypeAlias = tuple[int, str, bytes, Fields | None]
"""Segment, name, content and attributes of a blob to write."""


async def _at_once(calls: Iterable[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """All calls at once, to their ends. Raises the error of the first that fails."""
    try:
        async with anyio.create_task_group() as tasks:
            for call in calls:
                tasks.start_soon(call)
    except BaseExceptionGroup as group:
        raise alone(group) from group


def _blob(page: int, revision: int) -> str:
    return f"page#{page}#{revision}"

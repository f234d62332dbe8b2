"""A run in a checkpoint table, open for one task. See `RunStore`.

A page is a blob, written once; then one conditional write of its segment's item puts it among the open pages, moves the
cursor, and closes the segment's earlier pages. Writes of a segment fail once another process has its epoch.
"""

import time
from collections.abc import AsyncIterator, Callable, Container, Coroutine, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import orjson

from refire_async import failpoints
from refire_async.checkpoint.dynamodb.blobs import Blobs
from refire_async.checkpoint.dynamodb.claims import Claim, lost
from refire_async.checkpoint.dynamodb.lists import SavedList, stored_keys
from refire_async.checkpoint.dynamodb.places import (
    CATALOG,
    RUN,
    process_name,
    segment_of,
    segment_place,
    shards,
)
from refire_async.checkpoint.dynamodb.segments import SavedSegment, outcomes
from refire_async.checkpoint.dynamodb.table import CheckpointTable, Condition, Fields, from_text, number, text
from refire_async.checkpoint.ledger import Failure, OpenPage
from refire_async.checkpoint.pages import pack, unpack
from refire_async.checkpoint.reading import Progress, SavedRun, spec_from_json, spec_to_json
from refire_async.checkpoint.run_store import (
    Commit,
    CursorMoved,
    Operation,
    PageAmended,
    PageClosed,
    PageOpened,
    PageShrunk,
)
from refire_async.errors import CheckpointRefusedError, RefusedError, alone
from refire_async.folders import temporary_folder
from refire_async.model.counts import Counts, Totals
from refire_async.model.keys import Item, identity
from refire_async.model.run import RunSpec, RunStatus
from refire_async.model.table import Stream
from refire_async.settings import Connection

SAVE_AFTER_S = 5.0
"""Seconds after which what needs no write of its own is written: closed pages, totals."""

AT_ONCE = 64
"""Writes at a time."""

DAMAGED = (KeyError, TypeError, ValueError, orjson.JSONDecodeError)


class TableStore:
    """See `RunStore`. `claim` is that of the task whose segments are written here; without one nothing is."""

    def __init__(
        self,
        table: CheckpointTable,
        spec: RunSpec,
        *,
        task: int = 0,
        claim: Claim | None = None,
        keys: SavedList | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self.keys = None if keys is None else stored_keys(table, spec.run_id, keys)
        """See `RunStore.keys`."""
        self._table = table
        self._spec = spec
        self._task = task
        self._claim = claim
        self._blobs = Blobs(table, spec.run_id, self._now)
        self._segments: dict[int, SavedSegment] = {}
        self._contents: dict[int, list[Item]] = {}
        """Items of the open pages, as they are in their blobs."""
        self._unsaved: set[int] = set()
        self._saved_at = 0.0
        self._process: tuple[int, Totals] | None = None
        """Totals of the process that are not saved yet."""

    def _now(self) -> float:
        return self.clock()

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
        return await load(self._table, self._spec.run_id)

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
        states, pages = {}, []
        for segment, saved in sorted(self._segments.items()):
            if segment not in segments:
                continue
            if saved.begun:
                states[segment] = saved.state
            for number_, page in sorted(saved.pages.items()):
                content = await self._blobs.read(segment, _blob(number_, page.revision))
                try:
                    if content is None:
                        raise ValueError(f"the blob of page {number_} is missing")
                    self._contents[number_] = unpack(content)
                    pages.append(page.to_page(number_, segment, list(self._contents[number_])))
                except DAMAGED as error:
                    raise self._damaged(error) from error
        return Progress(states, pages)

    async def commit(self, commit: Commit) -> None:
        """See `RunStore.commit`. Pages that only close are written with the next page of their segment, or later."""
        if failpoints.reached is not None:
            failpoints.reached("commit-begun")
        blobs: list[tuple[int, str, bytes]] = []
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
                f"stream#{stream.arn}",
                {"data": text({"view_type": stream.view_type or ""})},
            )

    async def save_status(self, status: RunStatus) -> None:
        """See `RunStore.save_status`. A task that stops does not stop the run; the last one completes it."""
        await self.settle()
        if status == "complete":
            await set_status(self._table, self._spec.run_id, status, self.clock())

    async def save_clock(self, offset_s: float) -> None:
        """See `RunStore.save_clock`: all times here are the service's."""

    async def failures(self) -> AsyncIterator[list[Failure]]:
        """See `RunStore.failures`."""
        for partition in shards(self._spec.run_id):
            async for item in self._table.query(partition, "blob#failures#"):
                content = await self._blobs.read(
                    int(partition[-2:]), item["name"]["S"].split("#", 1)[1].rpartition("#")[0]
                )
                if content is not None:
                    yield [Failure(**failure) for failure in orjson.loads(content)]

    def _apply(self, operation: Operation, blobs: list[tuple[int, str, bytes]], urgent: set[int]) -> None:
        """Change the segment of an operation in memory, and add the blobs that must be written first."""
        match operation:
            case PageOpened(page, digests):
                if digests is not None:
                    raise RefusedError(
                        "an index can be scanned only with a checkpoint in a file",
                        "leave out --checkpoint dynamodb://…, or select by --key-value",
                    )
                self._segment(page.segment).open(page, self.clock())
                self._contents[page.number] = list(page.items)
                blobs.append((page.segment, _blob(page.number, 0), pack(page.items)))
                urgent.add(page.segment)
            case CursorMoved(segment, cursor):
                self._segment(segment).move(cursor)
                self._unsaved.add(segment)
            case PageClosed(page):
                self._segment(page.segment).close(page)
                self._contents.pop(page.number, None)
                self._unsaved.add(page.segment)
                if page.notes:
                    blobs.append((page.segment, f"notes#{page.number}", orjson.dumps(page.notes)))
                if page.failures:
                    content = orjson.dumps([asdict(failure) for failure in page.failures])
                    blobs.append((page.segment, f"failures#{page.number}", content))
            case PageAmended(page, present, first):
                self._amend(page, list(present), blobs, first=first)
                urgent.add(page.segment)
            case PageShrunk(page, rest):
                self._shrink(page, list(rest), blobs)
                urgent.add(page.segment)

    def _amend(
        self, page: OpenPage, present: list[Item], blobs: list[tuple[int, str, bytes]], *, first: bool
    ) -> None:
        names, saved = self._spec.keys.names, self._segment(page.segment).pages[page.number]
        again = {identity(names, item): item for item in present}
        items = self._contents[page.number]
        saved.revision += 1
        if first:
            notes = [("read", item) for item in items if identity(names, item) in again]
            blobs.append((page.segment, f"read#{page.number}#{saved.revision}", orjson.dumps(notes)))
        items = [again.get(identity(names, item), item) for item in items]
        self._contents[page.number] = items
        blobs.append((page.segment, _blob(page.number, saved.revision), pack(items)))

    def _shrink(self, page: OpenPage, rest: list[Item], blobs: list[tuple[int, str, bytes]]) -> None:
        names, saved = self._spec.keys.names, self._segment(page.segment).pages[page.number]
        left = {identity(names, item): item for item in rest}
        notes = list(page.notes)
        for item in self._contents[page.number]:
            still = left.get(identity(names, item))
            if still is not None and still != item:
                notes.append(("read", item))
        saved.revision += 1
        saved.items, saved.counts, saved.failures = len(rest), outcomes(page), list(page.failures)
        self._contents[page.number] = rest
        if notes:
            blobs.append((page.segment, f"read#{page.number}#{saved.revision}", orjson.dumps(notes)))
        blobs.append((page.segment, _blob(page.number, saved.revision), pack(rest)))

    async def _save(self, segments: set[int]) -> None:
        """Write the items of segments. Raises StoppedError if another process has one."""
        self._unsaved -= segments
        await _at_once(partial(self._save_segment, segment) for segment in segments)

    async def _save_segment(self, segment: int) -> None:
        claim = self._must_claim()
        epoch = number(claim.epoch)
        fields = {"data": text(self._segments[segment].to_json()), "epoch": epoch}
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

    def _segment(self, segment: int) -> SavedSegment:
        return self._segments[segment]

    def _must_claim(self) -> Claim:
        if self._claim is None:
            raise RuntimeError("this store was opened for reading")
        return self._claim

    def _read(self, fields: Fields) -> SavedSegment:
        try:
            return SavedSegment.from_json(from_text(fields, "data")) if "data" in fields else SavedSegment()
        except DAMAGED as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> CheckpointRefusedError:
        return CheckpointRefusedError(f"checkpoint {self.name} is damaged: {error}", "begin a new run")


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


async def create(
    table: CheckpointTable,
    spec: RunSpec,
    connection: Connection,
    tasks: int,
    at: float,
    *,
    keys: SavedList | None = None,
) -> bool:
    """Create the run, unless it is there; whether it was created. Its list of `keys` is in the table already."""
    now = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    fields = {
        "spec": {"S": spec_to_json(spec)},
        "connection": text(asdict(connection)),
        "run_status": {"S": "running"},
        "created_at": {"S": now},
        "updated_at": {"S": now},
        "tasks": number(tasks),
    }
    if keys is not None:
        fields["keys"] = text(asdict(keys))
    made = await table.put(spec.run_id, RUN, fields, Condition("attribute_not_exists(id)", {}))
    if made:
        await table.put(CATALOG, spec.run_id, {"table_name": {"S": spec.table}, "created_at": {"S": now}})
    return made


async def set_status(table: CheckpointTable, run_id: str, status: RunStatus, at: float) -> None:
    """Save the status of a run."""
    now = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    sets: dict[str, Any] = {"run_status": {"S": status}, "updated_at": {"S": now}}
    await table.update(run_id, RUN, sets, Condition("attribute_exists(id)", {}))


async def tasks_of(table: CheckpointTable, run_id: str) -> int | None:
    """The number of tasks of a run; None if there is no such run."""
    fields = await table.get(run_id, RUN)
    return None if fields is None else int(fields["tasks"]["N"])


async def list_of(table: CheckpointTable, run_id: str) -> SavedList | None:
    """The list of keys of a run that is there; None if it has none."""
    fields = await table.get(run_id, RUN)
    return None if fields is None or "keys" not in fields else SavedList(**from_text(fields, "keys"))


async def load(table: CheckpointTable, run_id: str) -> SavedRun:
    """The state of a run. Raises CheckpointRefusedError if it is missing or damaged."""
    fields = await table.get(run_id, RUN)
    if fields is None:
        raise CheckpointRefusedError(
            f"checkpoint table {table.name} has no run {run_id}", "begin it with 'refire run'"
        )
    counts, open_pages, finished = Counts(), 0, 0
    try:
        for partition in shards(run_id):
            async for item in table.query(partition, "segment#"):
                saved = SavedSegment.from_json(from_text(item, "data")) if "data" in item else SavedSegment()
                segment_of(item["name"]["S"])
                counts.add(saved.counts())
                open_pages += len(saved.pages)
                finished += saved.finished
        totals, attempts = Totals(), 0
        seconds: dict[int, float] = {}
        async for item in table.query(run_id, process_name(0).rstrip("0")):
            data = from_text(item, "data")
            task = data.pop("task")
            process = Totals(**data)
            totals.add(process)
            attempts += 1
            seconds[task] = seconds.get(task, 0.0) + process.seconds
        # The tasks of a run work at the same time.
        totals.seconds = max(seconds.values(), default=0.0)
        return SavedRun(
            spec=spec_from_json(fields["spec"]["S"]),
            connection=Connection(**from_text(fields, "connection")),
            status=fields["run_status"]["S"],
            created_at=fields["created_at"]["S"],
            updated_at=fields["updated_at"]["S"],
            counts=counts,
            totals=totals,
            open_pages=open_pages,
            finished_segments=finished,
            next_attempt=attempts,
        )
    except DAMAGED as error:
        raise CheckpointRefusedError(
            f"run {run_id} in checkpoint table {table.name} is damaged: {error}", "begin a new run"
        ) from error

"""A copy of a run in a checkpoint table as a checkpoint file, for everything that reads runs.

Memory does not grow with the run.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

import orjson
from anyio import to_thread

from refire_async.aws.other_services import Services
from refire_async.checkpoint.dynamodb import runs
from refire_async.checkpoint.dynamodb.blobs import Blob, Blobs, open_blobs
from refire_async.checkpoint.dynamodb.claims import Claim
from refire_async.checkpoint.dynamodb.places import STREAM
from refire_async.checkpoint.dynamodb.recorded import read_recordings
from refire_async.checkpoint.dynamodb.runs import RunItem
from refire_async.checkpoint.dynamodb.segments import SavedSegment
from refire_async.checkpoint.dynamodb.store import closed_failures, open_pages, read_progress
from refire_async.checkpoint.dynamodb.table import DAMAGED, CheckpointTable, from_text
from refire_async.checkpoint.ledger import Failure
from refire_async.checkpoint.pages import EMPTY, Note, pack, shrunk, unpack
from refire_async.checkpoint.reading import Progress, SavedRun
from refire_async.checkpoint.recording import Recording
from refire_async.checkpoint.schema import PROCESSES_PER_ATTEMPT
from refire_async.checkpoint.shapes import conforms
from refire_async.checkpoint.store import Store
from refire_async.model.counts import Counts, Totals
from refire_async.model.units import iso_seconds

_BLOBS_AT_ONCE = 64


async def copy_run(
    table: CheckpointTable, run_id: str, path: Path, services: Services, *, history: bool
) -> list[Claim]:
    """Write a run to a new file at `path`; with `history`, also its acknowledged pages, for a verification.

    Returns the claims of its tasks.

    A run may be working meanwhile: then each of its segments is as it was at one moment.

    Raises:
        CheckpointRefusedError: there is no such run, it is damaged, or the file cannot be written.
    """
    item = await runs.get(table, run_id)
    async with open_blobs(table, run_id, item.archive, services, time.time) as blobs:
        return await _copy(table, item, blobs, path, history=history)


async def _copy(
    table: CheckpointTable, item: RunItem, blobs: Blobs, path: Path, *, history: bool
) -> list[Claim]:
    run_id = item.spec.run_id
    segments = await runs.read_segments(table, item.spec)
    progress = await read_progress(table, item.spec, blobs, segments)
    failures: list[Failure] = []
    async for block in closed_failures(table, item.spec, blobs, open_pages(segments)):
        failures += block
    claims = await runs.read_claims(table, run_id)
    saved = replace(
        runs.saved_run(item, segments, await runs.read_totals(table, run_id)),
        updated_at=iso_seconds(item.last_seen(claims)),
    )
    try:
        streams = {
            one["name"]["S"].removeprefix(STREAM): from_text(one, "data")["view_type"]
            async for one in table.query(run_id, STREAM)
        }
    except DAMAGED as error:
        raise table.damaged(run_id, error) from error
    store = await to_thread.run_sync(
        Store.create, path, saved.spec, saved.connection, lambda: saved.created_s
    )
    with closing(store):
        closed = Counts()
        for segment in segments.values():
            closed.add(segment.closed)
        fill = partial(_fill, store, saved, closed, segments=segments, progress=progress)
        await to_thread.run_sync(partial(fill, failures=failures, streams=streams))
        with Recording(path) as recording:
            recorded = await read_recordings(table, run_id)
            await to_thread.run_sync(recording.save, recorded.points, recorded.notes)
        if history:
            await _copy_history(table, blobs, store, saved, segments)
    return claims


def _fill(
    store: Store,
    saved: SavedRun,
    closed: Counts,
    *,
    segments: Mapping[int, SavedSegment],
    progress: Progress,
    failures: Sequence[Failure],
    streams: Mapping[str, str],
) -> None:
    """Everything but the history. `closed` are the counts of the closed pages."""
    with store.transaction():
        for page in progress.pages:
            opened = segments[page.segment].pages[page.number].opened
            store.clock = lambda opened=opened: opened  # type: ignore[misc]
            store.open_page(page)
        for segment, state in progress.segments.items():
            store.move_cursor(segment, state.cursor) if state.cursor or state.finished else None
        store.add_failures(failures)
        for arn, view_type in streams.items():
            store.save_stream(arn, view_type)
        store.clock = lambda: saved.updated_s
        store.save_clock(0.0)
        for process in range(saved.next_attempt):
            counts, totals = (Counts(), Totals()) if process else (closed, saved.totals)
            store.save_process(process * PROCESSES_PER_ATTEMPT, counts, totals)
        store.save_status(saved.status)


async def _copy_history(
    table: CheckpointTable,
    blobs: Blobs,
    store: Store,
    saved: SavedRun,
    segments: Mapping[int, SavedSegment],
) -> None:
    opened = {number: page.revision for number, page in open_pages(segments).items()}
    names, run_id = saved.spec.keys.names, saved.spec.run_id
    with _Pages() as pages:
        few: list[Blob] = []
        async for blob in blobs.all(""):
            few.append(blob)
            if len(few) == _BLOBS_AT_ONCE:
                await to_thread.run_sync(pages.add, few)
                few = []

        def write() -> None:
            pages.add(few)
            with store.transaction():
                for row in pages.acknowledged(names, opened):
                    store.acknowledge(*row)

        try:
            await to_thread.run_sync(write)
        except DAMAGED as error:
            raise table.damaged(run_id, error) from error


class _Pages:
    """What the blobs of a run say of its pages, in a file of its own that vanishes with it."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(
            "CREATE TABLE revision (page INTEGER, number INTEGER, opened REAL, items BLOB, PRIMARY KEY (page, number));"
            "CREATE TABLE remark (page INTEGER, number INTEGER, notes BLOB, PRIMARY KEY (page, number));"
            "CREATE TABLE closed (page INTEGER PRIMARY KEY, last INTEGER);"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, blobs: Sequence[Blob]) -> None:
        """Add blobs in any order. Raises one of `DAMAGED`."""
        for name, content, fields in blobs:
            kind, page, *revision = name.split("#")
            match kind:
                case "page":
                    opened = float(fields["opened"]["N"]) if "opened" in fields else None
                    self._insert("revision", int(page), int(revision[0]), opened, content)
                case "read":
                    self._insert("remark", int(page), int(revision[0]), content)
                case "notes":
                    self._insert("remark", int(page), _AT_THE_END, content)
            if "closed" in fields:
                for number, last in from_text(fields, "closed"):
                    self._insert("closed", int(number), int(last))

    def _insert(self, table: str, *values: object) -> None:
        places = ", ".join("?" * len(values))
        self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({places})", values)  # noqa: S608 - our names

    def acknowledged(
        self, names: Sequence[str], opened: Mapping[int, int]
    ) -> Iterator[tuple[float, bytes, list[Note]]]:
        """The rows of the history: when the page was opened, packed items, notes. `opened`: open pages' revisions.

        Raises one of `DAMAGED`.
        """
        for page, last in opened.items():
            yield from self._earlier(page, last, names)
        for page, last in self._db.execute("SELECT page, last FROM closed ORDER BY page"):
            if page in opened:
                continue
            yield from self._earlier(page, last, names)
            items = self._items(page, last)
            if items != EMPTY:
                yield self._opened(page), items, self._notes(page, _AT_THE_END)

    def _earlier(
        self, page: int, last: int, names: Sequence[str]
    ) -> Iterator[tuple[float, bytes, list[Note]]]:
        """What the revisions before `last` acknowledged."""
        for number in range(1, last + 1):
            before, after = unpack(self._items(page, number - 1)), unpack(self._items(page, number))
            gone, _ = shrunk(names, before, after)
            notes = self._notes(page, number)
            if gone or notes:
                yield self._opened(page), pack(gone), notes

    def _items(self, page: int, number: int) -> bytes:
        row = self._db.execute(
            "SELECT items FROM revision WHERE page = ? AND number = ?", (page, number)
        ).fetchone()
        if row is None:
            raise ValueError(f"the blob of page {page} is missing")
        content: bytes = row[0]
        return content

    def _opened(self, page: int) -> float:
        (opened,) = self._db.execute(
            "SELECT opened FROM revision WHERE page = ? AND number = 0", (page,)
        ).fetchone()
        if not conforms(opened, float):
            raise ValueError(f"page {page} has no time")
        return float(opened)

    def _notes(self, page: int, number: int) -> list[Note]:
        row = self._db.execute(
            "SELECT notes FROM remark WHERE page = ? AND number = ?", (page, number)
        ).fetchone()
        if row is None:
            return []
        notes = orjson.loads(row[0])
        if type(notes) is not list:
            raise TypeError(f"the notes on page {page} are no list")
        return notes


_AT_THE_END = -1
"""The number of the notes on a page's last revision."""

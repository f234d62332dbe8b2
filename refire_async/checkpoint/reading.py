"""Reads the run, its ledger and its failures from the tables of a checkpoint."""

import sqlite3
from collections.abc import Callable, Container, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import orjson

from refire_async.checkpoint.invariants import broken_spec
from refire_async.checkpoint.ledger import FINISHED, Failure, OpenPage, SegmentState
from refire_async.checkpoint.pages import unpack
from refire_async.checkpoint.read_only import read_unlocked
from refire_async.checkpoint.schema import MAX_PROCESSES, PROCESSES_PER_ATTEMPT
from refire_async.checkpoint.shapes import conforms
from refire_async.model.counts import Counts, Totals
from refire_async.model.keys import Cursor, KeySchema
from refire_async.model.marker import Marker
from refire_async.model.run import RunSpec, RunStatus
from refire_async.model.selection import Selection
from refire_async.settings import Connection

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRun:
    """The state of a run in its checkpoint.

    `counts` cover all items that have an outcome; times are ISO 8601 in UTC.
    """

    spec: RunSpec
    connection: Connection
    status: RunStatus
    created_at: str
    updated_at: str
    counts: Counts
    totals: Totals
    open_pages: int
    finished_segments: int
    next_attempt: int

    @property
    def created_s(self) -> float:
        """`created_at` in seconds since the epoch."""
        return datetime.fromisoformat(self.created_at).timestamp()

    @property
    def updated_s(self) -> float:
        """`updated_at` in seconds since the epoch."""
        return datetime.fromisoformat(self.updated_at).timestamp()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far segments are read, and the pages in the ledger, which are in doubt."""

    segments: dict[int, SegmentState]
    pages: list[OpenPage]


def spec_to_json(spec: RunSpec) -> str:
    """RunSpec as JSON text that `spec_from_json` reads back."""
    return orjson.dumps({**asdict(spec), "selection": spec.selection.to_json()}).decode()


def spec_from_json(text: str) -> RunSpec:
    """The RunSpec that `spec_to_json` wrote. Raises TypeError, KeyError or ValueError on anything else."""
    data = orjson.loads(text)
    data["keys"] = KeySchema(**data["keys"])
    data["marker"] = Marker(**data["marker"])
    data["selection"] = Selection.from_json(data["selection"])
    return RunSpec(**data)


def read_run(db: sqlite3.Connection) -> SavedRun:
    """Read the run in one transaction. Raises errors that `guard` translates if the file is malformed."""
    db.execute("BEGIN")  # otherwise a page that is closed meanwhile would count twice or not at all
    try:
        return _read_run(db)
    finally:
        roll_back(db)


def _read_run(db: sqlite3.Connection) -> SavedRun:
    row = db.execute("SELECT spec, connection, status, created_at, updated_at FROM run").fetchone()
    if row is None:
        raise ValueError("it contains no run")
    text, connection_text, status, created_at, updated_at = row
    spec, connection = spec_from_json(text), Connection(**orjson.loads(connection_text))
    for value, kind, name in ((spec, RunSpec, "run"), (connection, Connection, "connection")):
        if not conforms(value, kind):
            raise ValueError(f"its {name} has a value of the wrong type")
    wrong = broken_spec(spec)
    if wrong is not None:
        raise ValueError(wrong)
    for time in (created_at, updated_at):
        datetime.fromisoformat(time)  # raises ValueError
    counts, totals = Counts(), Totals()
    seconds: dict[int, float] = {}
    for number, done, spent in db.execute("SELECT number, counts, totals FROM part"):
        counts.add(_counts(done))
        process = Totals(**orjson.loads(spent))
        if not conforms(process, Totals) or not 0 <= number < MAX_PROCESSES:
            raise ValueError("its totals have a value of the wrong type")
        totals.add(process)
        attempt = number // PROCESSES_PER_ATTEMPT
        seconds[attempt] = max(seconds.get(attempt, 0.0), process.seconds)
    # The processes of an attempt work at the same time.
    totals.seconds = sum(seconds.values())
    open_pages = db.execute("SELECT counts FROM page").fetchall()
    (finished,) = db.execute("SELECT COUNT(*) FROM segment WHERE finished").fetchone()
    for (outcomes,) in open_pages:
        counts.add(_counts(outcomes))
    return SavedRun(
        spec=spec,
        connection=connection,
        status=status,
        created_at=created_at,
        updated_at=updated_at,
        counts=counts,
        totals=totals,
        open_pages=len(open_pages),
        finished_segments=finished,
        next_attempt=max(seconds, default=-1) + 1,
    )


def read_progress(db: sqlite3.Connection, segments: Container[int]) -> Progress:
    """The states and open pages of `segments`."""
    return Progress(
        {segment: state for segment, state in read_states(db).items() if segment in segments},
        list(read_pages(db, segments)),
    )


def read_states(db: sqlite3.Connection) -> dict[int, SegmentState]:
    """How far every started segment is read."""
    return {
        segment: FINISHED if finished else SegmentState(_cursor(cursor))
        for segment, cursor, finished in db.execute("SELECT segment, cursor, finished FROM segment")
    }


def read_pages(db: sqlite3.Connection, segments: Container[int] | None = None) -> Iterator[OpenPage]:
    """The open pages of `segments` (None: of all), one in memory at a time."""
    rows = db.execute(
        "SELECT number, segment, items, start, finish, item_units, counts, failures FROM page ORDER BY number"
    )
    for number, segment, items, start, finish, units, counts, failures in rows:
        if segments is not None and segment not in segments:
            continue
        page = OpenPage(
            number=number,
            segment=segment,
            items=unpack(items),
            start=_cursor(start),
            end=_cursor(finish),
            item_units=units,
            counts=_counts(counts),
            failures=[Failure(**failure) for failure in orjson.loads(failures)],
            in_doubt=True,
        )
        if not conforms(page, OpenPage):
            raise ValueError(f"page {number} has a value of the wrong type")
        page.counts.scanned += len(page.items)
        yield page


def read_failures(db: sqlite3.Connection) -> Iterator[Failure]:
    """The items that could not be touched, in the order in which they were found."""
    for key, code, reason in db.execute("SELECT key, code, reason FROM failed ORDER BY number"):
        yield Failure(orjson.loads(key), code, reason)
    for (failures,) in db.execute("SELECT failures FROM page ORDER BY number"):
        for failure in orjson.loads(failures):
            yield Failure(**failure)


def peek(path: Path) -> SavedRun:
    """Read the run of a checkpoint without its lock, while a run may be using it.

    Raises CheckpointRefusedError if it is missing, foreign, newer or damaged.
    """
    return read_unlocked(path, read_run)


def peek_with(path: Path, read: Callable[[sqlite3.Connection], T]) -> tuple[SavedRun, T]:
    """As `peek`, with the result of `read` on the same file."""
    return read_unlocked(path, lambda db: (read_run(db), read(db)))


def roll_back(db: sqlite3.Connection) -> None:
    """End the transaction, unless SQLite has done so itself, as it does when the disk is full."""
    if db.in_transaction:
        db.execute("ROLLBACK")


def _cursor(text: str | None) -> Cursor | None:
    cursor: Cursor | None = None if text is None else orjson.loads(text)
    if not conforms(cursor, Cursor | None):
        raise ValueError("it has a cursor of the wrong type")
    return cursor


def _counts(text: str) -> Counts:
    counts = Counts(**orjson.loads(text))
    if not conforms(counts, Counts):
        raise ValueError("its counts have a value of the wrong type")
    return counts

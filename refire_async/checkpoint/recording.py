"""The recording of a run over time, in its checkpoint: points and notes for `refire report`.

It uses a connection of its own, whose commits do not wait for the disk: a power failure loses a few seconds of the
recording, a killed process loses nothing that was committed. A recording has at most `MAX_POINTS` points: beyond that,
neighbouring points are merged into points of twice the length. Synchronous: called in a worker thread.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from refire_async.checkpoint.read_only import read_unlocked
from refire_async.checkpoint.shapes import conforms
from refire_async.model.series import Note, Point, merge

MAX_POINTS = 2_000
MAX_NOTES = 5_000

_LOCK_TIMEOUT_S = 10.0
_MAX_TIME_S = 1e11
"""Latest valid time, in seconds since the epoch."""


class RecordingError(Exception):
    """The recording cannot be written. This does not affect the run."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The recording of a run, in chronological order."""

    points: list[Point]
    notes: list[Note]


class Recording:
    """The recording in a checkpoint, open for writing. `span_s` is the present length of points in seconds."""

    def __init__(self, checkpoint: Path) -> None:
        """Raises RecordingError."""
        uri = f"{checkpoint.resolve().as_uri()}?mode=rw"
        with _translating_errors():
            self._db = sqlite3.connect(
                uri, uri=True, isolation_level=None, check_same_thread=False, timeout=_LOCK_TIMEOUT_S
            )
        try:
            with _translating_errors():
                self._db.execute("PRAGMA synchronous = NORMAL")
                (self._points,) = self._db.execute("SELECT COUNT(*) FROM point").fetchone()
                (self._notes,) = self._db.execute("SELECT COUNT(*) FROM note").fetchone()
                (longest,) = self._db.execute("SELECT COALESCE(MAX(span), 1) FROM point").fetchone()
        except BaseException:
            self._db.close()
            raise
        self.span_s = float(longest)
        self._last: Point | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what is committed stays."""
        self._db.close()

    def save(self, points: Sequence[Point], notes: Sequence[Note]) -> None:
        """Add new points and notes. Raises RecordingError."""
        with _translating_errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for point in points:
                    self._put(point)
                room = max(MAX_NOTES - self._notes, 0)
                self._db.executemany(
                    "INSERT INTO note (at, kind, data) VALUES (?, ?, ?)",
                    [(note.at, note.kind, orjson.dumps(note.data).decode()) for note in notes[:room]],
                )
                self._notes += len(notes[:room])
                if self._points > MAX_POINTS:
                    self._merge_points()
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _put(self, point: Point) -> None:
        """Add to the last point of this attempt until its span is over, then start a new one."""
        last = self._last
        if last is not None and point.at // self.span_s == last.at // self.span_s:
            last.add(point)
        else:
            self._last = last = point
            self._points += 1
        self._write(last)

    def _write(self, point: Point) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO point VALUES (?, ?, ?)",
            (point.at, self.span_s, orjson.dumps(point.to_json()).decode()),
        )

    def _merge_points(self) -> None:
        points = _points(self._db)
        while len(points) > MAX_POINTS // 2 and self.span_s < _LONGEST_S:
            self.span_s *= 2
            points = merge(points, self.span_s)
        self._db.execute("DELETE FROM point")
        for point in points:
            self._write(point)
        self._points, self._last = len(points), points[-1]


_LONGEST_S = 86_400.0 * 365
"""Ends the search for a longer span if points are years apart."""


def read_recording(checkpoint: Path) -> Recorded:
    """Read the recording; a run may be using the file. Raises CheckpointRefusedError."""
    return read_unlocked(checkpoint, read_recorded)


def read_recorded(db: sqlite3.Connection) -> Recorded:
    """Read the recording. Raises errors that `guard` translates if it is malformed."""
    rows = db.execute("SELECT at, kind, data FROM note ORDER BY number")
    return Recorded(_points(db), [note_of(at, kind, orjson.loads(data)) for at, kind, data in rows])


def read_expected(db: sqlite3.Connection) -> int | None:
    """The expected number of items at the start of the last attempt; None if unknown."""
    row = db.execute("SELECT at, data FROM note WHERE kind = 'start' ORDER BY number DESC LIMIT 1").fetchone()
    expected = None if row is None else note_of(row[0], "start", orjson.loads(row[1])).data.get("expected")
    return expected if conforms(expected, int) else None


def read_stream_arn(db: sqlite3.Connection) -> str | None:
    """The ARN of the table's last stream; None if it had none."""
    row = db.execute("SELECT arn FROM stream ORDER BY rowid DESC LIMIT 1").fetchone()
    return row[0] if row is not None and conforms(row[0], str) else None


def note_of(at: float, kind: str, data: Any) -> Note:
    """The saved note. Raises ValueError for anything else."""
    note = Note(at, kind, data)
    if not conforms(note, Note) or not 0 <= at < _MAX_TIME_S:
        raise ValueError("a note has a value of the wrong type")
    return note


def _points(db: sqlite3.Connection) -> list[Point]:
    rows = db.execute("SELECT at, data FROM point ORDER BY at")
    return [point_of(at, orjson.loads(data)) for at, data in rows]


def point_of(at: float, data: dict[str, Any]) -> Point:
    """The saved point. Raises TypeError or ValueError for anything else."""
    point = Point.from_json(at, data)
    if not conforms(point, Point) or not 0 <= point.at < _MAX_TIME_S:
        raise ValueError("a point has a value of the wrong type")
    return point


@contextlib.contextmanager
def _translating_errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise RecordingError(str(error)) from error

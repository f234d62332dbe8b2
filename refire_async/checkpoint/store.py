"""The checkpoint as an SQLite file. Synchronous: the journal calls it in a worker thread.

A commit is on disk when it returns (WAL with synchronous=FULL). Files are 0600: item keys can be personal data.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import orjson

from refire_async.checkpoint import invariants
from refire_async.checkpoint.files import begin, check_structure, connect, make
from refire_async.checkpoint.ledger import Failure, OpenPage
from refire_async.checkpoint.pages import EMPTY, Note, amended, pack, shrunk, unpack
from refire_async.checkpoint.read_only import guard, read_unlocked
from refire_async.checkpoint.reading import (
    Progress,
    SavedRun,
    read_failures,
    read_pages,
    read_progress,
    read_run,
    read_states,
    roll_back,
    spec_from_json,
    spec_to_json,
)
from refire_async.checkpoint.schema import CLOCK, RUN_FORMAT
from refire_async.errors import StoppedError
from refire_async.model.counts import Counts, Totals
from refire_async.model.keys import Cursor, Item
from refire_async.model.run import RunSpec, RunStatus
from refire_async.model.units import iso_seconds
from refire_async.settings import Connection

T = TypeVar("T")


def _dump(value: Any) -> str:
    return orjson.dumps(value).decode()


class Store:
    """One checkpoint file, open for writing. Use `create`, `open` or `join`."""

    def __init__(self, path: Path, db: sqlite3.Connection, *, keeps_history: bool = True) -> None:
        """`keeps_history`: whether acknowledged pages are kept, for a verification."""
        self.path = path
        self._db = db
        self._keeps_history = keeps_history
        self.clock: Callable[[], float] = time.time
        """The service's time (seconds since the epoch), because saved times are compared with those of the stream."""

    @classmethod
    def create(
        cls, path: Path, spec: RunSpec, connection: Connection, clock: Callable[[], float] = time.time
    ) -> "Store":
        """Create a file. Raises CheckpointRefusedError if it exists, RefusedError if the disk is full.

        The caller holds the lock of `path`.
        """
        db = make(path, RUN_FORMAT, lambda db: _insert_run(db, spec, connection, clock()))
        store = cls(path, db)
        store.clock = clock
        return store

    @classmethod
    def in_memory(cls, spec: RunSpec, connection: Connection) -> "Store":
        """A store in memory, for a run that writes nothing."""
        db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        store = cls(Path(":memory:"), db, keeps_history=False)
        with store._saving():
            begin(db, RUN_FORMAT, lambda db: _insert_run(db, spec, connection, store.clock()))
        return store

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open a file. Raises CheckpointRefusedError if it is missing, foreign, newer, damaged or read-only."""
        read_unlocked(path, lambda _: None)  # a file that is no checkpoint is not opened for writing
        store = cls(path, connect(path))
        try:
            store.guarded(store._check)
        except BaseException:
            store.close()
            raise
        return store

    def _check(self) -> None:
        check_structure(self._db)
        saved = read_run(self._db)
        run_id, table = self._db.execute("SELECT run_id, table_name FROM run").fetchone()
        (failed,) = self._db.execute("SELECT COUNT(*) FROM failed").fetchone()
        closed = [Counts(**orjson.loads(text)) for (text,) in self._db.execute("SELECT counts FROM part")]
        wrong = (
            invariants.broken_run(run_id, table, saved.status, saved.spec)
            or invariants.broken_counts(closed, failed)
            or invariants.broken_progress(saved.spec, read_states(self._db), read_pages(self._db))
            or invariants.broken_end(saved.spec, saved.status, saved.finished_segments, saved.open_pages)
        )
        if wrong is not None:
            raise ValueError(wrong)

    def close(self) -> None:
        """Close the file; what is committed stays."""
        self._db.close()

    @classmethod
    def join(cls, path: Path) -> "Store":
        """Open a file that another process of the same run has opened and checked."""
        return cls(path, connect(path))

    def load(self) -> SavedRun:
        """The state of the run. Raises CheckpointRefusedError if it cannot be read."""
        return self.guarded(lambda: read_run(self._db))

    def progress(self, segments: Container[int]) -> Progress:
        """The progress of `segments`. Raises CheckpointRefusedError if it cannot be read."""
        return self.guarded(lambda: read_progress(self._db, segments))

    # Call the operations below inside `transaction`.

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """An atomic transaction, on disk when the block ends. Raises StoppedError if it cannot be saved."""
        with self._saving():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                roll_back(self._db)
                raise

    def open_page(self, page: OpenPage) -> None:
        """Put a page in the ledger and move its segment's cursor to the page's end."""
        self._db.execute(
            "INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                page.number,
                page.segment,
                None if page.start is None else _dump(page.start),
                None if page.end is None else _dump(page.end),
                self.clock(),
                page.item_units,
                pack(page.items),
                *_outcomes(page),
            ),
        )
        self.move_cursor(page.segment, page.end)

    def amend_page(self, page: OpenPage, present: Sequence[Item], *, first: bool) -> None:
        """Replace items of an open page by `present`, their state when they were read again.

        `first`: the ledger's earlier state of them is the one that the run read first.
        """
        where = (page.number,)
        opened, packed = self._db.execute("SELECT opened, items FROM page WHERE number = ?", where).fetchone()
        items, notes = amended(self._key_names(), unpack(packed), present)
        if first:
            self.acknowledge(opened, EMPTY, notes)
        self._db.execute("UPDATE page SET items = ? WHERE number = ?", (pack(items), page.number))

    def shrink_page(self, page: OpenPage, rest: Sequence[Item]) -> None:
        """Keep only `rest` of an open page's items open, at an orderly stop; the others are acknowledged."""
        where = (page.number,)
        opened, packed = self._db.execute("SELECT opened, items FROM page WHERE number = ?", where).fetchone()
        acknowledged, replaced = shrunk(self._key_names(), unpack(packed), rest)
        notes = [*page.notes, *replaced]
        if acknowledged or notes:
            self.acknowledge(opened, pack(acknowledged), notes)
        self._db.execute(
            "UPDATE page SET items = ?, counts = ?, failures = ? WHERE number = ?",
            (pack(rest), *_outcomes(page), page.number),
        )

    def _now(self) -> str:
        return iso_seconds(self.clock())

    def _key_names(self) -> tuple[str, ...]:
        (spec,) = self._db.execute("SELECT spec FROM run").fetchone()
        return spec_from_json(spec).keys.names

    def move_cursor(self, segment: int, cursor: Cursor | None) -> None:
        """Save that the segment is read up to `cursor` (None: to its end)."""
        self._db.execute(
            "INSERT OR REPLACE INTO segment VALUES (?, ?, ?)",
            (segment, None if cursor is None else _dump(cursor), cursor is None),
        )

    def close_page(self, page: OpenPage) -> None:
        """Move a page whose items all have an outcome from the ledger to the history."""
        if self._keeps_history:
            self._db.execute(
                "INSERT INTO settled (opened, items, notes)"
                " SELECT opened, items, ? FROM page WHERE number = ? AND items <> ?",
                (_dump(page.notes) if page.notes else None, page.number, EMPTY),
            )
        self._db.execute("DELETE FROM page WHERE number = ?", (page.number,))
        self.add_failures(page.failures)

    def acknowledge(self, opened: float, items: bytes, notes: Sequence[Note]) -> None:
        """Add packed items to the history: each has its outcome, and those with another than usual have a note."""
        if self._keeps_history:
            self._db.execute(
                "INSERT INTO settled (opened, items, notes) VALUES (?, ?, ?)",
                (opened, items, _dump(notes) if notes else None),
            )

    def add_failures(self, failures: Iterable[Failure]) -> None:
        """Save items of closed pages that could not be touched."""
        self._db.executemany(
            "INSERT INTO failed (key, code, reason) VALUES (?, ?, ?)",
            [(_dump(failure.key), failure.code, failure.reason) for failure in failures],
        )

    def unseen(self, digests: Sequence[bytes]) -> list[bool]:
        """Save digests of keys. Returns for each whether it is new in this run."""
        insert = "INSERT OR IGNORE INTO seen VALUES (?)"
        return [self._db.execute(insert, (digest,)).rowcount == 1 for digest in digests]

    def save_process(self, number: int, counts: Counts, totals: Totals) -> None:
        """Save the counts of the closed pages of process `number`, and what it consumed."""
        self._db.execute(
            "INSERT OR REPLACE INTO part VALUES (?, ?, ?)",
            (number, _dump(counts.to_json()), _dump(asdict(totals))),
        )
        self._db.execute("UPDATE run SET updated_at = ?", (self._now(),))

    def save_stream(self, arn: str, view_type: str) -> None:
        """Save the stream that the table has now."""
        self._db.execute("INSERT OR IGNORE INTO stream VALUES (?, ?)", (arn, view_type))

    def save_status(self, status: RunStatus) -> None:
        """Save the status of the run."""
        self._db.execute("UPDATE run SET status = ?, updated_at = ?", (status, self._now()))

    def save_clock(self, offset_s: float) -> None:
        """Save that later times are the service's, `offset_s` ahead of this machine's clock."""
        self._db.execute(
            "INSERT INTO note (at, kind, data) VALUES (?, ?, ?)",
            (self.clock(), CLOCK, _dump({"offset_s": round(offset_s, 3)})),
        )

    def failures(self) -> Iterator[Failure]:
        """The items that could not be touched, in the order in which they were found."""
        yield from read_failures(self._db)

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoppedError(
                f"checkpoint {self.path} cannot be saved: {error}",
                "free space or repair the disk, then run 'refire resume'",
            ) from error

    def guarded(self, read: Callable[[], T]) -> T:
        """Call `read` and translate the errors of a damaged file into CheckpointRefusedError."""
        return guard(self.path, read)


def _insert_run(db: sqlite3.Connection, spec: RunSpec, connection: Connection, at: float) -> None:
    now = iso_seconds(at)
    db.execute(
        "INSERT INTO run VALUES (1, ?, ?, 'running', ?, ?, ?, ?)",
        (spec.run_id, spec.table, now, now, spec_to_json(spec), _dump(asdict(connection))),
    )


def _outcomes(page: OpenPage) -> tuple[str, str]:
    """The counts of a page's items that have an outcome, and its failures, as JSON."""
    return _dump(page.outcomes.to_json()), _dump([asdict(failure) for failure in page.failures])

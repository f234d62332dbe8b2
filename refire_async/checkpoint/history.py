"""Reads the history of a run, for its verification. Read-only: a run may be using the file."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import orjson

from refire_async.checkpoint.pages import AcknowledgedPage, unpack
from refire_async.checkpoint.read_only import check_file, guard, harden
from refire_async.checkpoint.reading import SavedRun, read_run
from refire_async.checkpoint.schema import CLOCK, check_schema

_PAGES_PER_QUERY = 64
"""Rows of one query, which bounds how long a lock is held and how many pages are in memory."""


@dataclass(frozen=True, slots=True)
class TableStream:
    """A stream of the table that was enabled during a run."""

    arn: str
    view_type: str


class History:
    """The acknowledged pages of a run, in order. Use it in a `with` block, from one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Raises CheckpointRefusedError if it is missing, foreign, newer or damaged."""
        check_file(path)
        self.path = path
        self._db = guard(path, self._connect)

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self.path.resolve().as_uri()}?mode=ro"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        try:
            harden(db)
            check_schema(db)
        except BaseException:
            db.close()
            raise
        return db

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def run(self) -> SavedRun:
        """The current state of the run."""
        return guard(self.path, lambda: read_run(self._db))

    def streams(self) -> list[TableStream]:
        """The streams of the table during all attempts, the oldest first."""
        rows = "SELECT arn, view_type FROM stream ORDER BY rowid"
        return guard(self.path, lambda: [TableStream(*row) for row in self._db.execute(rows)])

    def by_service(self) -> bool:
        """Whether the run's times are the service's; otherwise they are from this machine's clock."""
        rows = "SELECT COUNT(*) FROM note WHERE kind = ?"
        return guard(self.path, lambda: bool(self._db.execute(rows, (CLOCK,)).fetchone()[0]))

    def last(self) -> int:
        """The number of the page that was acknowledged last; 0 if there is none."""
        (number,) = guard(
            self.path, lambda: self._db.execute("SELECT COALESCE(MAX(number), 0) FROM settled").fetchone()
        )
        return int(number)

    def pages(self, *, after: int = 0, upto: int) -> Iterator[AcknowledgedPage]:
        """Acknowledged pages with numbers above `after`, up to `upto`."""
        while after < upto:
            rows = guard(self.path, lambda after=after: self._query(after, upto))  # type: ignore[misc]
            if not rows:
                return
            for row in rows:
                yield guard(self.path, lambda row=row: _acknowledged_page(*row))  # type: ignore[misc]
            after = rows[-1][0]

    def _query(self, after: int, upto: int) -> list[tuple[int, float, bytes, str | None]]:
        return self._db.execute(
            "SELECT number, opened, items, notes FROM settled WHERE number > ? AND number <= ?"
            " ORDER BY number LIMIT ?",
            (after, upto, _PAGES_PER_QUERY),
        ).fetchall()


def _acknowledged_page(number: int, opened: float, items: bytes, notes: str | None) -> AcknowledgedPage:
    """Decode a row. Raises ValueError if it is malformed."""
    page = AcknowledgedPage(number, opened, unpack(items), [] if notes is None else orjson.loads(notes))
    if {type(page.items), type(page.notes)} != {list}:
        raise ValueError("the items or notes of a page are not a list")
    return page

"""Everything that a checkpoint tells of one run, for `refire status RUN_ID`."""

import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refire_async.checkpoint.catalog import share_read, status_of
from refire_async.checkpoint.reading import SavedRun, peek_with
from refire_async.checkpoint.recording import Recorded, read_expected, read_recorded
from refire_async.model.run import RunStatus
from refire_async.model.series import Note

NOW_S = 30.0
"""The present rate is that of so many last seconds of work."""

_REASONS = {"stop": "reason", "pause": "why", "wait": "reason"}
"""Kinds of notes that say why a run does not work, and the field that says so."""

_OVER = ("start", "unpause", "recover")
"""Kinds of notes after which an earlier reason holds no more."""


@dataclass(frozen=True, slots=True)
class Details:
    """A run and how it went. `failures` are numbers of failed items by error code, of all that was recorded."""

    checkpoint: Path
    run: SavedRun
    status: RunStatus
    recorded: Recorded
    expected: int | None
    failures: Counter[str]

    @property
    def share(self) -> float | None:
        """See `catalog.share_read`."""
        return share_read(self.run, self.expected)

    @property
    def attempts(self) -> int:
        """How often the run was begun or gone on with."""
        return self.run.next_attempt

    @property
    def items_per_second(self) -> float:
        """Of the whole run, by time at work."""
        seconds = self.run.totals.seconds
        return self.run.counts.settled / seconds if seconds > 0 else 0.0

    @property
    def present_rate(self) -> float | None:
        """Items per second just now; None where the run is not at work or nothing is recorded."""
        if self.status != "running":
            return None
        seconds = items = 0.0
        for point in reversed(self.recorded.points):
            seconds += point.seconds
            items += point.items
            if seconds >= NOW_S:
                break
        return items / seconds if seconds > 0 else None

    @property
    def budget(self) -> dict[str, Any] | None:
        """What the run may consume, as it was told last: `max_wcu`, `max_rcu`, `why`."""
        for note in reversed(self.recorded.notes):
            data = note.data
            if note.kind == "budget":
                return {"max_wcu": data.get("wcu"), "max_rcu": data.get("rcu"), "why": data.get("why")}
            if note.kind == "start":
                return {
                    "max_wcu": data.get("max_wcu"),
                    "max_rcu": data.get("max_rcu"),
                    "why": data.get("budget"),
                }
        return None

    @property
    def reason(self) -> str | None:
        """Why the run does not work; None while it does, or once it is complete."""
        if self.status == "complete":
            return None
        for note in reversed(self.recorded.notes):
            if note.kind in _REASONS:
                said = note.data.get(_REASONS[note.kind])
                return said if isinstance(said, str) and said else None
            if note.kind in _OVER:
                break
        return "its process ended without saying why" if self.status == "stopped" else None

    @property
    def proof(self) -> Note | None:
        """The last proof."""
        return next((note for note in reversed(self.recorded.notes) if note.kind == "proof"), None)


def read_details(path: Path) -> Details:
    """What the checkpoint tells, while a run may be at work on it. Raises CheckpointRefusedError."""

    def read(db: sqlite3.Connection) -> tuple[Recorded, int | None, Counter[str]]:
        rows = db.execute("SELECT code, COUNT(*) FROM failed GROUP BY code ORDER BY COUNT(*) DESC LIMIT 100")
        return read_recorded(db), read_expected(db), Counter(dict(rows.fetchall()))

    saved, (recorded, expected, failures) = peek_with(path, read)
    return Details(path, saved, status_of(path, saved), recorded, expected, failures)

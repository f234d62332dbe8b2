"""Everything that a checkpoint contains about one run, for `refire status RUN_ID`."""

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
"""The present rate is the average of this many last seconds of work."""

_REASONS = {"stop": "reason", "pause": "why", "wait": "reason"}
"""Kinds of notes that say why a run does not proceed, and the field with the reason."""

_OVER = ("start", "unpause", "recover")
"""Kinds of notes after which earlier reasons are void."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """A run with its recording. `failures` are the numbers of failed items by error code."""

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
        """How often the run was started or resumed."""
        return self.run.next_attempt

    @property
    def items_per_second(self) -> float:
        """The average rate of the run over its time at work."""
        seconds = self.run.totals.seconds
        return self.run.counts.settled / seconds if seconds > 0 else 0.0

    @property
    def present_rate(self) -> float | None:
        """Items per second now; None if the run is not running or nothing is recorded."""
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
        """The last recorded limits of the run: `max_wcu`, `max_rcu` (units per second) and `why`."""
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
        """Why the run does not proceed; None while it does, and when it is complete."""
        if self.status == "complete":
            return None
        for note in reversed(self.recorded.notes):
            if note.kind in _REASONS:
                reason = note.data.get(_REASONS[note.kind])
                return reason if isinstance(reason, str) and reason else None
            if note.kind in _OVER:
                break
        return "its process ended without a reason" if self.status == "stopped" else None

    @property
    def proof(self) -> Note | None:
        """The last verification."""
        return next((note for note in reversed(self.recorded.notes) if note.kind == "proof"), None)


def read_details(path: Path) -> Details:
    """Read the details of a run that may be running. Raises CheckpointRefusedError."""

    def read(db: sqlite3.Connection) -> tuple[Recorded, int | None, Counter[str]]:
        rows = db.execute("SELECT code, COUNT(*) FROM failed GROUP BY code ORDER BY COUNT(*) DESC LIMIT 100")
        return read_recorded(db), read_expected(db), Counter(dict(rows.fetchall()))

    saved, (recorded, expected, failures) = peek_with(path, read)
    return Details(
        checkpoint=path,
        run=saved,
        status=status_of(path, saved),
        recorded=recorded,
        expected=expected,
        failures=failures,
    )

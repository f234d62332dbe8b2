"""The ledger of a delivery: a SQLite file that says, before each invocation, which batch it is.

Synchronous: the journal calls it in a worker thread. A commit is on disk when it returns (WAL with synchronous=FULL).
The file has mode 0600, lies where the checkpoints of runs lie and is locked as they are (checkpoint/lock.py).
"""

import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from refire_async import failpoints
from refire_async.checkpoint.files import begin, check_structure, connect, make
from refire_async.checkpoint.read_only import guard, read_unlocked
from refire_async.checkpoint.reading import roll_back
from refire_async.delivery.saved import LEDGER_FORMAT, Doubtful, SavedDelivery, SavedLane, read_delivery
from refire_async.delivery.spec import DeliverySpec, spec_to_json
from refire_async.errors import CheckpointRefusedError, StoppedError
from refire_async.model.delivery import DeliveryCounts
from refire_async.model.run import RunStatus
from refire_async.model.units import iso_seconds
from refire_async.settings import Connection


@dataclass(slots=True, kw_only=True)
class Changes:
    """What one transaction saves. `lanes` and `tokens` are those that have changed, by shard (and lane)."""

    counts: DeliveryCounts
    seconds: float
    failures_bytes: int
    status: RunStatus | None = None
    lanes: Mapping[tuple[str, int], SavedLane] = field(default_factory=dict)
    tokens: Mapping[str, str | None] = field(default_factory=dict)
    doubtful: tuple[Doubtful, ...] = ()


class Ledger:
    """One ledger, open for writing. Make it with `create`, `open` or `in_memory`."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self._db = db
        self.clock: Callable[[], float] = time.time

    @classmethod
    def create(cls, path: Path, spec: DeliverySpec, connection: Connection) -> "Ledger":
        """A new file. The caller holds the lock of `path`.

        Raises:
            CheckpointRefusedError: there is a file of that name, or none can be made.
            RefusedError: there is no room for it.
        """
        return cls(path, make(path, LEDGER_FORMAT, lambda db: _insert(db, spec, connection)))

    @classmethod
    def in_memory(cls, spec: DeliverySpec, connection: Connection) -> "Ledger":
        """A ledger that is gone when it is closed, for a delivery that cannot be resumed."""
        db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        begin(db, LEDGER_FORMAT, lambda db: _insert(db, spec, connection))
        return cls(Path(":memory:"), db)

    @classmethod
    def open(cls, path: Path) -> "Ledger":
        """The ledger of a delivery that is to be continued. The caller holds the lock of `path`.

        Raises CheckpointRefusedError if it is missing, foreign, newer, damaged, read-only or complete.
        """
        read_unlocked(
            path, lambda _: None, LEDGER_FORMAT
        )  # another kind of file is not even opened for writing
        ledger = cls(path, connect(path, LEDGER_FORMAT))
        try:
            _refuse_complete(path, guard(path, ledger._check))
        except BaseException:
            ledger.close()
            raise
        return ledger

    def _check(self) -> SavedDelivery:
        check_structure(self._db)
        return read_delivery(self._db)

    def load(self) -> SavedDelivery:
        """What the ledger holds. Raises CheckpointRefusedError if it cannot be read."""
        return guard(self.path, lambda: read_delivery(self._db))

    def close(self) -> None:
        """Close the file; what is committed stays."""
        self._db.close()

    def save(self, changes: Changes) -> None:
        """Save all of `changes` or nothing; they are on disk when this returns. Raises StoppedError."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._write(changes)
                if failpoints.reached is not None:
                    failpoints.reached("ledger-commit-pending")
                self._db.execute("COMMIT")
            except BaseException:
                roll_back(self._db)
                raise
        except sqlite3.Error as error:
            raise StoppedError(
                f"checkpoint {self.path} cannot be saved: {error}",
                "free space or repair the disk, then run 'refire resume'",
            ) from error

    def _write(self, changes: Changes) -> None:
        db = self._db
        db.executemany(
            "INSERT OR REPLACE INTO lane VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(*place, *_columns(lane)) for place, lane in changes.lanes.items()],
        )
        if changes.tokens:
            db.executemany("INSERT OR REPLACE INTO shard VALUES (?, ?)", changes.tokens.items())
        if changes.doubtful:
            db.executemany(
                "INSERT INTO doubtful (shard, lane, first, last, records, attempt, reason)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(one.shard, one.lane, str(one.flight.first), str(one.flight.last)),
                        *(one.flight.records, one.flight.attempt, one.reason),
                    )
                    for one in changes.doubtful
                ],
            )
        db.execute(
            "UPDATE delivery SET updated_at = ?, counts = ?, seconds = ?, failures_bytes = ?",
            (
                iso_seconds(self.clock()),
                _dump(asdict(changes.counts)),
                changes.seconds,
                changes.failures_bytes,
            ),
        )
        if changes.status is not None:
            db.execute("UPDATE delivery SET status = ?", (changes.status,))


def _refuse_complete(path: Path, saved: SavedDelivery) -> None:
    if saved.status == "complete":
        raise CheckpointRefusedError(
            f"checkpoint {path} holds delivery {saved.spec.run_id}, which is complete",
            "name another file for a new delivery",
        )


def _insert(db: sqlite3.Connection, spec: DeliverySpec, connection: Connection) -> None:
    now = iso_seconds(time.time())
    db.execute(
        "INSERT INTO delivery VALUES (1, ?, 'running', ?, ?, ?, ?, ?, 0.0, 0)",
        (
            *(spec.run_id, now, now, spec_to_json(spec)),
            *(_dump(asdict(connection)), _dump(asdict(DeliveryCounts()))),
        ),
    )


def _columns(lane: SavedLane) -> tuple[str | int | None, ...]:
    flight = lane.flight
    settled, reached = (None if number is None else str(number) for number in (lane.settled, lane.reached))
    if flight is None:
        return (settled, reached, None, None, None, None)
    return (settled, reached, str(flight.first), str(flight.last), flight.records, flight.attempt)


def _dump(value: object) -> str:
    return orjson.dumps(value).decode()

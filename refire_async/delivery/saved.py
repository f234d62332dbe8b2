"""What a delivery's ledger holds: read from its tables and checked, by the delivery itself or by `refire status`."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import orjson

from refire_async.checkpoint.invariants import STATUSES
from refire_async.checkpoint.read_only import read_unlocked
from refire_async.checkpoint.reading import roll_back
from refire_async.checkpoint.schema import DELIVERY_APPLICATION_ID, RECORDING_TABLES, FileFormat
from refire_async.checkpoint.shapes import conforms
from refire_async.delivery.spec import DeliverySpec, spec_from_json
from refire_async.model.delivery import DeliveryCounts
from refire_async.model.run import RunStatus
from refire_async.settings import Connection

_TABLES = """
CREATE TABLE delivery (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  run_id TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  spec TEXT NOT NULL,
  connection TEXT NOT NULL,
  counts TEXT NOT NULL,
  seconds REAL NOT NULL,
  failures_bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE shard (
  name TEXT PRIMARY KEY,
  token TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE lane (
  shard TEXT NOT NULL,
  lane INTEGER NOT NULL,
  settled TEXT,
  reached TEXT,
  first TEXT,
  last TEXT,
  records INTEGER,
  attempt INTEGER,
  PRIMARY KEY (shard, lane)
) STRICT, WITHOUT ROWID;
CREATE TABLE doubtful (
  number INTEGER PRIMARY KEY,
  shard TEXT NOT NULL,
  lane INTEGER NOT NULL,
  first TEXT NOT NULL,
  last TEXT NOT NULL,
  records INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  reason TEXT NOT NULL
) STRICT;
"""

LEDGER_FORMAT = FileFormat(DELIVERY_APPLICATION_ID, 1, _TABLES + RECORDING_TABLES, "a replay or redrive")
"""The format of a ledger, documented in docs/checkpoint.md; changed only together with its version."""

MOST_LANES = 1_000
"""Lanes of a shard; Lambda has 10 (API reference: ParallelizationFactor)."""

MOST_DIGITS = 100
"""Digits of a sequence number; DynamoDB's have at most 40 (API reference: StreamRecord)."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A batch that is being invoked: its first and last sequence number, and which attempt it is, from 1."""

    first: int
    last: int
    records: int
    attempt: int


@dataclass(frozen=True, slots=True)
class SavedLane:
    """Where a lane stands. Every record up to sequence number `settled` is settled; None: no record.

    Records up to `reached` have been in an invocation that may have run. `flight` is being invoked.
    """

    settled: int | None = None
    reached: int | None = None
    flight: Flight | None = None


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A batch that may have run although its answer is unknown, and why it is unknown."""

    shard: str
    lane: int
    flight: Flight
    reason: str

    def __str__(self) -> str:
        """One line for people."""
        flight = self.flight
        return (
            f"{self.shard}, records {flight.first} to {flight.last} ({flight.records} of lane {self.lane},"
            f" attempt {flight.attempt}): {self.reason}"
        )


@dataclass(slots=True)
class SavedShard:
    """Where a shard stands: the token up to which everything is settled, and its lanes by number."""

    token: str | None = None
    lanes: dict[int, SavedLane] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SavedDelivery:
    """What a ledger holds. `counts` and `seconds` are those of all attempts.

    `failures_bytes` is the length of the failed-records file as far as the counts include it.
    """

    spec: DeliverySpec
    connection: Connection
    status: RunStatus
    created_at: str
    updated_at: str
    counts: DeliveryCounts
    seconds: float
    failures_bytes: int
    shards: dict[str, SavedShard]
    doubtful: tuple[Doubtful, ...]

    @property
    def in_flight(self) -> list[Doubtful]:
        """The batches that were being invoked when the ledger was saved last."""
        return [
            Doubtful(name, number, lane.flight, "the program ended before the answer")
            for name, shard in self.shards.items()
            for number, lane in shard.lanes.items()
            if lane.flight is not None
        ]


def peek(path: Path) -> SavedDelivery:
    """What a ledger holds, read without a lock while a delivery may be using it.

    Raises CheckpointRefusedError if it is missing, foreign, newer or damaged.
    """
    return read_unlocked(path, read_delivery, LEDGER_FORMAT)


def read_delivery(db: sqlite3.Connection) -> SavedDelivery:
    """What the file in `db` holds, at one moment. Raises what `guard` translates if its values cannot be."""
    db.execute("BEGIN")
    try:
        saved = _read(db)
    finally:
        roll_back(db)
    wrong = broken(saved)
    if wrong is not None:
        raise ValueError(wrong)
    return saved


def _read(db: sqlite3.Connection) -> SavedDelivery:
    row = db.execute(
        "SELECT run_id, status, created_at, updated_at, spec, connection, counts, seconds, failures_bytes"
        " FROM delivery"
    ).fetchone()
    if row is None:
        raise ValueError("no delivery in it")
    run_id, status, created_at, updated_at, spec_text, connection, counts, seconds, failures_bytes = row
    spec = spec_from_json(spec_text)
    shards = {name: SavedShard(token) for name, token in db.execute("SELECT name, token FROM shard")}
    for name, number, lane in _read_lanes(db):
        shards[name].lanes[number] = lane
    saved = SavedDelivery(
        spec,
        Connection(**orjson.loads(connection)),
        status,
        created_at,
        updated_at,
        DeliveryCounts(**orjson.loads(counts)),
        seconds,
        failures_bytes,
        shards,
        tuple(_read_doubtful(db)),
    )
    # The other columns have their type, since the tables are STRICT.
    for value, kind in ((spec, DeliverySpec), (saved.connection, Connection), (saved.counts, DeliveryCounts)):
        if not conforms(value, kind):
            raise ValueError("it has a value of the wrong type")
    for moment in (created_at, updated_at):
        datetime.fromisoformat(moment)  # a ValueError if it is none
    if run_id != spec.run_id:
        raise ValueError("it names two deliveries")
    return saved


def _read_lanes(db: sqlite3.Connection) -> Iterator[tuple[str, int, SavedLane]]:
    for shard, number, settled, reached, first, last, records, attempt in db.execute(
        "SELECT shard, lane, settled, reached, first, last, records, attempt FROM lane"
    ):
        flight = None
        if first is not None:
            if None in (last, records, attempt):
                raise ValueError("it has half a batch")
            flight = Flight(_number(first), _number(last), records, attempt)
        yield shard, number, SavedLane(_number_or_none(settled), _number_or_none(reached), flight)


def _read_doubtful(db: sqlite3.Connection) -> Iterator[Doubtful]:
    for shard, lane, first, last, records, attempt, reason in db.execute(
        "SELECT shard, lane, first, last, records, attempt, reason FROM doubtful ORDER BY number"
    ):
        yield Doubtful(shard, lane, Flight(_number(first), _number(last), records, attempt), reason)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > MOST_DIGITS:
        raise ValueError("it has a sequence number that cannot be one")
    return int(text)


def _number_or_none(text: str | None) -> int | None:
    return None if text is None else _number(text)


def broken(saved: SavedDelivery) -> str | None:
    """What cannot be true of any ledger, or None. Types are right already. Pure."""
    counts, rules = saved.counts, saved.spec.rules
    lanes = [(number, lane) for shard in saved.shards.values() for number, lane in shard.lanes.items()]
    flights = [lane.flight for _, lane in lanes if lane.flight] + [one.flight for one in saved.doubtful]
    checks = {
        "it has no known status": saved.status in STATUSES,
        "its rules are none that a delivery has": rules.batch_size > 0
        and 0 < rules.parallelization <= MOST_LANES
        and rules.window_s >= 0,
        "its counts do not add up": counts.selected == counts.delivered + counts.failed
        and all(getattr(counts, name) >= 0 for name in DeliveryCounts.__slots__),
        "its times or sizes are below 0": saved.seconds >= 0 and saved.failures_bytes >= 0,
        "it has a lane that its delivery has not": all(
            0 <= number < rules.parallelization for number, _ in lanes
        ),
        "it has a batch that cannot be one": all(
            one.first <= one.last and one.records > 0 and one.attempt > 0 for one in flights
        ),
        "it has a batch that is settled already": all(map(_is_in_order, lanes)),
        "it is complete, with a batch in flight": saved.status != "complete" or not saved.in_flight,
    }
    return next((wrong for wrong, holds in checks.items() if not holds), None)


def _is_in_order(numbered: tuple[int, SavedLane]) -> bool:
    lane = numbered[1]
    settled = -1 if lane.settled is None else lane.settled
    return lane.flight is None or settled < lane.flight.first

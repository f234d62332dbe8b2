"""The checkpoint file's format: documented in docs/checkpoint.md, changed only together with VERSION."""

import contextlib
import sqlite3
from dataclasses import dataclass
from functools import cache

APPLICATION_ID = 0x52464952
"""`RFIR`: identifies checkpoints among SQLite files."""

VERSION = 3

RUN_TABLES = """
CREATE TABLE run (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  run_id TEXT NOT NULL,
  table_name TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  spec TEXT NOT NULL,
  connection TEXT NOT NULL
) STRICT;
CREATE TABLE part (
  number INTEGER PRIMARY KEY,
  counts TEXT NOT NULL,
  totals TEXT NOT NULL
) STRICT;
CREATE TABLE segment (
  segment INTEGER PRIMARY KEY,
  cursor TEXT,
  finished INTEGER NOT NULL
) STRICT;
CREATE TABLE page (
  number INTEGER PRIMARY KEY,
  segment INTEGER NOT NULL,
  start TEXT,
  finish TEXT,
  opened REAL NOT NULL,
  item_units REAL NOT NULL,
  items BLOB NOT NULL,
  counts TEXT NOT NULL,
  failures TEXT NOT NULL
) STRICT;
CREATE TABLE settled (
  number INTEGER PRIMARY KEY,
  opened REAL NOT NULL,
  items BLOB NOT NULL,
  notes TEXT
) STRICT;
CREATE TABLE stream (
  arn TEXT PRIMARY KEY,
  view_type TEXT NOT NULL
) STRICT;
CREATE TABLE failed (
  number INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  code TEXT NOT NULL,
  reason TEXT NOT NULL
) STRICT;
CREATE TABLE seen (
  digest BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;
"""

RECORDING_TABLES = """
CREATE TABLE point (
  at REAL PRIMARY KEY,
  span REAL NOT NULL,
  data TEXT NOT NULL
) STRICT;
CREATE TABLE note (
  number INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  kind TEXT NOT NULL,
  data TEXT NOT NULL
) STRICT;
"""

TABLES = RUN_TABLES + RECORDING_TABLES


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A kind of checkpoint file: the numbers in its header, and its tables. `holds` names its content in messages."""

    application_id: int
    version: int
    tables: str
    holds: str


RUN_FORMAT = FileFormat(APPLICATION_ID, VERSION, TABLES, "a run")

DELIVERY_APPLICATION_ID = 0x52464456
"""`RFDV`: the ledger of a replay or redrive (delivery/ledger.py has its tables)."""

CLOCK = "clock"
"""Kind of the note which says that the run's times are the service's, from the `Date` headers of its answers."""

PROCESSES_PER_ATTEMPT = 1 << 10
"""Numbers for the processes of one attempt: the process in row n of table `part` belongs to attempt
n // PROCESSES_PER_ATTEMPT."""

MAX_PROCESSES = 1 << 22
"""Most processes of a run over all attempts. Page numbers that are derived from them fit into SQLite's integers."""


def check_schema(db: sqlite3.Connection, form: FileFormat = RUN_FORMAT) -> None:
    """Raise ValueError unless the file has exactly the tables of the format: no view, trigger, index or other column.

    Reading a view or writing to a table with a trigger would run code from the file.
    """
    expected = _objects(form.tables)
    found = db.execute(_OBJECTS).fetchmany(len(expected) + 1)
    if sorted(map(str, found)) != expected:
        raise ValueError("its tables are not those of a checkpoint")


_OBJECTS = "SELECT type, name, tbl_name, sql FROM sqlite_master"


@cache
def _objects(tables: str) -> list[str]:
    """The schema of a new checkpoint."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(tables)
        return sorted(map(str, db.execute(_OBJECTS)))

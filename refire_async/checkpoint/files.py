"""The files of a checkpoint: connected to for writing, removed, made durable by name."""

import contextlib
import os
import sqlite3
from pathlib import Path

from refire_async.checkpoint.read_only import check_beside, guard, harden
from refire_async.checkpoint.schema import VERSION
from refire_async.errors import CheckpointRefusedError

LOGS = ("-wal", "-shm", "-journal")
"""Ends of the names of SQLite's files beside its own."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose commits are on disk when they return. Raises CheckpointRefusedError."""
    return guard(path, lambda: _connect_unguarded(path))


def _connect_unguarded(path: Path) -> sqlite3.Connection:
    check_beside(path.resolve())
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            harden(db)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            # Other processes of the same run commit too; each commit takes milliseconds.
            db.execute("PRAGMA busy_timeout = 60000")
            # SQLite opens for reading what it may not write, and would say so at the first commit only.
            db.executescript(f"BEGIN IMMEDIATE; PRAGMA user_version = {VERSION}; ROLLBACK")
        except BaseException:
            db.close()
            raise
    except sqlite3.OperationalError as error:
        raise CheckpointRefusedError(
            f"checkpoint {path} cannot be opened: {error}", "check the file, its folder and their permissions"
        ) from error
    return db


def remove(path: Path) -> None:
    """Remove a file of SQLite's that nobody has open, and what may lie beside it."""
    for end in ("", *LOGS):
        with contextlib.suppress(OSError):  # then making it anew tells why
            path.with_name(path.name + end).unlink()


def sync_folder(folder: Path) -> None:
    """Make the new file's name durable too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Creates, opens and removes the files of a checkpoint."""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from refire_async import failpoints
from refire_async.checkpoint.read_only import check_beside, guard, harden
from refire_async.checkpoint.schema import RUN_FORMAT, FileFormat
from refire_async.errors import CheckpointRefusedError, RefusedError
from refire_async.private import NO_ROOM, NOFOLLOW

LOGS = ("-wal", "-shm", "-journal")
"""Suffixes of the files that SQLite keeps beside a database."""


def make(path: Path, form: FileFormat, fill: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    """Create a file with the tables of `form` and the first rows, which `fill` inserts. Returns a connection to it.

    The file is completed under another name first, so a process that is killed meanwhile leaves no partial checkpoint
    that would block the same run.

    Raises:
        CheckpointRefusedError: the file exists, or cannot be created.
        RefusedError: the disk is full.
    """
    new_path = path.with_name(f"{path.name}.new")
    remove(new_path)
    if os.path.lexists(path):
        raise CheckpointRefusedError(
            f"checkpoint {path} exists", "run 'refire resume', or choose another file"
        )
    try:
        os.close(os.open(new_path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | NOFOLLOW, 0o600))
    except OSError as error:
        kind = RefusedError if error.errno in NO_ROOM else CheckpointRefusedError
        raise kind(
            f"checkpoint {path} cannot be created: {error.strerror}",
            "choose another folder with --checkpoint",
        ) from None
    at = new_path
    try:
        with contextlib.closing(connect(new_path, form)) as db:
            begin(db, form, fill)
        if failpoints.reached is not None:
            failpoints.reached("checkpoint-begun")
        _remove_logs(path)
        new_path.rename(path)
        at = path
        sync_folder(path.parent)
        return connect(path, form)
    except BaseException as error:
        remove(at)
        why = _why_unwritable(error)
        if why is None:
            raise
        # Nothing was written or invoked, and there is nothing to continue with.
        raise RefusedError(
            f"checkpoint {path} cannot be created: {why}",
            "free disk space, or choose another folder with --checkpoint",
        ) from error


def begin(db: sqlite3.Connection, form: FileFormat, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Create the tables of `form` in an empty file, and the rows that `fill` inserts. Raises sqlite3.Error."""
    db.executescript(
        f"PRAGMA application_id = {form.application_id}; PRAGMA user_version = {form.version};"
        f" BEGIN; {form.tables}"
    )
    fill(db)
    db.execute("COMMIT")
    # Move it from the log to the file itself, so that the header identifies the file.
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _remove_logs(path: Path) -> None:
    """Remove logs of a deleted checkpoint: SQLite would apply them to a new one of the same name.

    Raises CheckpointRefusedError if they do not belong to this user.
    """
    check_beside(path)
    for end in LOGS:
        path.with_name(path.name + end).unlink(missing_ok=True)


def _why_unwritable(error: BaseException) -> str | None:
    """The error text if the file could not be created because of the disk, else None."""
    cause = error.__cause__ if isinstance(error, CheckpointRefusedError) else error
    if isinstance(cause, OSError):
        return cause.strerror or type(cause).__name__
    return str(cause) if isinstance(cause, sqlite3.OperationalError) else None


def connect(path: Path, form: FileFormat = RUN_FORMAT) -> sqlite3.Connection:
    """A connection whose commits are on disk when they return. Raises CheckpointRefusedError."""
    return guard(path, lambda: _connect_unguarded(path, form))


def _connect_unguarded(path: Path, form: FileFormat) -> sqlite3.Connection:
    check_beside(path.resolve())
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            harden(db)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            # Other processes of the same run commit too; each commit takes milliseconds.
            db.execute("PRAGMA busy_timeout = 60000")
            # SQLite opens a read-only file without an error, which the first commit would report only.
            db.executescript(f"BEGIN IMMEDIATE; PRAGMA user_version = {form.version}; ROLLBACK")
        except BaseException:
            db.close()
            raise
    except sqlite3.OperationalError as error:
        raise CheckpointRefusedError(
            f"checkpoint {path} cannot be opened: {error}", "check the file, its folder and their permissions"
        ) from error
    return db


def check_structure(db: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError, whose message is one line, if pages or rows of the file are damaged."""
    (result,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise sqlite3.DatabaseError(" ".join(result.split()))


def remove(path: Path) -> None:
    """Remove an SQLite file that no process has open, with the files beside it."""
    for end in ("", *LOGS):
        with contextlib.suppress(OSError):  # creating the file then reports the error
            path.with_name(path.name + end).unlink()


def sync_folder(folder: Path) -> None:
    """Make the name of a new file durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Reads a checkpoint without its lock, and refuses files that are not one."""

import contextlib
import shlex
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from refire_async.checkpoint.schema import (
    DELIVERY_APPLICATION_ID,
    RUN_FORMAT,
    FileFormat,
    check_schema,
)
from refire_async.errors import CheckpointRefusedError, RefireError
from refire_async.private import why_foreign

T = TypeVar("T")

MAX_VALUE_BYTES = 64 << 20
"""Most bytes of one value or row in the file; SQLite itself allows 1 GB."""

_STEPS = 1_000_000
"""Steps of SQLite's virtual machine between two calls of the progress handler."""

_FREE_STEPS, _STEPS_PER_BYTE = 20_000_000, 4
"""Most steps of a read: a row takes about ten steps, and no row has fewer than ten bytes."""


def read_unlocked(path: Path, read: Callable[[sqlite3.Connection], T], form: FileFormat = RUN_FORMAT) -> T:
    """Call `read` on a checkpoint that a run may be using, and return its result.

    Raises CheckpointRefusedError if it is missing, foreign, newer or damaged.
    """
    check_file(path, form)
    real = path.resolve()

    def opened() -> T:
        # Without a write-ahead log no process has the file open. As immutable, it needs no files beside it.
        unused = not real.with_name(real.name + "-wal").exists()
        how = "mode=ro&immutable=1" if unused else "mode=ro"
        with contextlib.closing(
            sqlite3.connect(f"{real.as_uri()}?{how}", uri=True, isolation_level=None)
        ) as db:
            harden(db)
            _bound_steps(db, real)
            check_schema(db, form)
            return read(db)

    return guard(path, opened)


def harden(db: sqlite3.Connection) -> None:
    """Protect against malicious database files (SQLite: Defense Against The Dark Arts)."""
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")


def _bound_steps(db: sqlite3.Connection, path: Path) -> None:
    """Interrupt endless reads: a crafted file can make SQLite read the same pages again and again."""
    size = sum(other.stat().st_size for other in (path, _beside(path, "-wal")) if other.exists())
    left = (_FREE_STEPS + _STEPS_PER_BYTE * size) // _STEPS

    def too_many() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    db.set_progress_handler(too_many, _STEPS)


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def check_owner(path: Path) -> None:
    """Refuse a checkpoint that another user can have written, including the files that SQLite reads with it.

    The checkpoint decides what happens with the user's credentials: where requests go and which attribute is written.
    A `-wal` file is part of it. SQLite would play back a `-journal` file, which refire never leaves.

    Raises CheckpointRefusedError; OSError if there is no such file.
    """
    real = path.resolve()
    status = real.stat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise CheckpointRefusedError(f"checkpoint {path} is not a regular file", "choose another file")
    why = why_foreign(status)
    if why is not None:
        action = (
            f"then chmod go-w {shlex.quote(str(real))}" if "written" in why else "then use a copy of your own"
        )
        raise CheckpointRefusedError(
            f"checkpoint {path} {why}", f"make sure that you trust its content, {action}"
        )
    check_beside(real)


def check_beside(real: Path) -> None:
    """Refuse SQLite files beside a checkpoint that do not belong to this user. Raises CheckpointRefusedError."""
    for end in ("-wal", "-shm", "-journal"):
        other = _beside(real, end)
        try:
            status = other.lstat()
        except FileNotFoundError:
            continue
        why = why_foreign(status)
        if why is None and not stat.S_ISREG(status.st_mode):
            why = "is not a regular file"
        if why is None and end == "-journal":
            why = "was not left by refire"
        if why is not None:
            raise CheckpointRefusedError(f"{other} {why}, and SQLite would read it", "move it away")


def check_file(path: Path, form: FileFormat = RUN_FORMAT) -> None:
    """Refuse a file that is no checkpoint of this format, or not this user's. Raises CheckpointRefusedError."""
    try:
        check_owner(path)
        application, version = _identity(path)
    except FileNotFoundError:
        raise CheckpointRefusedError(
            f"there is no checkpoint {path}", "see 'refire status' for the runs that can be resumed"
        ) from None
    except (OSError, sqlite3.OperationalError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise CheckpointRefusedError(
            f"checkpoint {path} cannot be read: {why}", "check its permissions"
        ) from None
    if application != form.application_id and application in _CONTENTS:
        raise CheckpointRefusedError(
            f"checkpoint {path} holds {_CONTENTS[application]}, not {form.holds}", "choose another file"
        )
    if application != form.application_id:
        raise CheckpointRefusedError(f"{path} is not a checkpoint of refire", "choose another file")
    if version != form.version:
        raise CheckpointRefusedError(
            f"checkpoint {path} has format {version}, this program reads format {form.version}",
            "use the version of refire that created it",
        )


_CONTENTS = {RUN_FORMAT.application_id: RUN_FORMAT.holds, DELIVERY_APPLICATION_ID: "a replay or redrive"}


def holds_delivery(path: Path) -> bool:
    """Whether a file is the ledger of a replay or redrive, as its header says. False if it cannot be read."""
    try:
        return stat.S_ISREG(path.stat().st_mode) and _identity(path)[0] == DELIVERY_APPLICATION_ID
    except (OSError, sqlite3.Error):
        return False


def _identity(path: Path) -> tuple[int, int]:
    """Application id and version in the header of a file, zeros if it is not an SQLite file.

    A file with a write-ahead log may be open in this process. Closing a descriptor of a file releases all POSIX locks
    that the process holds on it, so other processes of the run could delete the log (SQLite: How To Corrupt An SQLite
    Database File, 2.2). SQLite itself avoids that, so it reads such a file.
    """
    real = path.resolve()
    if not real.with_name(real.name + "-wal").exists():
        with real.open("rb") as file:
            head = file.read(100)
        # SQLite file format: magic at 0, user version at 60, application id at 68, big-endian.
        if head[:16] != b"SQLite format 3\x00":
            return 0, 0
        return int.from_bytes(head[68:72], "big"), int.from_bytes(head[60:64], "big")
    with contextlib.closing(sqlite3.connect(f"{real.as_uri()}?mode=ro", uri=True)) as db:
        try:
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            return 0, 0
    return application, version


def guard(path: Path, read: Callable[[], T]) -> T:
    """Call `read` and translate the errors of a damaged file into CheckpointRefusedError."""
    try:
        return read()
    except RefireError:
        raise
    # With a damaged file sqlite3 can raise UnicodeDecodeError (a ValueError) while it formats its message.
    except (
        *(sqlite3.Error, ValueError, TypeError, LookupError, AttributeError),
        *(ArithmeticError, RecursionError, MemoryError),
    ) as error:
        raise CheckpointRefusedError(
            f"checkpoint {path} is damaged: {error}", "start a new run, or restore the file from a backup"
        ) from error

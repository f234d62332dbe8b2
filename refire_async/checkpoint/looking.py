"""Looking into a checkpoint without a lock, and refusing what is none."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from refire_async.checkpoint.schema import APPLICATION_ID, VERSION
from refire_async.errors import CheckpointRefusedError, RefireError

T = TypeVar("T")


def look(path: Path, read: Callable[[sqlite3.Connection], T]) -> T:
    """What `read` finds in a checkpoint, while a run may be using it.

    Raises CheckpointRefusedError if it is missing, foreign, newer or damaged.
    """
    check_file(path)
    real = path.resolve()

    def opened() -> T:
        # Without a log nobody has it open: it is whole, and read as it is it needs no files beside it.
        alone = not real.with_name(real.name + "-wal").exists()
        how = "mode=ro&immutable=1" if alone else "mode=ro"
        with contextlib.closing(
            sqlite3.connect(f"{real.as_uri()}?{how}", uri=True, isolation_level=None)
        ) as db:
            return read(db)

    return guard(path, opened)


def check_file(path: Path) -> None:
    """Refuse what is not a checkpoint of this version. Raises CheckpointRefusedError."""
    try:
        path.stat()
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
    if application != APPLICATION_ID:
        raise CheckpointRefusedError(f"{path} is not a checkpoint of refire", "name another file")
    if version != VERSION:
        raise CheckpointRefusedError(
            f"checkpoint {path} has format {version}, this program reads format {VERSION}",
            "use the version of refire that made it",
        )


def _identity(path: Path) -> tuple[int, int]:
    """Application id and version in the header of a file, zeros if it is none of SQLite's.

    A file with a log may be open in this very process. Whoever closes a descriptor of a file loses all locks that its
    process has on it, so other processes of the run would take the log for left behind (SQLite: How To Corrupt An
    SQLite Database File, 2.2). SQLite itself knows how to avoid that.
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
    """Run `read`, translating what a damaged file does into CheckpointRefusedError."""
    try:
        return read()
    except RefireError:
        raise
    # Of a damaged file sqlite3 can raise UnicodeDecodeError (a ValueError) when it makes its message.
    except (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointRefusedError(
            f"checkpoint {path} is damaged: {error}", "start a new run, or restore the file"
        ) from error

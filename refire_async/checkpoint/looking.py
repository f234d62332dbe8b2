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
        with path.open("rb") as file:
            head = file.read(100)
    except FileNotFoundError:
        raise CheckpointRefusedError(
            f"there is no checkpoint {path}", "see 'refire status' for the runs that can be resumed"
        ) from None
    except OSError as error:
        raise CheckpointRefusedError(
            f"checkpoint {path} cannot be read: {error.strerror}", "check its permissions"
        ) from None
    # SQLite file format: magic at 0, user version at 60, application id at 68, big-endian.
    if head[:16] != b"SQLite format 3\x00" or int.from_bytes(head[68:72], "big") != APPLICATION_ID:
        raise CheckpointRefusedError(f"{path} is not a checkpoint of refire", "name another file")
    version = int.from_bytes(head[60:64], "big")
    if version != VERSION:
        raise CheckpointRefusedError(
            f"checkpoint {path} has format {version}, this program reads format {VERSION}",
            "use the version of refire that made it",
        )


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

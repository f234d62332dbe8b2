"""One process at a time on one checkpoint."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from refire_async.errors import CheckpointRefusedError


def lock_path(checkpoint: Path) -> Path:
    """The lock's file. It stays when the run is over: removing it would race with the next locker."""
    return checkpoint.with_name(checkpoint.name + ".lock")


@contextlib.contextmanager
def locked(checkpoint: Path) -> Iterator[int]:
    """Hold the checkpoint's lock and give its file descriptor.

    The kernel frees the lock when the process has died, and every child that was given the descriptor.

    Raises CheckpointRefusedError if another process holds it or the file cannot be made.
    """
    path = lock_path(checkpoint)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise CheckpointRefusedError(
            f"checkpoint {checkpoint} cannot be locked: {error.strerror}",
            "choose a writable place with --checkpoint",
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointRefusedError(
                f"checkpoint {checkpoint} is in use by another process", "wait for it, or stop it first"
            ) from None
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(checkpoint: Path) -> bool:
    """Whether a process works on the checkpoint right now."""
    try:
        with locked(checkpoint):
            return False
    except CheckpointRefusedError:
        return True

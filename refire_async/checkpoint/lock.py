"""One process at a time on one checkpoint."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from refire_async.errors import CheckpointRefusedError, RefireError, RefusedError
from refire_async.private import NO_ROOM


class InUseError(CheckpointRefusedError):
    """Another process works on the checkpoint."""


def lock_path(checkpoint: Path) -> Path:
    """The lock's file. It stays when the run is over, unless the checkpoint is removed with it."""
    real = checkpoint.resolve()  # a link to a checkpoint is that checkpoint
    return real.with_name(real.name + ".lock")


@contextlib.contextmanager
def locked(checkpoint: Path) -> Iterator[int]:
    """Hold the checkpoint's lock and give its file descriptor.

    The kernel frees the lock when the process has died, and every child that was given the descriptor.

    Raises:
        InUseError: another process holds it.
        CheckpointRefusedError: the file cannot be made or locked there.
        RefusedError: there is no room for it.
    """
    path = lock_path(checkpoint)
    descriptor = _take(checkpoint, path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _take(checkpoint: Path, path: Path) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _cannot_lock(checkpoint, error, "choose a writable place with --checkpoint") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise InUseError(
                f"checkpoint {checkpoint} is in use by another process", "wait for it, or stop it first"
            ) from None
        except OSError as error:  # such as a network drive without locks
            os.close(descriptor)
            raise _cannot_lock(
                checkpoint, error, "choose a place on a local disk with --checkpoint"
            ) from None
        # Its last holder has removed it between our two calls: another one counts now.
        os.close(descriptor)


def _cannot_lock(checkpoint: Path, error: OSError, action: str) -> RefireError:
    message = f"checkpoint {checkpoint} cannot be locked: {error.strerror}"
    if error.errno in NO_ROOM:
        return RefusedError(message, "make room, or choose another place with --checkpoint")
    return CheckpointRefusedError(message, action)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is still what `path` names: a lock on a file that was removed keeps nobody away."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def is_locked(checkpoint: Path) -> bool:
    """Whether a process works on the checkpoint right now."""
    try:
        with locked(checkpoint):
            return False
    except InUseError:
        return True
    except RefireError:  # where nobody can take the lock, nobody holds it
        return False

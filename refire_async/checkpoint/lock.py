"""A lock that lets one process at a time work on a checkpoint."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from refire_async.errors import CheckpointRefusedError, RefireError, RefusedError
from refire_async.private import NO_ROOM


class InUseError(CheckpointRefusedError):
    """Another process is working on the checkpoint."""


def lock_path(checkpoint: Path) -> Path:
    """The lock file. It remains after the run, until the checkpoint is removed."""
    real = checkpoint.resolve()  # a link to a checkpoint is that checkpoint
    return real.with_name(real.name + ".lock")


@contextlib.contextmanager
def locked(checkpoint: Path) -> Iterator[int]:
    """Hold the checkpoint's lock and yield its file descriptor.

    The kernel releases the lock when the process and all children that inherited the descriptor have ended.

    Raises:
        InUseError: another process holds the lock.
        CheckpointRefusedError: the lock file cannot be created or locked in that folder.
        RefusedError: the disk is full.
    """
    path = lock_path(checkpoint)
    descriptor = _acquire(checkpoint, path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(checkpoint: Path, path: Path) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _cannot_lock(checkpoint, error, "choose a writable folder with --checkpoint") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise InUseError(
                f"checkpoint {checkpoint} is in use by another process", "wait for it, or stop it first"
            ) from None
        except OSError as error:  # such as a network file system without locks
            os.close(descriptor)
            raise _cannot_lock(
                checkpoint, error, "choose a folder on a local disk with --checkpoint"
            ) from None
        # Its last holder removed the file between the two calls: lock the file that is there now.
        os.close(descriptor)


def _cannot_lock(checkpoint: Path, error: OSError, action: str) -> RefireError:
    message = f"checkpoint {checkpoint} cannot be locked: {error.strerror}"
    if error.errno in NO_ROOM:
        return RefusedError(message, "free disk space, or choose another folder with --checkpoint")
    return CheckpointRefusedError(message, action)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether `path` still names the open file. A lock on a removed file does not keep other processes out."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def is_locked(checkpoint: Path) -> bool:
    """Whether a process is working on the checkpoint."""
    try:
        with locked(checkpoint):
            return False
    except InUseError:
        return True
    except RefireError:  # a lock that cannot be acquired for other reasons is not held
        return False

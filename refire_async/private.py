"""Files of this user alone: made without following a link, and looked at before what they say is done."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of errors that say that a disk, a quota or a file is full."""

_BUFFER = 1 << 20
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def why_foreign(status: os.stat_result) -> str | None:
    """Why a file with this status must not be obeyed; None if only this user (or root) can have written it.

    The words follow the name of the file in a sentence. Windows has neither owners nor modes of this kind.
    """
    if not hasattr(os, "geteuid"):
        return None
    if status.st_uid not in (0, os.geteuid()):
        return "belongs to another user"
    if not stat.S_ISLNK(status.st_mode) and status.st_mode & _OTHERS_WRITE:
        return "can be written to by other users"
    return None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file, mode 0600, that takes the place of `path` in one step when the block ends well. Raises OSError.

    It is on disk then. What lies under its temporary name is removed, a link is not followed.
    """
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=_BUFFER) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise

"""Private files: created with mode 0600 without following links; their owner is checked before they are trusted."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers for a full disk, an exhausted quota or a file that is too large."""

_BUFFER = 1 << 20
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def why_foreign(status: os.stat_result) -> str | None:
    """Why a file with this status must not be trusted; None if only this user (or root) can have written it.

    The text continues a sentence that begins with the file name. Windows has neither owners nor modes of this kind.
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
    """A new file, mode 0600, that replaces `path` atomically when the block ends without an error. Raises OSError.

    It is on disk then. A file or link with its temporary name is removed.
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

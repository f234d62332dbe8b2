"""The path of a run's control socket. Run and client derive it from the path of the checkpoint.

Only the user can access its folder (mode 0700). It is next to the folder of checkpoints, or in the folder for temporary
files if that path is too long for a socket or cannot be created. The socket is not next to the checkpoint, because an
address has at most 107 bytes (`man 7 unix`) and a checkpoint may be on a file system without sockets.
"""

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from refire_async.errors import UsageError
from refire_async.folders import state_folder, temporary_folder

MAX_PATH_BYTES = 103
"""Bytes: 107 on Linux, 103 on macOS."""


def addresses(checkpoint: Path) -> list[Path]:
    """Possible paths of the socket, in order of preference. Does not access the file system."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(checkpoint))).hexdigest()[:20] + ".sock"
    folders = []
    with contextlib.suppress(UsageError):
        folders.append(state_folder() / "control")
    temporary = temporary_folder()
    if temporary is not None:
        folders.append(temporary / f"refire-{os.geteuid()}")
    found = [folder / name for folder in folders]
    return [path for path in found if len(os.fsencode(path)) <= MAX_PATH_BYTES]


def is_private(folder: Path) -> bool:
    """Whether `folder` is a folder, not a link, that only this user can read and write."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.geteuid()
        and stat.S_IMODE(status.st_mode) & 0o077 == 0
    )


def make_private(folder: Path) -> bool:
    """Create the folder with mode 0700 if it is missing. Returns whether it is private."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return False
    return is_private(folder)


def remove(path: Path) -> None:
    """Remove a socket that no process serves, and its folder if it is empty.

    The caller holds the lock of the checkpoint.
    """
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
            path.parent.rmdir()

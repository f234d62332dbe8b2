"""Where the control socket of a run is: a function of its checkpoint's path, the same for run and client.

The folder is the user's alone (mode 0700): beside the folder of checkpoints, or, where that path is too long for
a socket or cannot be made, in the folder for temporary files. Sockets cannot be beside a checkpoint: the address
of one has 107 bytes at most (`man 7 unix`), and a checkpoint may be on a file system that has none.
"""

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from refire_async.errors import UsageError
from refire_async.folders import state_folder, temporary_folder

LONGEST_PATH = 103
"""Bytes: 107 on Linux, 103 on macOS."""


def addresses(checkpoint: Path) -> list[Path]:
    """Where the socket may be, best first. Nothing is made or looked at."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(checkpoint))).hexdigest()[:20] + ".sock"
    folders = []
    with contextlib.suppress(UsageError):
        folders.append(state_folder() / "control")
    temporary = temporary_folder()
    if temporary is not None:
        folders.append(temporary / f"refire-{os.geteuid()}")
    found = [folder / name for folder in folders]
    return [path for path in found if len(os.fsencode(path)) <= LONGEST_PATH]


def is_private(folder: Path) -> bool:
    """Whether the folder is there, is no link, and nobody but this user can look into it or change it."""
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
    """Make the folder, if it is missing, with mode 0700. Returns whether it is private."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return False
    return is_private(folder)


def remove(path: Path) -> None:
    """Remove a socket that nobody serves any more, and its folder if that is empty then.

    For whoever holds the lock of its checkpoint.
    """
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
            path.parent.rmdir()

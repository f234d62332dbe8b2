"""Where this program keeps files of the user's own: the state folder, and a folder for what is temporary."""

import os
import tempfile
from pathlib import Path

import platformdirs

from refire_async.errors import UsageError


def state_folder() -> Path:
    """The user's state folder: `$XDG_STATE_HOME/refire`, else `~/.local/state/refire`. It is not made here.

    Raises:
        UsageError: there is no home: HOME is unset and the user id has no name, as in many containers. Or its path
            is not UTF-8.
    """
    try:
        folder = Path(platformdirs.user_state_dir("refire", appauthor=False))
    except RuntimeError:
        folder = Path("~")  # as older versions leave it
    if not folder.is_absolute():
        raise UsageError(
            f"there is no folder for the state of runs: HOME is not set, and user {os.geteuid()} has no name",
            "set HOME or XDG_STATE_HOME, or name a file with --checkpoint",
        )
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"the state folder {str(folder)!a} is not UTF-8",
            "set XDG_STATE_HOME to a folder that is, or name a file with --checkpoint",
        ) from None
    return folder


def temporary_folder() -> Path | None:
    """The folder for temporary files; None where the machine has none that can be written."""
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        return None

"""Errors of the operating system (disk, permissions, limits) as RefusedErrors that say what to do.

Modules translate the errors that they expect; this module translates all others, so that none is reported as a bug.
"""

import errno
import os

from refire_async.errors import RefireError, RefusedError

_ACTIONS = {
    errno.ENOSPC: "make room there, or choose another place",
    errno.EDQUOT: "make room there, or choose another place",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f), or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "check its permissions, or choose another place",
    errno.EPERM: "check its permissions, or choose another place",
    errno.ENOENT: "check the path and its folder",
    errno.ENOTDIR: "check the path and its folder",
    errno.EISDIR: "give the path of a file",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ELOOP: "check the links of the path",
    errno.EIO: "check the disk",
    errno.ESTALE: "check the network drive",
    errno.ENOLCK: "choose a place on a local disk",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the limit of open files of this machine",
    errno.EAGAIN: "raise the limit of processes (ulimit -u), or try again",
    errno.ENOMEM: "provide more memory",
}

_BUGS = (errno.EBADF, errno.EFAULT, errno.ENOTSOCK, errno.EINVAL)
"""Without a path these report an invalid call, which is a bug."""

_NO_THREAD = "can't start new thread"
"""The message of CPython's RuntimeError when the system refuses a thread (Modules/_threadmodule.c)."""


def from_system(error: BaseException) -> RefireError | None:
    """The translation of an error of the operating system; None for any other error."""
    found: tuple[str, str] | None = None
    match error:
        case FileNotFoundError() if str(error.strerror).startswith("No usable temporary directory"):
            found = "there is no writable folder for temporary files", "set TMPDIR to one"
        case OSError() if error.filename is not None or error.errno not in _BUGS:
            found = _describe(error), _ACTIONS.get(error.errno or 0, "fix the cause, then try again")
        case MemoryError():
            found = "out of memory", "provide more memory, or use fewer --workers and --processes"
        case RuntimeError() if str(error) == _NO_THREAD:
            found = "the system cannot start more threads", "raise the limit of processes (ulimit -u)"
        case _ if _is_sqlite(error):
            found = f"SQLite cannot use a file: {error}", "check its disk and permissions"
    return None if found is None else RefusedError(*found)


def _is_sqlite(error: BaseException) -> bool:
    """Whether SQLite cannot use a file. Compares the name of the class, because the module is slow to import."""
    kind = type(error)
    return (kind.__module__, kind.__name__) == ("sqlite3", "OperationalError")


def _describe(error: OSError) -> str:
    why = error.strerror or type(error).__name__
    if error.filename is None or isinstance(error.filename, int):
        return f"the operating system refused a request: {why}"
    verb = "cannot be found" if error.errno == errno.ENOENT else "cannot be used"
    return f"{os.fsdecode(error.filename)} {verb}: {why}"

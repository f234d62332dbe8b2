"""`python -m tests.support.read_only ARGUMENTS`: `refire` with a read-only root, no `/tmp` and no HOME.

As in a container: each attempt to create, write, rename or delete a file fails with EROFS, and the user id has no
name. It needs neither root nor namespaces.
"""

import errno
import os
import pwd
import sys
from typing import Any, NoReturn

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = {
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "sqlite3.connect",
}


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, _mode, flags = arguments
        writes = (
            isinstance(flags, int) and flags & _WRITES and path != os.devnull and not isinstance(path, int)
        )
    else:
        path = (arguments or ("",))[0]
        writes = event in _CHANGES and path != ":memory:"
    if writes:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fsdecode(path) if path else None)


def _refuse_name(uid: int) -> NoReturn:
    raise KeyError(f"getpwuid(): uid not found: {uid}")


def main() -> NoReturn:
    """Run the program."""
    from refire_async.__main__ import main as program

    pwd.getpwuid = _refuse_name
    os.environ.pop("HOME", None)
    sys.dont_write_bytecode = True
    sys.addaudithook(_refuse)
    program()


if __name__ == "__main__":
    main()

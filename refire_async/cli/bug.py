"""A bug's report: enough to find it, nothing that is secret."""

import os
import platform
import tempfile
import time
import traceback
from pathlib import Path

from refire_async import __version__
from refire_async.errors import RefireError


def write_report(error: BaseException) -> Path:
    """Write the traceback to a file that only the user can read, and give its path.

    It has no values of variables and no command line: those may hold keys and credentials.
    """
    text = "\n".join(
        (
            f"refire {__version__}, Python {platform.python_version()}, {platform.platform()}",
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "",
            "".join(traceback.format_exception(error, chain=True)),
        )
    )
    try:
        return _write(_folder(), text)
    except (OSError, RefireError):
        return _write(Path(tempfile.mkdtemp(prefix="refire-")), text)


def _folder() -> Path:
    from refire_async.checkpoint.catalog import default_folder  # noqa: PLC0415 - rarely needed

    return default_folder().parent


def _write(folder: Path, text: str) -> Path:
    path = folder / f"bug-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return path

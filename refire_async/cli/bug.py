"""The report file of a bug: enough to find the cause, without secrets."""

import os
import platform
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from refire_async import __version__
from refire_async.errors import RefireError


def write_report(error: BaseException) -> Path | None:
    """Write the traceback to a file of mode 0600 and return its path; None if no folder is writable.

    The file contains no values of variables, no command line, and no messages of errors that can quote data, because
    these may contain keys and credentials.
    """
    text = "\n".join(
        (
            f"refire {__version__}, Python {platform.python_version()}, {platform.platform()}",
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "",
            describe(error),
        )
    )
    try:
        return _write(_folder(), text)
    except (OSError, RefireError):
        pass
    try:
        return _write(Path(tempfile.mkdtemp(prefix="refire-")), text)
    except OSError:
        return None


_PLAIN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    IndexError,
    NameError,
    NotImplementedError,
    TypeError,
    UnboundLocalError,
    ZeroDivisionError,
)
"""Errors whose messages describe the program only. The message of a KeyError is the key, that of a ValueError often
the value, and that of a library's error may quote a service or a credential process."""


def describe(error: BaseException) -> str:
    """The traceback of an error and of its causes, without anything that can be secret."""
    return "\n".join(_describe(error, set()))


def _describe(error: BaseException, seen: set[int]) -> Iterator[str]:
    """The tracebacks of the error's causes and of the error, in the order in which they were raised."""
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _describe(before, seen)
        yield "which led to:\n"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    plain = type(error) in _PLAIN or isinstance(error, RefireError)
    yield f"{type(error).__name__}: {error if plain else '(message omitted, it may contain data)'}\n"
    if isinstance(error, BaseExceptionGroup):
        for number, inner in enumerate(error.exceptions, 1):
            yield f"{number} of {len(error.exceptions)} in this group:\n"
            yield from _describe(inner, seen)


def _folder() -> Path:
    from refire_async.checkpoint.catalog import default_folder  # noqa: PLC0415 - rarely needed

    return default_folder().parent


def _write(folder: Path, text: str) -> Path:
    path = folder / f"bug-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return path

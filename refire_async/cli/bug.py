"""A bug's report: enough to find it, nothing that is secret."""

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
    """Write the traceback to a file that only the user can read, and give its path; None if no place takes it.

    It has no values of variables, no command line, and no words of errors that can quote data: those may hold keys
    and credentials.
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
"""Errors whose words are about the program. A KeyError has the key for words, a ValueError often the value, and an
error of a library whatever a service or a credential process said."""


def describe(error: BaseException) -> str:
    """The traceback of an error and of those that led to it, without anything that can be secret."""
    return "\n".join(_describe(error, set()))


def _describe(error: BaseException, seen: set[int]) -> Iterator[str]:
    """Where the error and those that led to it were raised, the first of them first."""
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _describe(before, seen)
        yield "which led to:\n"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    plain = type(error) in _PLAIN or isinstance(error, RefireError)
    yield f"{type(error).__name__}: {error if plain else '(its words are left out, they may hold data)'}\n"
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

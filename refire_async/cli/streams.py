"""The standard streams: results on standard output, one-line errors and notes on standard error.

All output goes through this module, so that foreign text (a reason, a name, a path) cannot control a terminal, and a
stream that is full or closed is handled in one place.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from refire_async.errors import RefusedError
from refire_async.output.text import is_utf8, one_line, shorten, visible, visible_json

_LONGEST_LINE = 1_000


ELSEWHERE = "make room, or redirect it to a file"


class OutputLostError(RefusedError):
    """Standard output cannot be written. `reader_gone`: its reader has closed it, as `| head` does."""

    def __init__(self, why: str, *, reader_gone: bool) -> None:
        super().__init__(f"standard output cannot be written: {why}", ELSEWHERE)
        self.why = why
        self.reader_gone = reader_gone


def open_streams() -> None:
    """Open the null device in place of a standard stream that the caller closed (`>&-`).

    Python sets such a stream to None, and the next file to be opened, such as a checkpoint, would get its descriptor.
    """
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", encoding="utf-8"))


def say_error(text: str) -> None:
    """`refire: text` as exactly one line of limited length on standard error."""
    print_note(f"refire: {shorten(one_line(text), _LONGEST_LINE)}")


def print_note(line: str) -> None:
    """Write a line to standard error. A line that cannot be written is lost."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(_encodable(visible(line), sys.stderr) + "\n")
        sys.stderr.flush()


def print_result(text: str) -> None:
    """Write a result to standard output, terminal escapes made visible. Raises OutputLostError.

    It is no error if the reader has closed standard output.
    """
    with _readers_may_go():
        write_text(text)


def print_styled(text: str) -> None:
    """As `print_result`, for text with our own colours, in which foreign text is already escaped."""
    with _readers_may_go():
        write_line(text)


def print_json(line: str) -> None:
    """As `print_result`, for one line of JSON."""
    with _readers_may_go():
        write_json(line)


@contextlib.contextmanager
def _readers_may_go() -> Iterator[None]:
    try:
        yield
    except OutputLostError as error:
        if not error.reader_gone:
            raise


def write_text(text: str) -> None:
    """Write text, terminal escapes made visible. Raises OutputLostError."""
    write_line(visible(text))


def write_json(line: str) -> None:
    """Write one line of JSON, with escapes for control characters and for characters that the encoding lacks.

    Raises OutputLostError.
    """
    write_line(visible_json(line, ascii_only=not is_utf8(sys.stdout)))


def write_line(text: str) -> None:
    """Write to standard output. Raises OutputLostError if it cannot be written, and closes it."""
    try:
        sys.stdout.write(_encodable(text, sys.stdout) + "\n")
        sys.stdout.flush()
    except BrokenPipeError as error:
        close(sys.stdout)
        raise OutputLostError("its reader is gone", reader_gone=True) from error
    except (OSError, ValueError) as error:
        close(sys.stdout)
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is closed"
        raise OutputLostError(why, reader_gone=False) from error


def flush() -> None:
    """Flush the standard streams: the interpreter would report a closed one with exit code 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            close(stream)


def close(stream: TextIO) -> None:
    """Replace the stream by the null device, which takes what is in the buffer."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)
        stream.flush()


def _encodable(text: str, stream: TextIO) -> str:
    """`text` with escapes for characters that the stream's encoding lacks."""
    if text.isascii() or is_utf8(stream):
        return text
    return text.encode(stream.encoding, "backslashreplace").decode(stream.encoding)

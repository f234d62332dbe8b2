"""A file or standard output that receives events as JSON lines: to look at them, or to run a handler by hand."""

import contextlib
import errno
import io
import json
import os
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from refire_async.delivery.target import Answer, Fate, InvocationError
from refire_async.errors import ExitCode, RefireError, RefusedError, UsageError
from refire_async.private import NO_ROOM, NOFOLLOW, why_foreign

STANDARD_OUTPUT = "-"

_PIPE_BYTES = 512
"""What a pipe that is ready takes without blocking (POSIX: PIPE_BUF is at least this)."""

_BLOCK = 1 << 20


class _Output(Protocol):
    """Takes all bytes, in order. Raises OSError."""

    async def write(self, data: bytes) -> None: ...


class Lines:
    """A Target: each record is a line, or with `whole_events` each event."""

    def __init__(self, output: _Output, name: str, *, whole_events: bool, wants_array: bool = False) -> None:
        self._output = output
        self.name = name
        self._whole_events = whole_events
        self.wants_array = wants_array
        self._turn = anyio.Lock()

    async def invoke(self, event: bytes) -> Answer:
        """See Target. One event's lines are never mixed with those of another."""
        data = (
            event + b"\n" if self._whole_events else b"".join(record + b"\n" for record in records_of(event))
        )
        async with self._turn:
            try:
                await self._output.write(data)
            except OSError as error:
                raise _failed(error, self.name) from error
        return Answer()


def records_of(event: bytes) -> Iterator[bytes]:
    """The records of an event, each as its bytes are."""
    text = event.decode()
    decoder = json.JSONDecoder()
    # An event is `{"Records":[…]}` or the bare array, without blanks between its records.
    at = text.index("[") + 1
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        yield text[at:end].encode()
        at = end + (text[end] == ",")


@asynccontextmanager
async def open_lines(
    to: str, *, whole_events: bool = False, wants_array: bool = False, resumed: bool = False
) -> AsyncIterator[Lines]:
    """Lines into the file `to`, or standard output for `-`. A new file has mode 0600; no link is followed.

    `resumed`: the file is that of an earlier attempt and is continued; a line that broke off there is removed.

    Raises:
        UsageError: the file holds something already, is a link or a folder, or is another user's.
        RefusedError: it cannot be opened.
    """
    name = "standard output" if to == STANDARD_OUTPUT else to
    with contextlib.ExitStack() as stack:
        output = (
            _standard_output()
            if to == STANDARD_OUTPUT
            else stack.enter_context(_file(Path(to), resumed=resumed))
        )
        yield Lines(output, name, whole_events=whole_events, wants_array=wants_array)


def _standard_output() -> _Output:
    sys.stdout.flush()
    try:
        descriptor = sys.stdout.fileno()
    except (io.UnsupportedOperation, ValueError):  # not the process's own: a program that runs us captures it
        return _Captured()
    return _of_descriptor(descriptor)


@contextlib.contextmanager
def _file(path: Path, *, resumed: bool) -> Iterator[_Output]:
    """The file, open for appending; on disk when the block ends. Raises RefireError."""
    try:
        # Without O_NONBLOCK a named pipe that nothing reads from would hold us here.
        how = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | NOFOLLOW
        descriptor = os.open(path, how, 0o600)
    except OSError as error:
        raise _cannot_open(error, path) from error
    with contextlib.closing(_Descriptor(descriptor)):
        try:
            status = os.fstat(descriptor)
            regular = stat.S_ISREG(status.st_mode)
            if regular:
                _check(path, status, resumed=resumed)
                os.fchmod(descriptor, 0o600)
                if resumed:
                    os.ftruncate(descriptor, _whole_lines(path, status.st_size))
        except OSError as error:
            raise _cannot_open(error, path) from error
        yield _of_descriptor(descriptor)
        try:
            if regular:
                os.fsync(descriptor)
        except OSError as error:
            raise _failed(error, str(path)) from error


@dataclass(frozen=True, slots=True)
class _Descriptor:
    number: int

    def close(self) -> None:
        os.close(self.number)


def _check(path: Path, status: os.stat_result, *, resumed: bool) -> None:
    """Raises UsageError for a file whose content would be lost among ours."""
    foreign = why_foreign(status)
    if foreign is not None:
        raise UsageError(f"{path} {foreign}", "choose another file for --to")
    if status.st_size and not resumed:
        raise UsageError(f"{path} exists already", "choose another file for --to, or remove this one")


def _whole_lines(path: Path, size: int) -> int:
    """The size of the file up to its last line end. Raises OSError."""
    with os.fdopen(os.open(path, os.O_RDONLY | NOFOLLOW), "rb") as file:
        while size:
            start = max(size - _BLOCK, 0)
            file.seek(start)
            found = file.read(size - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            size = start
    return 0


def _of_descriptor(descriptor: int) -> _Output:
    """Pipes are waited for without a thread, which could not be left while a reader does not read."""
    mode = os.fstat(descriptor).st_mode
    waits = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
    return _Pipe(descriptor) if waits else _Disk(descriptor)


class _Disk:
    """A regular file, or a device that never makes its writers wait."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def write(self, data: bytes) -> None:
        """See _Output. Not left half done when cancelled."""
        await anyio.to_thread.run_sync(self._write, data)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


class _Pipe:
    """A pipe, socket or terminal: whatever reads it sets the pace."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._most = max(getattr(os, "fpathconf", lambda *_: 0)(descriptor, "PC_PIPE_BUF"), _PIPE_BYTES)

    async def write(self, data: bytes) -> None:
        """See _Output."""
        rest = memoryview(data)
        while rest:
            await anyio.wait_writable(self._descriptor)
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(self._descriptor, rest[: self._most]) :]


class _Captured:
    """`sys.stdout` where it is an object of Python only."""

    async def write(self, data: bytes) -> None:
        """See _Output."""
        sys.stdout.write(data.decode())
        sys.stdout.flush()


def _cannot_open(error: OSError, path: Path) -> RefireError:
    if error.errno == errno.ELOOP:
        return UsageError(
            f"{path} is a symbolic link", "name the file itself in --to, or use - for standard output"
        )
    if error.errno in (errno.EISDIR, errno.ENOENT, errno.ENOTDIR):
        return UsageError(f"{path} cannot be written: {error.strerror}", "choose another file for --to")
    return RefusedError(f"{path} cannot be written: {error.strerror}", "choose another file for --to")


def _failed(error: OSError, name: str) -> InvocationError:
    """A file that takes no more: the delivery stops and can be resumed."""
    if error.errno in NO_ROOM:
        stopped = InvocationError(
            "NoRoom", f"no room left to write to {name}", Fate.STOP, action="make room, then resume"
        )
    elif isinstance(error, BrokenPipeError):
        stopped = InvocationError(
            "BrokenPipe",
            f"{name} is closed: its reader has ended",
            Fate.STOP,
            action="write to a file with --to FILE",
        )
    else:
        stopped = InvocationError("WriteFailed", f"{name} cannot be written: {error.strerror}", Fate.STOP)
    stopped.exit_code = ExitCode.STOPPED
    return stopped

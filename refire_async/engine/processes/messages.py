"""Messages between the processes of a run: pickled values, each after its length.

Only a parent and the children that it has started use them, over their own pipes, so every unpickled value comes from
this program.
"""

import asyncio
import pickle
import struct
from dataclasses import dataclass
from typing import Any

from refire_async.errors import ExitCode
from refire_async.events import Event
from refire_async.model.stop import StopReason
from refire_async.pacing.governor import RateLimits

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class RecordRequest:
    """From a child: read the record of shares (`version` None), or replace that version of it by `content`."""

    number: int
    version: int | None = None
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class RecordAnswer:
    """To a child: the record as it is after its request `number`, and whether that replaced it."""

    number: int
    version: int
    content: bytes
    replaced: bool


@dataclass(frozen=True, slots=True)
class ApplyLimits:
    """To a child: apply these limits of the run from now on. The child's share of them stays."""

    rate_limits: RateLimits


@dataclass(frozen=True, slots=True)
class Stop:
    """To a child: stop the task for `reason`."""

    reason: StopReason


@dataclass(frozen=True, slots=True)
class EventBatch:
    """From a child: its new events."""

    events: list[Event]


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """From a child, instead of a result: the task could not begin, or its progress could not be saved."""

    message: str
    action: str
    exit_code: ExitCode


class ClosedError(Exception):
    """The other process has ended or closed its pipe."""


def write(stream: asyncio.StreamWriter, message: Any) -> None:
    """Write one value at once, so that messages of several tasks do not mix. Raises ClosedError."""
    if stream.is_closing():  # uvloop raises RuntimeError for this, asyncio nothing
        raise ClosedError
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(_LENGTH.pack(len(data)) + data)


async def send(stream: asyncio.StreamWriter, message: Any) -> None:
    """Send one value and wait for room in the pipe. Raises ClosedError."""
    try:
        write(stream, message)
        await stream.drain()
    except OSError as error:
        raise ClosedError from error


async def receive(stream: asyncio.StreamReader) -> Any:
    """Receive the next value. Raises ClosedError at the end of the stream, also within a value."""
    try:
        (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
        return pickle.loads(await stream.readexactly(length))  # noqa: S301 - from our own process
    except (asyncio.IncompleteReadError, OSError) as error:
        raise ClosedError from error

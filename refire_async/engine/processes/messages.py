"""Messages between the processes of a run: pickled values with their length before them.

Only between a parent and the children that it started itself, over their own pipes: what is unpickled comes
from this program.
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
class Share:
    """To a child: use this share of the budget. Back from it: done."""

    share: float


@dataclass(frozen=True, slots=True)
class Follow:
    """To a child: this is what the run may consume from now on; the child's share of it stays."""

    rate_limits: RateLimits


@dataclass(frozen=True, slots=True)
class Stop:
    """To a child: stop in order."""

    reason: StopReason


@dataclass(frozen=True, slots=True)
class Told:
    """From a child: what has happened, and the WCU that it has consumed so far."""

    events: list[Event]
    wcu: float


@dataclass(frozen=True, slots=True)
class Failed:
    """From a child: it could not begin or save. Takes the place of its result."""

    message: str
    action: str
    exit_code: ExitCode


class ClosedError(Exception):
    """The other process is gone, or has closed its end."""


def write(stream: asyncio.StreamWriter, message: Any) -> None:
    """Put one value on its way. Messages of several tasks do not mix. Raises ClosedError."""
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
    """The next value. Raises ClosedError when there will be no more, also in the middle of one."""
    try:
        (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
        return pickle.loads(await stream.readexactly(length))  # noqa: S301 - our own process
    except (asyncio.IncompleteReadError, OSError) as error:
        raise ClosedError from error

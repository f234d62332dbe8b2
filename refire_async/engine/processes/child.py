"""A part of a run in a process of its own: `python -m refire_async.engine.processes.child`, started by `parts.parent`.

Its standard input brings the PartSpec, then shares and stops; its standard output takes events and the result.
When the parent is gone its input ends: then it stops in order, as if asked to.
"""

import asyncio
import os
import signal
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

import anyio

from refire_async.aws.clock import ServiceClock
from refire_async.aws.session import open_data_plane
from refire_async.checkpoint.store import Store
from refire_async.engine.event_loop import run_loop
from refire_async.engine.processes.messages import (
    ClosedError,
    Failed,
    Follow,
    Share,
    Stop,
    Told,
    receive,
    send,
)
from refire_async.engine.processes.task import TaskResult, TaskSpec
from refire_async.engine.processes.work import work
from refire_async.errors import RefireError
from refire_async.events import Event
from refire_async.model.stop import StopRequest
from refire_async.pacing.governor import RateLimits
from refire_async.pipeline import Context

TELL_EVERY_S = 0.1
"""Events gather for this long: one message for many is cheaper for both sides."""

LOOKUPS = 64
"""Connections beside those of the workers, for readers."""


def main() -> None:
    """Work on the part that standard input describes."""
    # Signals to all processes of a run are for the parent, which decides what they mean.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # Nothing but messages may go to the pipe, whatever a library prints.
    rate_limits = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    run_loop(lambda: _serve(sys.stdin.buffer, rate_limits))


async def _serve(source: BinaryIO, rate_limits: BinaryIO) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, rate_limits)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    child = _Child(reader, writer)
    with suppress(ClosedError):  # the parent is gone: nobody to tell
        part = await receive(reader)
        try:
            result: TaskResult | Failed = await child.work(part)
        except RefireError as error:
            result = Failed(error.message, error.action, error.exit_code)
        await child.tell()
        await send(writer, result)
    transport.close()


class _Child:
    """One part at work, in touch with its parent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._stop = StopRequest()
        self._events: list[Event] = []
        self._context: Context | None = None
        self._rate_limits: RateLimits | None = None

    async def work(self, part: TaskSpec) -> TaskResult:
        """Do the part. Raises RefireError as `work` does."""
        clock = ServiceClock()
        with closing(Store.join(Path(part.checkpoint))) as store:
            async with (
                open_data_plane(part.connection, part.route, part.workers + LOOKUPS, clock=clock) as data,
                anyio.create_task_group() as tasks,
            ):
                store.clock = clock.now
                tasks.start_soon(self._listen)
                tasks.start_soon(self._tell_now_and_then)
                result = await work(
                    part,
                    data,
                    store,
                    emit=self._events.append,
                    stop=self._stop,
                    steer=self._steer,
                )
                tasks.cancel_scope.cancel()
            return result

    async def tell(self) -> None:
        """Tell the parent what has happened. Raises ClosedError."""
        events, self._events[:] = self._events[:], []
        wcu = 0.0 if self._context is None else self._context.journal.totals.wcu
        await send(self._writer, Told(events, wcu))

    def _steer(self, context: Context) -> None:
        self._context = context
        if self._rate_limits is not None:
            context.follow(self._rate_limits)

    async def _tell_now_and_then(self) -> None:
        with suppress(ClosedError):  # `_listen` notices too, and stops
            while True:
                await anyio.sleep(TELL_EVERY_S)
                await self.tell()

    async def _listen(self) -> None:
        """Do what the parent says, until it is gone."""
        try:
            while True:
                message = await receive(self._reader)
                if isinstance(message, Stop):
                    self._stop.request(message.reason)
                elif isinstance(message, Follow):
                    self._rate_limits = message.rate_limits
                    if self._context is not None:
                        self._context.follow(message.rate_limits)
                elif isinstance(message, Share) and self._context is not None:
                    self._context.write_budget.set_share(message.share)
                    self._context.read_budget.set_share(message.share)
                    await send(self._writer, message)
        except ClosedError:
            self._stop.request("terminated")


if __name__ == "__main__":
    main()

"""A task of a run in a child process: `python -m refire_async.engine.processes.child`, started by the supervisor.

It receives the `TaskSpec`, then limits and stops on standard input, and sends events and the result to standard output.
The end of its input means that the parent has ended: then it stops as if requested. Its share of the budget is a lease
in a record that the parent keeps.
"""

import asyncio
import os
import signal
import sys
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

import anyio

from refire_async.aws.clock import ServiceClock
from refire_async.aws.session import open_data_plane
from refire_async.checkpoint.file_store import FileStore
from refire_async.checkpoint.store import Store
from refire_async.engine.event_loop import run_loop
from refire_async.engine.processes.messages import (
    ApplyLimits,
    ClosedError,
    EventBatch,
    RecordAnswer,
    RecordRequest,
    Stop,
    TaskFailed,
    receive,
    send,
)
from refire_async.engine.processes.shares import TERMS, consumed, name_of
from refire_async.engine.processes.task import TaskResult, TaskSpec
from refire_async.engine.processes.work import run_task
from refire_async.errors import RefireError
from refire_async.events import Event
from refire_async.model.stop import StopRequest
from refire_async.pacing.governor import RateLimits
from refire_async.pacing.share_lease import ShareLease
from refire_async.pipeline import Context

SEND_EVERY_S = 0.1
"""Interval (s) of event messages. One message with many events is cheaper for both sides."""

LOOKUPS = 64
"""Connections for readers, in addition to those of the workers."""


def main() -> None:
    """Run the task that arrives on standard input."""
    # The parent handles signals to all processes of the run.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # Only messages may go to the pipe, so that output of libraries goes to standard error.
    messages = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    run_loop(lambda: _serve(sys.stdin.buffer, messages))


async def _serve(source: BinaryIO, messages: BinaryIO) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, messages)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    child = _Child(reader, writer)
    with suppress(ClosedError):  # the parent has ended
        task = await receive(reader)
        try:
            result: TaskResult | TaskFailed = await child.run(task)
        except RefireError as error:
            result = TaskFailed(error.message, error.action, error.exit_code)
        await child.send_events()
        await send(writer, result)
    transport.close()


class _Child:
    """Runs one task and exchanges messages with the parent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._stop = StopRequest()
        self._events: list[Event] = []
        self._context: Context | None = None
        self._rate_limits: RateLimits | None = None
        self._record = _ParentsRecord(writer)

    async def run(self, task: TaskSpec) -> TaskResult:
        """Run the task. Raises RefireError as `run_task` does."""
        clock = ServiceClock()
        with closing(Store.join(Path(task.checkpoint))) as file:
            store = FileStore(file)
            async with (
                open_data_plane(
                    task.connection,
                    task.route,
                    task.workers + LOOKUPS,
                    clock=clock,
                    credentials=task.credentials,
                ) as data,
                anyio.create_task_group() as tasks,
            ):
                store.clock = clock.now
                tasks.start_soon(self._receive_messages)
                tasks.start_soon(self._send_periodically)

                def use_context(context: Context) -> None:
                    self._context = context
                    if self._rate_limits is not None:
                        context.follow(self._rate_limits)
                    lease = ShareLease(
                        self._record,
                        name_of(task.number),
                        TERMS,
                        consumed=lambda: consumed(context, self._rate_limits or task.rate_limits),
                        apply=context.set_share,
                    )
                    context.lease(lease.in_force)
                    tasks.start_soon(self._keep, lease)

                result = await run_task(
                    task, data, store, emit=self._events.append, stop=self._stop, on_context=use_context
                )
                tasks.cancel_scope.cancel()
            return result

    async def send_events(self) -> None:
        """Send the new events to the parent. Raises ClosedError."""
        events, self._events[:] = self._events[:], []
        await send(self._writer, EventBatch(events))

    @staticmethod
    async def _keep(lease: ShareLease) -> None:
        with suppress(ClosedError):  # `_receive_messages` stops the task then
            await lease.keep()

    async def _send_periodically(self) -> None:
        with suppress(ClosedError):  # `_receive_messages` stops the task then
            while True:
                await anyio.sleep(SEND_EVERY_S)
                await self.send_events()

    async def _receive_messages(self) -> None:
        """Handle the messages of the parent until it ends."""
        try:
            while True:
                message = await receive(self._reader)
                if isinstance(message, Stop):
                    self._stop.request(message.reason)
                elif isinstance(message, ApplyLimits):
                    self._rate_limits = message.rate_limits
                    if self._context is not None:
                        self._context.follow(message.rate_limits)
                elif isinstance(message, RecordAnswer):
                    self._record.answered(message)
        except ClosedError:
            self._stop.request("terminated")


class _ParentsRecord:
    """The record that the parent keeps. See `SharedRecord`. An answer that comes too late is ignored."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._numbers = count()
        self._expected: dict[int, asyncio.Future[RecordAnswer]] = {}

    async def read(self) -> tuple[int, bytes]:
        """See `SharedRecord.read`. Raises ClosedError."""
        answer = await self._ask(RecordRequest(next(self._numbers)))
        return answer.version, answer.content

    async def replace(self, version: int, content: bytes) -> bool:
        """See `SharedRecord.replace`. Raises ClosedError."""
        return (await self._ask(RecordRequest(next(self._numbers), version, content))).replaced

    def answered(self, answer: RecordAnswer) -> None:
        """The parent has answered."""
        expected = self._expected.pop(answer.number, None)
        if expected is not None and not expected.done():
            expected.set_result(answer)

    async def _ask(self, request: RecordRequest) -> RecordAnswer:
        answer: asyncio.Future[RecordAnswer] = asyncio.get_running_loop().create_future()
        self._expected[request.number] = answer
        try:
            await send(self._writer, request)
            return await answer
        finally:
            self._expected.pop(request.number, None)


if __name__ == "__main__":
    main()

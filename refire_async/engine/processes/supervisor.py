"""Run the tasks of an attempt in several processes: start them, share the budget among them, replace those that die.

Each process leases its share in a record that this one keeps (refire_async/pacing/shares.py): a process that is
stopped, or whose parent is, consumes nothing once its lease has ended, and only then the others may.

A child process that dies leaves its pages in the ledger. Its replacement gets the same segments, finds their pages in
doubt and continues, exactly as `refire resume` would.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import anyio

from refire_async.aws.credentials import CredentialSource
from refire_async.aws.errors import AwsError
from refire_async.aws.signing import Credentials
from refire_async.checkpoint.schema import PROCESSES_PER_ATTEMPT
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
    write,
)
from refire_async.engine.processes.shares import name_of
from refire_async.engine.processes.task import TaskResult, TaskSpec
from refire_async.errors import StoppedError
from refire_async.events import Emit, LanesSeen, ProcessReplaced, SegmentFinished, Stopping, Suspended
from refire_async.model.stop import StopRequest
from refire_async.pacing.governor import Governor, RateLimits
from refire_async.pacing.share_lease import MemoryRecord
from refire_async.pacing.shares import encode, equal_shares

MAX_REPLACEMENTS = 5
"""Deaths of child processes in one attempt after which the run stops, because the machine is the probable cause."""

PIPE_LIMIT = 1 << 24
"""Most bytes of one message. The events of a tenth of a second have about ten kilobytes."""


@dataclass(slots=True)
class _Child:
    """A child process, and the pipe to it."""

    process: asyncio.subprocess.Process
    to: asyncio.StreamWriter


class Supervisor:
    """Runs and monitors the child processes of one attempt."""

    def __init__(
        self,
        tasks: Sequence[TaskSpec],
        governor: Governor,
        *,
        emit: Emit,
        stop: StopRequest,
        keep_open: int,
        credentials: CredentialSource | None = None,
    ) -> None:
        """`keep_open` is the file descriptor of the checkpoint's lock. The child processes hold it while they run.

        Child processes begin with `credentials` if there are any, so that none of them asks for an MFA code.
        """
        self._tasks = tasks
        self._governor = governor
        self._emit = emit
        self._stop = stop
        self._keep_open = keep_open
        self._credentials = credentials
        self._children: dict[int, _Child] = {}
        self._results: list[TaskResult] = []
        self._finished = 0
        self._next_number = max(task.number for task in tasks) + 1
        self._shares = MemoryRecord(encode(equal_shares([name_of(task.number) for task in tasks])))

    async def run(self) -> list[TaskResult]:
        """Run all tasks to their end, and return their results.

        A failed task or repeated deaths of processes stop the run through its `StopRequest`.
        """
        self._stop.subscribe(self._send_stop)
        self._governor.subscribe(self._send_limits)
        async with anyio.create_task_group() as group:
            for task in self._tasks:
                group.start_soon(self._run_task, task)
        return self._results

    async def _run_task(self, task: TaskSpec) -> None:
        """Run one task to its end, in a new process after each death."""
        while True:
            result = await self._run_child(task)
            if isinstance(result, TaskFailed):
                error = StoppedError(result.message, result.action)
                error.exit_code = result.exit_code
                self._stop.request("error", error)
                return
            if result is not None:
                self._results.append(result)
                if result.error is not None and result.stop == "error":
                    self._stop.request("error", _error_of(result))
                return
            if self._stop.reason is not None:
                return
            number = self._next_number
            self._next_number += 1
            if number % PROCESSES_PER_ATTEMPT >= len(self._tasks) + MAX_REPLACEMENTS:
                error = StoppedError(
                    "processes of this run keep dying", "find the cause, then run 'refire resume'"
                )
                self._stop.request("error", error)
                return
            self._emit(ProcessReplaced(task.index))
            task = replace(task, number=number)

    async def _current_credentials(self) -> Credentials | None:
        """This process's own; None if a provider fails right now: the child process then asks by itself."""
        with suppress(AwsError):
            return None if self._credentials is None else await self._credentials.get()
        return None

    async def _run_child(self, task: TaskSpec) -> TaskResult | TaskFailed | None:
        """Run one process for `task`. Returns None if it died without a result."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "refire_async.engine.processes.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=PIPE_LIMIT,
            pass_fds=(self._keep_open,),
            start_new_session=True,  # Ctrl-C at the terminal goes to the parent only, which stops the children
        )
        assert process.stdin is not None  # noqa: S101 - requested above
        assert process.stdout is not None  # noqa: S101 - requested above
        child = self._children[task.index] = _Child(process, process.stdin)
        try:
            with suppress(ClosedError):
                await send(
                    child.to,
                    replace(
                        task,
                        rate_limits=self._governor.rate_limits,
                        credentials=await self._current_credentials(),
                    ),
                )
                if self._stop.reason is not None:
                    await send(child.to, Stop(self._stop.reason))
                return await self._receive_events(task.index, child, process.stdout)
            return None
        finally:
            del self._children[task.index]
            with anyio.CancelScope(shield=True):
                await _end(process)
            self._shares.remove(name_of(task.number))

    async def _receive_events(
        self, index: int, child: _Child, source: asyncio.StreamReader
    ) -> TaskResult | TaskFailed:
        while True:
            match await receive(source):
                case EventBatch(events):
                    for event in events:
                        if isinstance(event, SegmentFinished):
                            self._finished += 1
                            self._emit(replace(event, finished=self._finished))
                        elif isinstance(event, LanesSeen | Suspended):
                            self._emit(replace(event, part=index))
                        elif not isinstance(event, Stopping):
                            self._emit(event)
                case RecordRequest() as request:
                    await self._answer(child, request)
                case result:
                    assert isinstance(result, TaskResult | TaskFailed)  # noqa: S101 - no other message remains
                    return result

    def _send_stop(self) -> None:
        self._emit(Stopping(self._stop.reason or ""))
        for child in self._children.values():
            with suppress(ClosedError):
                write(child.to, Stop(self._stop.reason or "terminated"))

    def _send_limits(self, rate_limits: RateLimits) -> None:
        for child in self._children.values():
            with suppress(ClosedError):
                write(child.to, ApplyLimits(rate_limits))

    async def _answer(self, child: _Child, request: RecordRequest) -> None:
        replaced = request.version is not None and await self._shares.replace(
            request.version, request.content
        )
        version, content = await self._shares.read()
        write(child.to, RecordAnswer(request.number, version, content, replaced))


def _error_of(result: TaskResult) -> StoppedError:
    error = StoppedError(result.error or "a process failed")
    error.exit_code = result.exit_code
    return error


async def _end(process: asyncio.subprocess.Process) -> None:
    """Wait for the process; kill it if it does not exit by itself."""
    if process.stdin is not None:
        process.stdin.close()
    with anyio.move_on_after(2.0):
        await process.wait()
        return
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()

"""The parts of a run in several processes: started, told their shares, watched, replaced when they die.

A child that dies leaves its pages in the ledger. Its replacement gets the same segments, finds them in doubt and
goes on, exactly as `refire resume` would.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import anyio

from refire_async.checkpoint.schema import PROCESSES_PER_ATTEMPT
from refire_async.engine.processes.messages import (
    ClosedError,
    Failed,
    Follow,
    Share,
    Stop,
    Told,
    receive,
    send,
    write,
)
from refire_async.engine.processes.rebalance import LEAST, rebalance
from refire_async.engine.processes.task import TaskResult, TaskSpec
from refire_async.errors import StoppedError
from refire_async.events import Emit, LanesSeen, ProcessReplaced, SegmentFinished, Stopping, Suspended
from refire_async.model.stop import StopRequest
from refire_async.pacing.governor import Governor, RateLimits

REBALANCE_S = 1.0
MOST_REPLACEMENTS = 5
"""Deaths of children in one sitting after which something must be wrong with the machine."""

PIPE_LIMIT = 1 << 24
"""Bytes of one message at most: a tenth of a second's events are some ten kilobytes."""


@dataclass(slots=True)
class _Child:
    """A process at work."""

    process: asyncio.subprocess.Process
    to: asyncio.StreamWriter
    share: float
    wcu: float = 0.0
    wcu_before: float = 0.0


class Supervisor:
    """Children of one sitting."""

    def __init__(
        self,
        parts: Sequence[TaskSpec],
        governor: Governor,
        *,
        emit: Emit,
        stop: StopRequest,
        keep_open: int,
    ) -> None:
        """`keep_open` is the file descriptor of the checkpoint's lock: children hold it as long as they live."""
        self._parts = parts
        self._governor = governor
        self._emit = emit
        self._stop = stop
        self._keep_open = keep_open
        self._children: dict[int, _Child] = {}
        self._results: list[TaskResult] = []
        self._finished = 0
        self._next_number = max(part.number for part in parts) + 1
        self._granted = anyio.Event()

    async def run(self) -> list[TaskResult]:
        """Run all parts to their end. Raises StoppedError if children keep dying."""
        self._stop.subscribe(self._tell_to_stop)
        self._governor.subscribe(self._tell_target)
        async with anyio.create_task_group() as helpers:
            helpers.start_soon(self._balance)
            async with anyio.create_task_group() as tasks:
                for part in self._parts:
                    tasks.start_soon(self._see_through, part)
            helpers.cancel_scope.cancel()
        return self._results

    async def _see_through(self, part: TaskSpec) -> None:
        """Run one part to its end, in as many processes as it takes."""
        while True:
            result = await self._run_child(part)
            if isinstance(result, Failed):
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
            if number % PROCESSES_PER_ATTEMPT >= len(self._parts) + MOST_REPLACEMENTS:
                error = StoppedError("processes of this run keep dying", "look for the cause, then resume")
                self._stop.request("error", error)
                return
            self._emit(ProcessReplaced(part.index))
            # Its share went to the others when it died; it is given one again as soon as it uses this one.
            part = replace(part, number=number, share=LEAST)

    async def _run_child(self, part: TaskSpec) -> TaskResult | Failed | None:
        """Run one process for `part`. None if it died without a result."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "refire_async.engine.processes.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=PIPE_LIMIT,
            pass_fds=(self._keep_open,),
            start_new_session=True,  # a Ctrl-C at the terminal is for the parent, which tells the children
        )
        assert process.stdin is not None  # noqa: S101 - asked for above
        assert process.stdout is not None  # noqa: S101 - asked for above
        child = self._children[part.index] = _Child(process, process.stdin, part.share)
        try:
            with suppress(ClosedError):
                await send(child.to, replace(part, rate_limits=self._governor.rate_limits))
                if self._stop.reason is not None:
                    await send(child.to, Stop(self._stop.reason))
                return await self._follow(part.index, child, process.stdout)
            return None
        finally:
            del self._children[part.index]
            with anyio.CancelScope(shield=True):
                await _end(process)

    async def _follow(self, index: int, child: _Child, source: asyncio.StreamReader) -> TaskResult | Failed:
        while True:
            match await receive(source):
                case Told(events, wcu):
                    child.wcu = wcu
                    for event in events:
                        if isinstance(event, SegmentFinished):
                            self._finished += 1
                            self._emit(replace(event, finished=self._finished))
                        elif isinstance(event, LanesSeen | Suspended):
                            self._emit(replace(event, part=index))
                        elif not isinstance(event, Stopping):
                            self._emit(event)
                case Share(share):
                    child.share = share
                    self._granted.set()
                case result:
                    assert isinstance(result, TaskResult | Failed)  # noqa: S101 - the last kind of message
                    return result

    def _tell_to_stop(self) -> None:
        self._emit(Stopping(self._stop.reason or ""))
        for child in self._children.values():
            with suppress(ClosedError):
                write(child.to, Stop(self._stop.reason or "terminated"))

    def _tell_target(self, rate_limits: RateLimits) -> None:
        for child in self._children.values():
            with suppress(ClosedError):
                write(child.to, Follow(rate_limits))

    async def _balance(self) -> None:
        """Move shares to where they can be used: first take, and when that is confirmed, give."""
        while True:
            await anyio.sleep(REBALANCE_S)
            ceiling = self._governor.rate_limits.scarcest_write
            if not ceiling:
                continue  # paused: nobody's use tells what it could use
            used = {}
            for index, child in self._children.items():
                used[index] = (child.wcu - child.wcu_before) / REBALANCE_S / ceiling
                child.wcu_before = child.wcu
            wanted = rebalance({index: child.share for index, child in self._children.items()}, used)
            takes = {i: share for i, share in wanted.items() if share < self._children[i].share}
            gives = {i: share for i, share in wanted.items() if share > self._children[i].share}
            for index, share in takes.items():
                await self._set_share(index, share)
            while any(self._has_more(index, share) for index, share in takes.items()):
                self._granted = anyio.Event()
                with anyio.move_on_after(REBALANCE_S):
                    await self._granted.wait()
            for index, share in gives.items():
                await self._set_share(index, share)

    def _has_more(self, index: int, share: float) -> bool:
        child = self._children.get(index)
        return child is not None and child.share > share

    async def _set_share(self, index: int, share: float) -> None:
        child = self._children.get(index)
        if child is not None:
            with suppress(ClosedError):
                await send(child.to, Share(share))


def _error_of(result: TaskResult) -> StoppedError:
    error = StoppedError(result.error or "a process failed")
    error.exit_code = result.exit_code
    return error


async def _end(process: asyncio.subprocess.Process) -> None:
    """Wait for the process; end it if it does not go by itself."""
    if process.stdin is not None:
        process.stdin.close()
    with anyio.move_on_after(2.0):
        await process.wait()
        return
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()

"""Child processes: started, pinned to a core, measured from outside, never left behind. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores clients and servers are pinned to; None leaves that to the kernel."""

    client: frozenset[int] | None
    server: frozenset[int] | None


def choose_cores(available: frozenset[int]) -> Cores:
    """One core for the server, one other for the client, if there are two. Pure.

    The client gets the highest one: interrupts tend to be served by the lowest.
    """
    if len(available) < 2:
        return Cores(None, None)
    *_, server, client = sorted(available)
    return Cores(frozenset({client}), frozenset({server}))


def cores() -> Cores:
    """The cores of this machine, as `choose_cores` has them."""
    return choose_cores(frozenset(os.sched_getaffinity(0)))


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process, also those that have ended, in ns resolution.

    This is the process CPU clock that clock_getcpuclockid(3) names. Raises ProcessLookupError if it is gone.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        raise ProcessLookupError(pid) from None


def tree(pid: int) -> list[int]:
    """A process and all its living descendants. Needs a kernel with /proc/PID/task/TID/children, as most have."""
    found = [pid]
    for member in found:
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, children.read_text().split())
    return found


def tree_cpu_seconds(pid: int) -> dict[int, float]:
    """CPU time of a process and of each of its living descendants, by process id."""
    found = {}
    for member in tree(pid):
        with contextlib.suppress(ProcessLookupError):
            found[member] = cpu_seconds(member)
    return found


def memory(pid: int, field: str = "VmHWM") -> int:
    """Bytes of a field of /proc/PID/status: VmHWM is the most that was ever resident, VmRSS what is now. 0 if gone.

    Not `ru_maxrss`: that one starts from the size of the process that forked.
    """
    try:
        found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a child took from its start to its end. `cpu_s` includes children that it waited for."""

    code: int
    wall_s: float
    cpu_s: float


class Child:
    """A child process, for `with`; it is killed when the block ends, or when this process dies in whatever way."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        core: frozenset[int] | None = None,
        joins: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] | None = None,
    ) -> None:
        """`joins` are files of control groups (framework/limits.py), which the child joins before it starts."""

        def prepare() -> None:
            for group in joins:
                group.write_text("0")
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if core is not None:
                os.sched_setaffinity(0, core)

        self._started = time.perf_counter()
        self.process = subprocess.Popen(
            list(command),
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            preexec_fn=prepare,  # noqa: PLW1509 - two system calls, safe with threads
        )
        self.usage: Usage | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def poll(self) -> Usage | None:
        """What it took, or None while it still runs."""
        return self._reap(os.WNOHANG)

    def wait(self, timeout_s: float, every_s: float = 0.05) -> Usage:
        """Wait for its end. Raises TimeoutError, and leaves it running, if that takes too long."""
        for _ in self.watch(timeout_s, every_s):
            pass
        assert self.usage is not None  # noqa: S101 - watch has ended
        return self.usage

    def watch(self, timeout_s: float, every_s: float = 0.05) -> Iterator[float]:
        """Seconds since the start, again and again until the child ends. Raises TimeoutError."""
        while self.poll() is None:
            elapsed_s = time.perf_counter() - self._started
            if elapsed_s > timeout_s:
                raise TimeoutError(f"a measured process did not end within {timeout_s:g} s")
            yield elapsed_s
            time.sleep(every_s)

    def _reap(self, flags: int) -> Usage | None:
        if self.usage is None:
            pid, status, resources = os.wait4(self.pid, flags)
            if pid == 0:
                return None
            wall_s = time.perf_counter() - self._started
            code = os.waitstatus_to_exitcode(status)
            self.process.returncode = code
            self.usage = Usage(code, wall_s, resources.ru_utime + resources.ru_stime)
        return self.usage

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        if self.poll() is None:
            # Not by Popen, which would reap a child that has just ended; until `_reap` the id is the child's.
            os.kill(self.pid, signal.SIGTERM)
            try:
                self.wait(_STOP_S)
            except TimeoutError:
                os.kill(self.pid, signal.SIGKILL)
                self._reap(0)

"""Child processes that never outlive the test run."""

import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """On Linux the child is killed when its parent dies in any way.

    Fixtures stop their children; this covers a test run that is itself ended by SIGKILL or SIGTERM.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """`subprocess.Popen` of a child that is killed when this process dies."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - makes one system call, so it is safe with threads
        **options,
    )


def free_port() -> int:
    """A TCP port of the loopback interface on which no process listens now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children_of(process_id: int) -> list[int]:
    """Running processes that this one has started; none if it has ended itself."""
    try:
        return [
            int(pid) for pid in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
        ]
    except OSError:
        return []


def wait_until_gone(process_ids: Sequence[int], timeout_s: float = 60.0) -> None:
    """Wait until all of these processes have ended (a zombie counts as ended)."""

    def works(pid: int) -> bool:
        try:
            return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False

    deadline = time.monotonic() + timeout_s
    while any(works(pid) for pid in process_ids):
        assert time.monotonic() < deadline, "processes of a dead parent go on"
        time.sleep(0.01)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a child: SIGTERM, then SIGKILL, then wait for it and close its pipes."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()

"""The program without the start of an interpreter: children are forked from one that has imported everything.

To import what `refire` needs takes 0.7 s of CPU time, and the scenarios start it a thousand times. A fork takes 10 ms.
What a child sees is the same: its own process, arguments, environment, folder, streams, signals and exit code.

Run as a program, this is the interpreter that forks. It serves one socket and ends with the test run.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import botocore.session

import refire_async

CODE = Path(refire_async.__file__).parent.parent
"""Where the package is that this test run imports."""

READ_AT_THE_START = ("PYTHON", "LANG", "LC_", "LD_")
"""Beginnings of the names of variables that an interpreter reads only when it starts."""

AVAILABLE = sys.platform == "linux"
"""A fork without exec is not safe on macOS."""

_MESSAGE_BYTES = 100_000


class Forked:
    """A child, with the methods of `subprocess.Popen` that the tests use. It has no pipes."""

    stdin = stdout = stderr = None

    def __init__(self, server: "Server", pid: int) -> None:
        self._server = server
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while the child runs."""
        if self.returncode is None:
            self.returncode = self._server.ended(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """As `poll`, at the end. Raises subprocess.TimeoutExpired."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired("refire", timeout or 0)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the child has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Server:
    """The interpreter that forks, seen from the test run. Safe in threads."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` has the variables that an interpreter reads when it starts."""
        self._channel, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with end:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(end.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=dict(environment),
                cwd=CODE,
                pass_fds=[end.fileno()],
            )
        self._lock = threading.Lock()
        self._codes: dict[int, int] = {}
        atexit.register(self.close)

    def start(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path, stdout: int, stderr: int
    ) -> Forked:
        """Start a command that `can_run`; `stdout` and `stderr` are descriptors, standard input is empty."""
        request = json.dumps({"command": list(command), "env": dict(env), "cwd": str(cwd)}).encode()
        with self._lock:
            socket.send_fds(self._channel, [request], [stdout, stderr])
            while (pid := self._take()) is None:
                pass
        return Forked(self, pid)

    def ended(self, pid: int) -> int | None:
        """The exit code of this child, once it has ended."""
        with self._lock:
            while pid not in self._codes and select.select([self._channel], [], [], 0)[0]:
                self._take()
            return self._codes.get(pid)

    def _take(self) -> int | None:
        """The next message: the id of the child that was started; or None, for the end of one."""
        data = self._channel.recv(_MESSAGE_BYTES)
        assert data, f"the interpreter that forks is gone, with {self._process.wait()}"
        message = json.loads(data)
        if "code" not in message:
            return int(message["pid"])
        self._codes[message["pid"]] = message["code"]
        return None

    def close(self) -> None:
        """End it, and with it all children."""
        self._channel.close()
        self._process.wait()


def can_run(command: Sequence[str]) -> bool:
    """Whether a command is a module or file of Python: `python -m NAME …` or `python FILE.py …`."""
    return command[0] == sys.executable and (command[1] == "-m" or command[1].endswith(".py"))


def starts_alike(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether an interpreter starts in the same way in both environments."""

    def read(environment: Mapping[str, str]) -> dict[str, str]:
        return {name: text for name, text in environment.items() if name.startswith(READ_AT_THE_START)}

    return read(one) == read(other)


def _serve(channel: socket.socket) -> dict[str, Any] | None:
    """Fork a child for each request. Returns the request in the child, and None here, when the channel closes."""
    ended, wake = os.pipe()
    for end in (ended, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([channel, ended], [], [])
        if ended in ready:
            os.read(ended, 1 << 16)
            _report_ends(channel)
        if channel not in ready:
            continue
        data, streams, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES, 2)
        if not data:
            return None
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number, stream in enumerate(streams, 1):
                os.dup2(stream, number)
            for descriptor in (ended, wake, *streams):
                os.close(descriptor)
            channel.close()
            request: dict[str, Any] = json.loads(data)
            return request
        for stream in streams:
            os.close(stream)
        channel.send(json.dumps({"pid": pid}).encode())


def _report_ends(channel: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        channel.send(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def _import_everything() -> None:
    for module in pkgutil.walk_packages(refire_async.__path__, f"{refire_async.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    importlib.import_module("aioboto3")


def _read_service_models() -> None:
    """botocore's data, 0.1 s of CPU time for each process, is in memory before the first fork."""
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    session = botocore.session.Session()
    session.create_client("dynamodb", "eu-west-1", aws_access_key_id="-", aws_secret_access_key="-").close()


def main() -> None:
    """The interpreter that forks and, in a child, the program."""
    _import_everything()
    _read_service_models()
    gc.freeze()
    request = _serve(socket.socket(fileno=int(sys.argv[1])))
    if request is None:
        return
    from refire_async import failpoints
    from tests.support.processes import die_with_parent

    die_with_parent()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    importlib.reload(failpoints)  # the one module that reads the environment when it is imported
    _, *words = request["command"]
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main()

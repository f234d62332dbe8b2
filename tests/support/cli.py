"""The real command line as a child process, in its own environment."""

import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refire_async.aws.permissions import COMMANDS
from tests.support import prefork
from tests.support.account import environment_of
from tests.support.backends import REGION
from tests.support.examples import runs_soak
from tests.support.prefork import CODE, Forked
from tests.support.processes import spawn, stop

SECRETS = ("planted-secret-access-key/0aF+", "planted-session-token//9zQ=", "planted-proxy-password.7")
"""Every child gets these as credentials and, in some tests, for a proxy. They must never appear in its output."""

PROGRAM = [sys.executable, "-m", "refire_async"]

_START = {"PATH": os.defpath, "PYTHONPATH": str(CODE), "LANG": "C.UTF-8"}
"""The environment of an interpreter. The code is that of this test run, not an installed one."""

_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a child. `peak_bytes` is its peak resident memory (0 without /proc)."""

    code: int
    stdout: str
    stderr: str
    peak_bytes: int

    @property
    def json(self) -> dict[str, Any]:
        """The last line of standard output, which `--json` promises to be one object."""
        lines = self.stdout.splitlines()
        assert lines, f"nothing on standard output; standard error:\n{self.stderr}"
        result = json.loads(lines[-1])
        assert isinstance(result, dict)
        return result

    @property
    def error_lines(self) -> list[str]:
        """The lines of standard error that are for people: without empty ones and JSON log lines."""
        return [line for line in self.stderr.splitlines() if line.strip() and not _is_json(line)]


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


@dataclass(slots=True)
class Running:
    """A child that has been started."""

    process: subprocess.Popen[bytes] | Forked
    stdout: Path
    stderr: Path
    peak_bytes: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def ended(self) -> bool:
        """Whether the child has ended."""
        self._sample_memory()
        return self.process.poll() is not None

    def wait_until(self, reached: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Poll until `reached()`; fails if the child ends before that, or after a timeout."""
        deadline = time.monotonic() + timeout_s
        while not reached():
            assert not self.ended, f"it ended too early, with {self.process.returncode}:\n{self._texts()[1]}"
            assert time.monotonic() < deadline, f"the awaited moment did not come in {timeout_s:g} s"
            time.sleep(_POLL_S)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child, which must still be running: a late signal would prove nothing."""
        assert not self.ended, (
            f"it ended before the signal, with {self.process.returncode}:\n{self._texts()[1]}"
        )
        self.process.send_signal(number)

    def kill(self) -> Result:
        """SIGKILL and wait: a crash without any preparation."""
        self.signal(signal.SIGKILL)
        return self.wait()

    def wait(self, timeout_s: float = 120.0) -> Result:
        """Wait for the end. Raises TimeoutError after killing the child."""
        deadline = time.monotonic() + timeout_s
        while not self.ended:
            if time.monotonic() > deadline:
                stop(self.process)
                raise TimeoutError(f"no end after {timeout_s:g} s:\n{self._texts()[1]}")
            time.sleep(_POLL_S)
        stdout, stderr = self._texts()
        for secret in SECRETS:
            assert secret not in stdout + stderr, "a secret in the output"
        return Result(self.process.returncode, stdout, stderr, self.peak_bytes)

    def _texts(self) -> tuple[str, str]:
        return self.stdout.read_text(errors="replace"), self.stderr.read_text(errors="replace")

    def _sample_memory(self) -> None:
        """Read the high-water mark of memory (VmHWM).

        Not `ru_maxrss` of wait4: that one starts from the size of the process that forked, this test run.
        """
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            self.peak_bytes = max(self.peak_bytes, int(found[1]) * 1024)


@functools.cache
def _server() -> prefork.Server:
    """The interpreter of this test run that children are forked from."""
    return prefork.Server(_START)


@dataclass(slots=True)
class Cli:
    """Runs `refire` with its own home, state folder and credentials, and none of this machine's settings.

    Outside `-m soak`, children are forked from an interpreter that has imported the program (`prefork`).
    """

    home: Path
    endpoint_url: str | None = None
    access_key: str = "AKIASCENARIO"
    profile: str | None = None
    """A profile of the user's own configuration, in place of endpoint and access key."""
    program: Sequence[str] = tuple(PROGRAM)
    """The program to run; anything but `refire` is for tests of a check."""
    forks: bool = True
    """False if a test reads the command line of the process: that of a fork is its parent's."""
    _children: list[Running] = field(default_factory=list)

    @property
    def state(self) -> Path:
        """The default folder of checkpoints."""
        return self.home / "state"

    def environment(self) -> dict[str, str]:
        """The environment of a child."""
        if self.profile is not None:
            own = {"XDG_STATE_HOME": str(self.state), "XDG_CONFIG_HOME": str(self.home / "config")}
            return {**_START, **environment_of(self.profile), **own}
        return {
            **_START,
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.state),
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": SECRETS[0],
            "AWS_SESSION_TOKEN": SECRETS[1],
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": str(self.home / "no-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.home / "no-credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self, *arguments: str, env: Mapping[str, str | None] | None = None) -> Running:
        """Start `refire` with these arguments; `env` adds variables, `None` removes one.

        The endpoint goes in as `--endpoint-url` unless `env` or the arguments say otherwise.
        """
        environment = self.environment()
        for name, value in (env or {}).items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        if self._wants_endpoint(arguments, environment):
            arguments = (*arguments, "--endpoint-url", str(self.endpoint_url))
        number = len(self._children)
        stdout, stderr = (self.home / f"{number}.{stream}" for stream in ("out", "err"))
        command = [*self.program, *arguments]
        with stdout.open("wb") as out, stderr.open("wb") as err:
            if self._may_fork(environment):
                process = _server().start(command, environment, self.home, out.fileno(), err.fileno())
            else:
                process = spawn(command, stdout=out, stderr=err, env=environment, cwd=self.home)
        running = Running(process, stdout, stderr)
        self._children.append(running)
        return running

    def _may_fork(self, environment: Mapping[str, str]) -> bool:
        return (
            prefork.AVAILABLE
            and self.forks
            and not runs_soak()
            and prefork.can_run(self.program)
            and prefork.starts_alike(environment, _START)
        )

    def _wants_endpoint(self, arguments: tuple[str, ...], environment: Mapping[str, str]) -> bool:
        return (
            self.endpoint_url is not None
            and arguments[:1] in {(name,) for name in (*COMMANDS, "checkpoint-table")}
            and "--endpoint-url" not in arguments
            and "REFIRE_ENDPOINT_URL" not in environment
        )

    def run(
        self, *arguments: str, env: Mapping[str, str | None] | None = None, timeout_s: float = 120.0
    ) -> Result:
        """`start` and wait for the end."""
        return self.start(*arguments, env=env).wait(timeout_s)

    def refire(self, table: str, *arguments: str) -> Result:
        """`refire run --table TABLE --json` with more arguments."""
        return self.run("run", "--table", table, "--json", *arguments)

    def resume(self, run_id: str, *arguments: str) -> Result:
        """`refire resume RUN_ID --json` with more arguments."""
        return self.run("resume", run_id, "--json", *arguments)

    def verify(self, run_id: str, *arguments: str) -> Result:
        """`refire verify RUN_ID --json` with more arguments."""
        return self.run("verify", run_id, "--json", *arguments)

    def close(self) -> None:
        """Stop running children and search everything that they have written for secrets."""
        for child in self._children:
            stop(child.process)
        for path in self.home.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                for secret in SECRETS:
                    assert secret.encode() not in content, f"a secret in {path}"

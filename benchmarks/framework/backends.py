"""What runs are pointed at: a null backend or a sandbox, each a process of its own on the server's core."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import orjson

from benchmarks.framework.null_backend import Mark
from benchmarks.framework.process import Child, cores, cpu_seconds
from benchmarks.framework.scenario import BenchmarkError
from refire_async.sandbox import SandboxConfig, SandboxError, SandboxProcess

REPOSITORY = Path(__file__).parents[2]
REGION = "us-east-1"

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What clients of our own backends sign with. The backends do not check it."""


def own_environment(home: Path) -> dict[str, str]:
    """The environment of a client of our own backends: nothing of this machine's AWS configuration."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "PYTHONPATH": str(REPOSITORY),
        "AWS_CONFIG_FILE": str(home / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-credentials"),
        **CREDENTIALS,
    }


def http(url: str, method: str = "GET", content: Any = None) -> Any:
    """One request to an admin path of a backend of ours."""
    data = None if content is None else orjson.dumps(content)
    with urlopen(Request(url, data=data, method=method), timeout=60) as answer:  # noqa: S310 - loopback
        return orjson.loads(answer.read())


@dataclass(frozen=True, slots=True)
class Window:
    """What happened between two marks of a null backend.

    `processes`: how many processes the client had, or None if one began or ended in between. What that one took is
    then in one of the two sums only, and `client_cpu_s` is not known.
    """

    items: int
    client_cpu_s: float
    server_cpu_s: float
    wall_s: float
    processes: int | None = 1

    @property
    def client_us(self) -> float:
        """CPU of the client per item, in microseconds."""
        return self.client_cpu_s / self.items * 1e6

    @property
    def server_us(self) -> float:
        """CPU of the backend per item, in microseconds."""
        return self.server_cpu_s / self.items * 1e6

    @property
    def items_per_s(self) -> float:
        """Items written per second."""
        return self.items / self.wall_s


def window(first: Mark, last: Mark) -> Window:
    """The difference of two marks. Pure."""
    return Window(
        last.items - first.items,
        last.client_cpu_s - first.client_cpu_s,
        last.server_cpu_s - first.server_cpu_s,
        last.wall_s - first.wall_s,
        len(first.processes) if first.processes == last.processes else None,
    )


class Null:
    """A running null backend."""

    def __init__(self, url: str) -> None:
        self.url = url

    def watch(self, pid: int, counts: Sequence[int]) -> None:
        """Count written items from 0, and read the CPU clock of `pid` when each of `counts` is reached."""
        http(f"{self.url}/watch", "PUT", {"pid": pid, "counts": list(counts)})

    def marks(self, count: int) -> list[Mark]:
        """The moments when the `count` counts of `watch` were reached. Raises BenchmarkError if they were not."""
        marks = http(f"{self.url}/report")["marks"]
        if len(marks) != count:
            raise BenchmarkError("the client ended before it had written what was to be measured")
        return [Mark(**{**mark, "processes": tuple(mark["processes"])}) for mark in marks]

    def window(self) -> Window:
        """Between the two counts of `watch`. Raises BenchmarkError if they were not reached."""
        return window(*self.marks(2))

    @property
    def rcu(self) -> float:
        """Read units charged since `watch`."""
        return float(http(f"{self.url}/report")["rcu"])


@contextmanager
def null_backend(*program: str, pinned: bool = True) -> Iterator[Null]:
    """A null backend in a process of its own for the time of the block. `program`: another module, its arguments."""
    command = [sys.executable, "-m", *(program or ("benchmarks.framework.null_backend",))]
    core = cores().server if pinned else None
    with Child(command, core=core, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        url = child.process.stdout.readline().decode().strip()
        if not url:
            raise BenchmarkError("the null backend did not start; its standard error says why")
        yield Null(url)


class Sandbox:
    """A running sandbox."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._pid = pid

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def cpu_s(self) -> float:
        """CPU that it has taken so far."""
        return cpu_seconds(self._pid)

    def stats(self) -> dict[str, Any]:
        """`GET /_sandbox/stats`."""
        found: dict[str, Any] = http(f"{self.url}/_sandbox/stats")
        return found


@contextmanager
def sandbox(config: SandboxConfig) -> Iterator[Sandbox]:
    """A sandbox in a process of its own, on the server's core, for the time of the block."""
    process = SandboxProcess(config)
    try:
        url = process.start()
    except SandboxError as error:
        raise BenchmarkError(str(error)) from error
    try:
        core = cores().server
        if core is not None:
            os.sched_setaffinity(process.pid, core)
        yield Sandbox(url, process.pid)
    finally:
        process.stop()

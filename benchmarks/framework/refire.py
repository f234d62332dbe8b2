"""The command line from outside: `refire run --json` as a child process, measured while it works."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from benchmarks.framework.backends import own_environment
from benchmarks.framework.process import Child, Usage, cores, memory, tree
from benchmarks.framework.scenario import BenchmarkError, RealTable

_TIMEOUT_S = 3600.0
_EVERY_S = 0.05
PROGRAM = ("refire_async",)
_PRIVATE = ("run_id", "table", "checkpoint", "failed_keys_file", "missing_keys_file")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the table is that runs are pointed at, and the environment that they get."""

    table: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def own_place(table: str, url: str, folder: Path) -> Place:
    """A table of a backend of ours."""
    return Place(table, ("--endpoint-url", url), own_environment(folder))


def real_place(real: RealTable) -> Place:
    """A real table: everything comes from the environment of the person who runs the benchmark."""
    given = {"--endpoint-url": real.endpoint_url, "--region": real.region, "--profile": real.profile}
    arguments = [word for name, value in given.items() if value is not None for word in (name, value)]
    return Place(real.table, tuple(arguments), os.environ)


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of all processes of a run at one moment."""

    seconds: float
    rss_bytes: int


@dataclass(slots=True)
class Run:
    """One process of the command line, running or ended.

    `summary` is its JSON line without what names files or tables; empty if it was killed. `checkpoint_bytes` is the
    most that the checkpoint and its log took on disk.
    """

    child: Child
    checkpoint: Path
    output: Path
    errors: Path
    usage: Usage | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    peak_bytes: int = 0
    checkpoint_bytes: int = 0
    memory: list[Memory] = field(default_factory=list)

    @property
    def run_time_s(self) -> float:
        """Seconds that the engine worked, start-up of the program not included."""
        return float(self.summary["seconds"])

    @property
    def budget_wcu(self) -> float:
        """Write units per second of the table that the run allowed itself, as its log says at the start."""
        return float(self.first_words["max_wcu"])

    @property
    def first_words(self) -> dict[str, Any]:
        """The line of its log that says how it starts. Raises BenchmarkError if there is none."""
        entry = self._logged("run.started")
        if entry is None:
            raise BenchmarkError("the run's log does not say how it started")
        return entry

    def _logged(self, event: str) -> dict[str, Any] | None:
        """What the log says of an event; None if it has not come yet."""
        for line in self.errors.read_text().splitlines():
            if line.startswith("{") and line.endswith("}"):
                entry: dict[str, Any] = orjson.loads(line)
                if entry["event"] == event:
                    return entry
        return None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program, which must still run. Raises BenchmarkError if it does not."""
        if self.child.poll() is not None:
            raise BenchmarkError(f"the run ended before it could be stopped: {self._last_words()}")
        self.child.process.send_signal(number)

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Poll until something is so. Raises BenchmarkError if the run ends before."""
        for _ in self._watch(0.01):
            if reached():
                return
        raise BenchmarkError(f"the run ended before it could be stopped: {self._last_words()}")

    def stop_after(self, seconds: float) -> None:
        """Let it work for so long at most, and then stop it in order: its summary tells how fast it was until then."""
        began_s: float | None = None
        for elapsed_s in self._watch(_EVERY_S):
            if began_s is None:
                began_s = elapsed_s if self._logged("run.started") is not None else None
            elif elapsed_s - began_s >= seconds:
                # After its end a program does not heed signals any more and would die of this one.
                if self._logged("run.ended") is None:
                    self.child.process.send_signal(signal.SIGTERM)
                return

    def finish(self, codes: Iterable[int]) -> None:
        """Wait for the end, which must have one of these exit codes. Raises BenchmarkError."""
        for _ in self._watch(_EVERY_S):
            pass
        self.usage = self.child.wait(_TIMEOUT_S)
        if self.usage.code not in codes:
            raise BenchmarkError(f"refire ended with {self.usage.code}: {self._last_words()}")
        lines = self.output.read_text().splitlines()
        if lines:
            summary = orjson.loads(lines[-1])
            self.summary = {name: value for name, value in summary.items() if name not in _PRIVATE}

    def _watch(self, every_s: float) -> Iterator[float]:
        for elapsed_s in self.child.watch(_TIMEOUT_S, every_s):
            members = tree(self.child.pid)
            self.peak_bytes = max(self.peak_bytes, sum(memory(pid) for pid in members))
            self.memory.append(Memory(round(elapsed_s, 3), sum(memory(pid, "VmRSS") for pid in members)))
            self.checkpoint_bytes = max(self.checkpoint_bytes, size_on_disk(self.checkpoint))
            yield elapsed_s

    def _last_words(self) -> str:
        """The last line on standard error that is for people, or else the last one."""
        lines = self.errors.read_text(errors="replace").splitlines() or ["it said nothing"]
        spoken = [line for line in lines if line.strip() and not line.startswith("{")]
        return re.sub(r"/\S+/", "", (spoken or lines)[-1])


def size_on_disk(path: Path) -> int:
    """Bytes of a checkpoint and of what SQLite keeps beside it."""
    total = 0
    for part in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        try:
            total += part.stat().st_size
        except OSError:
            continue
    return total


class Refire:
    """Runs the program against one place, one process at a time, on the client's core."""

    def __init__(
        self,
        folder: Path,
        place: Place,
        *,
        pinned: bool = True,
        program: tuple[str, ...] = PROGRAM,
        joins: Sequence[Path] = (),
    ) -> None:
        """`program` is the module that is run, and words that it takes before those of `refire`.

        `joins` are files of control groups that it joins.
        """
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._place = place
        self._program = program
        self._core = cores().client if pinned else None
        self._joins = joins
        self._runs = 0

    @contextmanager
    def start(
        self,
        *arguments: str,
        checkpoint: Path | None = None,
        resume: bool = False,
        what: Sequence[str] | None = None,
        address: str | None = None,
    ) -> Iterator[Run]:
        """Start `refire run` of the place's table (or resume it, or `what`); stopped when the block ends.

        `address` is that of a run in a checkpoint table, instead of the file `checkpoint`.
        """
        self._runs += 1
        base = self._folder / f"run-{self._runs}"
        checkpoint = checkpoint or base.with_suffix(".refire")
        what = what or (["resume"] if resume else ["run", "--table", self._place.table, "--yes"])
        command = [sys.executable, "-m", *self._program, *what, *self._place.arguments]
        command += ["--checkpoint", address or str(checkpoint), "--json", *arguments]
        output, errors = base.with_suffix(".out"), base.with_suffix(".err")
        with (
            output.open("wb") as out,
            errors.open("wb") as err,
            Child(
                command,
                core=self._core,
                joins=self._joins,
                env=self._place.environment,
                stdout=out,
                stderr=err,
            ) as child,
        ):
            yield Run(child, checkpoint, output, errors)

    def run(
        self,
        *arguments: str,
        codes: Iterable[int] = (0,),
        checkpoint: Path | None = None,
        resume: bool = False,
    ) -> Run:
        """`start` and wait for the end. Raises BenchmarkError for another exit code than `codes`."""
        with self.start(*arguments, checkpoint=checkpoint, resume=resume) as run:
            run.finish(codes)
            return run

    def verify(self, checkpoint: Path, *, codes: Iterable[int] = (0,)) -> Run:
        """`refire verify` of a run; its `summary` is the proof. Raises BenchmarkError for another exit code."""
        with self.start(checkpoint=checkpoint, what=["verify"]) as run:
            run.finish(codes)
            return run

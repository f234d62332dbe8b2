"""Runs one scenario and writes its result, and knows which results of an interrupted `run all` still count."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.framework import result
from benchmarks.framework.machine import CHANGED, UNKNOWN, commit, loop_us, machine, versions
from benchmarks.framework.progress import Bar
from benchmarks.framework.scenario import Bench, BenchmarkError, RealTable, Scenario

ROOT = Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True, slots=True)
class How:
    """How scenarios are run: the folder of results, quick or full, the commit, and perhaps a real table."""

    out: Path
    quick: bool
    commit: str
    changes: Mapping[str, str]
    real: RealTable | None = None

    def command(self, name: str) -> str:
        """The command line that repeats a run. It names no folder and no table of the machine it ran on."""
        words = ["python -m benchmarks run", name]
        if self.quick:
            words.append("--quick")
        words += [f"--set {key}={value}" for key, value in self.changes.items()]
        if self.real is not None:
            words.append(f"--table TABLE --max-items {self.real.max_items} --yes")
        return " ".join(words)

    def finished(self, name: str) -> Path | None:
        """The result file of that benchmark if it is whole, of this commit, these settings and this machine."""
        if self.real is not None or self.commit == UNKNOWN or self.commit.endswith(CHANGED):
            return None
        path = self.out / f"{name}.json"
        try:
            found = result.read(path)
        except BenchmarkError:
            return None
        here, there = machine(), found.machine
        same = all(here[key] == there.get(key) for key in ("cpu", "cores", "memory_gib", "kernel", "python"))
        asked = (found.parameters.get("commit"), found.parameters["command"]) == (
            self.commit,
            self.command(name),
        )
        whole = all(path.with_suffix(suffix).exists() for suffix in (".png", ".svg"))
        return path if same and asked and whole else None


def current_commit() -> str:
    """The commit of the tree that this program is run from."""
    return commit(ROOT)


def run_one(scenario: Scenario[Any], parameters: Any, *, console: Console, how: How) -> Path:
    """Run one scenario and write its result; returns the JSON file's path. Raises BenchmarkError."""
    before, speed = machine(), loop_us()
    started_at, clock = datetime.now(UTC), time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="refire-benchmark-") as folder,
        Bar(console, scenario.name) as bar,
    ):
        metrics = scenario.run(Bench(Path(folder), bar, how.real), parameters)
    described: Mapping[str, Any] = {
        "mode": "quick" if how.quick else "full",
        "target": "a real table" if how.real else "a backend of the suite",
        "command": how.command(scenario.name),
        "commit": how.commit,
        "started_at": started_at.isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - clock, 1),
    }
    done = result.Result(
        name=scenario.name,
        parameters={**dataclasses.asdict(parameters), **described},
        machine={**before, "loop_us": [speed, loop_us()]},
        versions=versions(),
        metrics=metrics,
    )
    return result.write(how.out, done, scenario.plot(done.parameters, metrics))

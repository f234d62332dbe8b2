"""Where the engine's CPU time goes: one watched run under a sampling timer, by room of the package and by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.client_cpu.watching import is_watching, run_watched
from benchmarks.framework.backends import Null
from benchmarks.framework.null_backend import NullTable
from benchmarks.framework.scenario import BenchmarkError

PACKAGE = "refire_async."
_START_UP = "importlib._bootstrap"
_LINES = 20


def sample(folder: Path, backend: Null, target: NullTable, options: Iterable[str]) -> dict[str, Any]:
    """Run the engine once under `framework.sampled`, looked at in every way, and sum up its samples.

    Raises:
        BenchmarkError: the run failed, or was too short.
    """
    path = folder / "samples.txt"
    run_watched(folder, backend, target, options, program=("benchmarks.framework.sampled", str(path)))
    return sum_up(path.read_text().splitlines())


def sum_up(lines: Iterable[str]) -> dict[str, Any]:
    """Shares of samples (0 to 1) by room and by line. Samples of the program's start-up do not count. Pure.

    A sample belongs to the innermost frame of this package: what it calls in libraries is its own doing. Where there
    is none of the pipeline's rooms, it is the event loop. `watching` is the share of those who look on.
    """
    rooms: Counter[str] = Counter()
    spots: Counter[str] = Counter()
    total = watching = 0
    for line in lines:
        text, _, number = line.rpartition(" ")
        stack = text.split(";")
        if _START_UP in text:
            continue
        count = int(number)
        total += count
        watching += count * is_watching(stack)
        rooms[room_of(stack)] += count
        spots[stack[-1]] += count
    if not total:
        raise BenchmarkError("no sample was taken; measure more items")
    return {
        "samples": total,
        "watching": round(watching / total, 4),
        "rooms": {name: round(count / total, 4) for name, count in rooms.most_common()},
        "lines": {name: round(count / total, 4) for name, count in spots.most_common(_LINES)},
    }


def room_of(stack: list[str]) -> str:
    """The room of the package that a stack is in: the second part of its innermost module's name."""
    for frame in reversed(stack):
        module = frame.split(":", 1)[0]
        if module.startswith(PACKAGE):
            room = module.split(".")[1]
            return "event loop" if room == "cli" else room
    return "event loop"

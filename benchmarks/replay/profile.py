"""Where the engine's CPU time goes: samples of its main thread, by module of the package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from benchmarks.framework.scenario import BenchmarkError

PACKAGE = "refire_async."
_START_UP = "importlib._bootstrap"
_LINES = 20


def sum_up(lines: Iterable[str]) -> dict[str, Any]:
    """Shares of samples (0 to 1) by module and by line. Pure.

    A sample belongs to the innermost frame of this package, and where there is none, to the event loop. Samples of the
    program's start-up do not count. Raises BenchmarkError without samples.
    """
    modules: Counter[str] = Counter()
    spots: Counter[str] = Counter()
    total = 0
    for line in lines:
        text, _, number = line.rpartition(" ")
        if _START_UP in text:
            continue
        stack, count = text.split(";"), int(number)
        total += count
        modules[module_of(stack)] += count
        spots[stack[-1]] += count
    if not total:
        raise BenchmarkError("no sample was taken; deliver more records")
    return {
        "samples": total,
        "modules": {name: round(count / total, 4) for name, count in modules.most_common()},
        "lines": {name: round(count / total, 4) for name, count in spots.most_common(_LINES)},
    }


def module_of(stack: list[str]) -> str:
    """The module of the innermost frame of the package, without the package's name."""
    for frame in reversed(stack):
        module = frame.partition(":")[0]
        if module.startswith(PACKAGE) and not module.endswith(".event_loop"):
            return module.removeprefix(PACKAGE)
    return "event loop"

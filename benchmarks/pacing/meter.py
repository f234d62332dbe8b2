"""What a sandbox has accepted and refused, looked at twenty times a second while a run writes to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from benchmarks.framework import capacity
from benchmarks.framework.backends import Sandbox
from benchmarks.framework.refire import Run
from benchmarks.framework.scenario import BenchmarkError

EVERY_S = 0.05
MOST_S = 600.0
WINDOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """Write units since the sandbox began, as of `time` (seconds since 1970 by the sandbox's clock)."""

    time: float
    accepted: float
    refused: float
    partitions: tuple[float, ...]


def look(stats: dict[str, Any], table: str, index: str | None = None) -> Look:
    """What statistics say of one table or index."""
    part = capacity.resource(stats, table, index)
    refused = float(sum(row[4] for row in part["seconds"]))
    return Look(stats["time"], capacity.written(part), refused, tuple(capacity.partition_writes(part)))


def watch(run: Run, server: Sandbox, table: str, index: str | None = None) -> Iterator[Look]:
    """Look again and again until the run ends, and once more afterwards. Raises BenchmarkError if it does not end."""
    try:
        for _ in run.child.watch(MOST_S, EVERY_S):
            yield look(server.stats(), table, index)
    except TimeoutError as error:
        raise BenchmarkError(str(error)) from error
    yield look(server.stats(), table, index)


def began(looks: Sequence[Look]) -> float:
    """When the first write was accepted, to within one look. Raises BenchmarkError if none was."""
    for before, after in pairwise(looks):
        if after.accepted > 0:
            return before.time
    raise BenchmarkError("the run wrote nothing")


def accepted_at(looks: Sequence[Look], time: float) -> float:
    """Units accepted until `time`, on a straight line between two looks."""
    if time <= looks[0].time:
        return looks[0].accepted
    for before, after in pairwise(looks):
        if time <= after.time:
            share = (time - before.time) / (after.time - before.time)
            return before.accepted + share * (after.accepted - before.accepted)
    return looks[-1].accepted


def busiest_window(looks: Sequence[Look], window_s: float = WINDOW_S) -> float:
    """The most units that any window of `window_s` has seen, of those that begin or end with a look."""
    most, first = 0.0, 0
    for last, end in enumerate(looks):
        while looks[first].time < end.time - window_s:
            first += 1
        # `first` is the oldest look within the window; its beginning lies between that one and the one before.
        begin = accepted_at(looks[max(0, first - 1) : last + 1], end.time - window_s)
        most = max(most, end.accepted - begin)
    return most


def moment(looks: Sequence[Look], units: float, partitions: Sequence[int] | None = None) -> float:
    """When so much was accepted, by these partitions together if some are named.

    Raises BenchmarkError if it never was.
    """
    done = [
        one.accepted if partitions is None else sum(one.partitions[place] for place in partitions)
        for one in looks
    ]
    for (before, least), (after, most) in pairwise(zip(looks, done, strict=True)):
        if least < units <= most:
            return before.time + (units - least) / (most - least) * (after.time - before.time)
    raise BenchmarkError("the run ended before it had written what was waited for")


def rate(looks: Sequence[Look], since: float, until: float) -> float:
    """Accepted units per second between two moments."""
    return (accepted_at(looks, until) - accepted_at(looks, since)) / (until - since)

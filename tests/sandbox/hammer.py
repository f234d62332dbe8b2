"""More load than a table can take, from plain clients, and how exactly the sandbox kept to the limit meanwhile."""

import itertools
import math
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson

Send = Callable[[], tuple[float, float]]
"""Sends one request; returns units (accepted, throttled) as its answer tells them."""


@dataclass
class Load:
    """What the clients saw. ``refused_at`` holds (sent, answered) of each request that was throttled."""

    accepted: float = 0.0
    throttled: float = 0.0
    refused_at: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class ResourceCapacity:
    """What the sandbox counted for a table or index, second by second."""

    resource: str
    throttles: dict[str, int]
    accepted_by_second: dict[int, float]
    throttled: float

    @property
    def accepted(self) -> float:
        """Write units in all."""
        return sum(self.accepted_by_second.values())


def hammer(senders: Sequence[Send], seconds: int) -> tuple[range, Load]:
    """Send from a thread each, without a pause, for ``seconds`` whole seconds after the first full one.

    Returns those seconds (since 1970), and what the clients saw from beginning to end.
    """
    first = math.ceil(time.time()) + 1
    end = first + seconds
    over = threading.Event()

    def work(send: Send) -> Load:
        load = Load()
        while time.time() < end + 0.01 and not over.is_set():
            sent = time.time()
            accepted, throttled = send()
            load.accepted += accepted
            load.throttled += throttled
            if throttled:
                load.refused_at.append((sent, time.time()))
        return load

    with ThreadPoolExecutor(len(senders)) as pool:
        futures = [pool.submit(work, send) for send in senders]
        try:
            loads = [future.result() for future in futures]
        finally:
            over.set()
    return range(first, end), Load(
        sum(load.accepted for load in loads),
        sum(load.throttled for load in loads),
        list(itertools.chain.from_iterable(load.refused_at for load in loads)),
    )


def resource(url: str, table: str, index: str | None = None) -> ResourceCapacity:
    """The write side of a table or index, from the admin path."""
    with urllib.request.urlopen(f"{url}/_sandbox/stats") as answer:
        resources: list[dict[str, Any]] = orjson.loads(answer.read())["tables"][table]["arms"]
    (found,) = (one for one in resources if one["index"] == index)
    return ResourceCapacity(
        found["resource"],
        found["throttles"],
        {row[0]: row[2] for row in found["seconds"]},
        sum(row[4] for row in found["seconds"]),
    )


def assert_rate(found: ResourceCapacity, seconds: range, load: Load, *, rate: float, largest: float) -> None:
    """Accepted units of every second, and of all together, are within 2% of ``rate``.

    A limit accepts in a second what flows in, plus what its bucket held before, less what it holds after. Whenever a
    request was refused, the bucket held less than ``largest`` units, those of the largest request; so what it can hold
    at the turn of a second is known from the latest refusal before that. On a machine with time for this that is well
    below 2%. Where the machine kept the clients waiting at the turn of a second, one second may leave as much to
    the next, and no more.
    """
    counts = [found.accepted_by_second.get(second, 0.0) for second in seconds]
    held = {turn: largest + rate * _since_refusal(load, turn) for turn in (*seconds, seconds.stop)}
    for second, count in zip(seconds, counts, strict=True):
        assert count <= rate + max(0.02 * rate, held[second]), (second, counts, held)
        assert count >= rate - max(0.02 * rate, held[second + 1]), (second, counts, held)
    whole = rate * len(seconds)
    assert abs(sum(counts) - whole) <= max(0.02 * whole, held[seconds.start], held[seconds.stop]), counts


def _since_refusal(load: Load, turn: float) -> float:
    """Seconds from a refusal that surely came before ``turn``; infinite if there was none."""
    return turn - max((sent for sent, answered in load.refused_at if answered < turn), default=-math.inf)

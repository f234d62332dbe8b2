"""Delivers records in child processes that are killed again and again, until a last one delivers the rest.

    python -m tests.delivery.killed FOLDER RECORDS KILLS SEED

The target is a function with faults by seed. It notes every invocation in FOLDER/calls before it answers: a line of
JSON with the sequence numbers, and from which place on they failed (their number: none). This process has one thread,
so that it can fork: a child begins at once.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from random import Random

import anyio

from refire_async import failpoints
from refire_async.checkpoint.lock import locked
from refire_async.delivery.ledger import Ledger
from refire_async.delivery.record import EventRecord
from refire_async.delivery.target import Answer, Fate, InvocationError
from refire_async.settings import Connection
from tests.support.delivery import (
    FakeSource,
    FakeTarget,
    deliver,
    failures_answer,
    function_error,
    make_spec,
    record,
)

KEYS = 300
GENERATIONS = 3
RULES = {"batch_size": 12, "parallelization": 10, "retries": 3, "bisect": True, "partial_failures": True}
"""Most poisoned records fail for good: they use up their retries and go into the failed-records file."""

POISON = 211
"""Every so many-th sequence number is a record that the function never takes."""


def shard_of(key: int, generation: int) -> str:
    """Shards split in two from generation to generation: a key is in one shard of each."""
    return f"shard-{generation}-{key % (2 << generation)}"


def make_shards(count: int) -> tuple[dict[str, list[EventRecord]], dict[str, str]]:
    """`count` records of some keys in shards that split twice, and the parent of each shard that has one."""
    shards: dict[str, list[EventRecord]] = {}
    parents = {}
    draw = Random(count)
    for sequence in range(count):
        key, generation = draw.randrange(KEYS), sequence * GENERATIONS // count
        name = shard_of(key, generation)
        if generation and name not in shards:
            parents[name] = shard_of(key, generation - 1)
        shards.setdefault(name, []).append(record(sequence, f"k{key}"))
    return shards, parents


class FaultyFunction(FakeTarget):
    """Takes records, fails, is throttled, or answers and the answer is lost; all by seed."""

    def __init__(self, calls: Path, draw: Random, *, kill_after_s: float | None) -> None:
        """Kills the process so long after the first invocation."""
        super().__init__(self._run)
        self._kill_after_s = kill_after_s
        self._file = os.open(calls, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._draw = draw

    async def _run(self, sequences: list[int]) -> Answer:
        if self._kill_after_s is not None and len(self.calls) == 1:
            kill = threading.Timer(self._kill_after_s, os.kill, (os.getpid(), signal.SIGKILL))
            kill.daemon = True
            kill.start()
        draw = self._draw
        chance = draw.random()
        if chance < 0.02:
            raise InvocationError(
                "TooManyRequestsException", "slow down", Fate.THROTTLED, reason="Concurrent"
            )
        if chance < 0.03:
            raise InvocationError("RequestTooLarge", "too large", Fate.TOO_LARGE)
        lost = chance < 0.05
        if lost and draw.random() < 0.5:
            raise InvocationError("ConnectionClosed", "connection lost", Fate.UNKNOWN)
        await anyio.sleep(draw.uniform(0.0, 0.004))
        good, error = len(sequences), False
        poisoned = [place for place, one in enumerate(sequences) if one % POISON == 0]
        if poisoned:
            good, error = (0, True) if draw.random() < 0.5 else (poisoned[0], False)
        elif chance > 0.93:
            error = True
            good = 0
        elif chance > 0.86:
            good = draw.randrange(len(sequences))
        os.write(self._file, json.dumps([sequences, good]).encode() + b"\n")
        await anyio.sleep(draw.uniform(0.0, 0.004))
        if lost:
            raise InvocationError("ConnectionClosed", "connection lost", Fate.UNKNOWN)
        if error:
            return function_error()
        return failures_answer(f"{sequences[good]:021d}") if good < len(sequences) else Answer()


def attempt(folder: Path, source: FakeSource, seed: int, *, last: bool) -> None:
    """One attempt, which is killed unless it is the last."""
    draw = Random(seed)
    if not last and draw.random() < 0.7:
        point = draw.choice([*failpoints.DELIVERY_POINTS])
        rare = point == "failures-written"
        failpoints.reached = failpoints.arm(f"{point}:{draw.randint(1, 2 if rare else 40)}")
    path = folder / "a.refire"
    with locked(path):
        ledger = Ledger.open(path) if path.exists() else Ledger.create(path, make_spec(**RULES), Connection())
        target = FaultyFunction(
            folder / "calls", draw, kill_after_s=None if last else draw.uniform(0.01, 0.4)
        )
        done = anyio.run(lambda: deliver(ledger, source, target, concurrency=16, seed=seed))
        if done.status != "complete":
            raise SystemExit(f"{done.status}: {done.stop.error}")


def main() -> None:
    """See the module. Writes the number of attempts that were killed."""
    folder, records, kills, seed = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    shards, parents = make_shards(records)
    source = FakeSource(shards, parents=parents, page=50, filtered_per_page=1)
    killed = 0
    for number in range(kills + 1):
        child = os.fork()
        if not child:
            attempt(folder, source, seed * 1_000 + number, last=number == kills)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            killed += 1
        elif status or number < kills:
            raise SystemExit(f"attempt {number} ended by itself, status {status}")
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main()

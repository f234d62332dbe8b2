"""Deliveries by random rules to a function with random faults, stopped and continued: the promises hold every time."""

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random

import anyio
from hypothesis import given
from hypothesis import strategies as st

from refire_async.delivery.ledger import Ledger
from refire_async.delivery.record import EventRecord
from refire_async.delivery.target import Answer, Fate, InvocationError
from refire_async.model.stop import StopRequest
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
from tests.support.examples import examples
from tests.support.virtual_time import run_virtual


@dataclass
class Function:
    """Fails at random. Notes per key what it was given first, and which records it has taken."""

    draw: Random
    faults: float
    keys: dict[int, bytes]
    stop: StopRequest = field(default_factory=StopRequest)
    stop_after: int | None = None
    first: dict[bytes, list[int]] = field(default_factory=lambda: defaultdict(list))
    seen: set[int] = field(default_factory=set)
    taken: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    lost: set[int] = field(default_factory=set)
    running: set[int] = field(default_factory=set)

    async def invoke(self, sequences: list[int]) -> Answer:
        draw = self.draw
        if self.stop_after is not None:
            self.stop_after -= 1
            if self.stop_after <= 0:
                self.stop.request("interrupted")
        fault = draw.random() < self.faults
        kind = draw.randrange(7) if fault else -1
        await anyio.sleep(draw.choice([0.0, 0.1, 1.0]))
        if kind < 3 and fault:
            fate = (Fate.THROTTLED, Fate.WAIT, Fate.TOO_LARGE)[kind]
            if fate is not Fate.TOO_LARGE or len(sequences) > 1:
                raise InvocationError("Code", "refused", fate, retry_after_s=draw.choice([None, 2.0]))
        for one in sequences:
            if one not in self.seen:
                self.first[self.keys[one]].append(one)
        self.seen.update(sequences)
        if kind == 3:
            return function_error()
        if kind == 4:
            self.lost.update(sequences)
            raise InvocationError("Code", "lost", Fate.UNKNOWN)
        good = draw.randrange(len(sequences)) if kind == 5 else len(sequences)
        for one in sequences[:good]:
            self.taken[one] += 1
        return Answer() if good == len(sequences) else failures_answer(f"{sequences[good]:021d}")


@st.composite
def shard_trees(draw: st.DrawFn) -> tuple[dict[str, list[EventRecord]], dict[str, str]]:
    """Records of up to 8 keys in parents and children; a key of a parent goes on in one of its children."""
    count, keys = draw(st.integers(0, 60)), draw(st.integers(1, 8))
    split = draw(st.booleans())
    shards: dict[str, list[EventRecord]] = {"p": []}
    for sequence in range(count):
        key = draw(st.integers(0, keys - 1))
        child = split and sequence > count // 2
        shards.setdefault(f"c{key % 2}" if child else "p", []).append(record(sequence, f"k{key}"))
    return shards, {name: "p" for name in shards if name != "p"}


@examples(25, 2_000)
@given(
    tree=shard_trees(),
    rules=st.fixed_dictionaries(
        {
            "batch_size": st.integers(1, 12),
            "window_s": st.sampled_from([0.0, 2.0]),
            "parallelization": st.integers(1, 4),
            "retries": st.sampled_from([0, 2, None]),
            "bisect": st.booleans(),
            "partial_failures": st.just(True),
        }
    ),
    concurrency=st.integers(1, 6),
    faults=st.sampled_from([0.0, 0.2, 0.5]),
    page=st.integers(1, 20),
    stops=st.lists(st.integers(1, 8), max_size=3),
    seed=st.integers(0, 1 << 32),
)
def test_every_promise(*, tree, rules, concurrency, faults, page, stops, seed) -> None:  # type: ignore[no-untyped-def]
    shards, parents = tree
    everything = {one.sequence: one.key for found in shards.values() for one in found}
    ledger = Ledger.in_memory(make_spec(**rules), Connection())
    function = Function(Random(seed), faults, everything)

    async def attempt(stop_after: int | None):  # type: ignore[no-untyped-def]
        function.stop, function.stop_after = StopRequest(), stop_after
        source = FakeSource(shards, parents=parents, page=page, filtered_per_page=1)
        target = FakeTarget(function.invoke)
        before = ledger.load().counts.failed
        done = await deliver(ledger, source, target, concurrency=concurrency, stop=function.stop, seed=seed)
        if done.status == "complete":
            assert sum(source.drained.values()) == done.counts.failed - before
        return done

    for stop_after in [*stops, None]:
        done = run_virtual(attempt, stop_after)
        saved = ledger.load()
        assert saved.in_flight == []
        assert saved.counts.selected == saved.counts.delivered + saved.counts.failed
        if done.status == "complete":
            break
    counts = done.counts
    assert (done.status, saved.status) == ("complete", "complete")
    assert counts.selected == counts.delivered + counts.failed == len(everything)
    assert counts.filtered == sum(-(-len(found) // page) for found in shards.values())
    assert all(found == sorted(found) for found in function.first.values())
    assert len(everything) - len(function.taken) <= counts.failed
    assert all(times == 1 for one, times in function.taken.items() if one not in function.lost)
    if rules["retries"] is None:
        assert counts.failed == 0
    if not faults:
        assert (counts.repeated, counts.retries, counts.failed, done.doubtful) == (0, 0, 0, [])
    named = {sequence for one in done.doubtful for sequence in range(one.flight.first, one.flight.last + 1)}
    assert function.lost <= named

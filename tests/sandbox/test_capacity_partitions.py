"""Partitions: how many there are, when they split, whom it helps."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.capacity.model import TableCapacity
from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.capacity.specs import HASHES, OnDemand, Provisioned, ResourceSpec
from refire_async.sandbox.clock import VirtualClock
from tests.sandbox.capacity_support import ARN, hammer, make, one_of, writes

GB = 1024**3
HOT = 0x1234_5678_9ABC_DEF0
SOON = CapacitySettings(burst_seconds=0, split_after=5)


def check_cover(table: TableCapacity, index: str | None = None) -> None:
    """The open partitions lie side by side and cover all hashes."""
    partitions = table.partitions(index)
    assert partitions[0].low == 0
    assert partitions[-1].high == HASHES
    assert all(left.high == right.low for left, right in pairwise(partitions))
    assert len({partition.id for partition in partitions}) == len(partitions)
    for partition in partitions:
        assert table.partition_id(partition.low, index) == partition.id
        assert table.partition_id(partition.high - 1, index) == partition.id


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        (ResourceSpec(Provisioned(1, 1)), 1),
        (ResourceSpec(Provisioned(3000, 1000)), 1),
        (ResourceSpec(Provisioned(3001, 1000)), 2),
        (ResourceSpec(Provisioned(10, 10_000)), 10),
        (ResourceSpec(Provisioned(30_000, 10)), 10),
        (ResourceSpec(Provisioned(10, 10), size_bytes=25 * GB), 3),
        (ResourceSpec(Provisioned(10, 10_000), partitions=3), 3),
        (ResourceSpec(Provisioned(10, 10), warm_write=5000), 5),
        (ResourceSpec(OnDemand()), 4),
        (ResourceSpec(OnDemand(), warm_read=60_000), 20),
    ],
)
def test_partitions_at_first(spec: ResourceSpec, count: int) -> None:
    """From capacity, warm throughput and size, whichever needs most, unless the number is set."""
    table = TableCapacity(VirtualClock(), ARN, spec)
    check_cover(table)
    partitions = table.partitions()
    assert len(partitions) == count
    assert all(partition.parent is None for partition in partitions)
    widths = [partition.high - partition.low for partition in partitions]
    assert max(widths) - min(widths) <= 1


def test_split_helps_many_hot_keys() -> None:
    """50 hot keys of one partition share 1,000 units a second, and ever more as their partition splits."""
    table, clock = make(writes(10_000), settings=SOON)
    rng = random.Random(5)
    low, high = table.partitions()[3].low, table.partitions()[3].high
    keys = one_of(*(rng.randrange(low, high) for _ in range(50)))
    rates = [hammer(table, clock, 5, keys=keys, rate=4000)[0] / 5 for _ in range(8)]
    assert rates[0] == pytest.approx(1000, rel=0.02)
    assert rates[2] > 1800
    assert rates[7] > 3500
    check_cover(table)


def test_split_does_not_help_one_hot_key() -> None:
    """A single hot key stays at 1,000 units a second for two minutes, and its partition is never split."""
    table, clock = make(writes(10_000), settings=SOON)
    hammer(table, clock, 1, keys=one_of(HOT), rate=1500)
    admitted, _ = hammer(table, clock, 120, keys=one_of(HOT), rate=1500, step=0.1)
    assert admitted == pytest.approx(120_000, rel=0.02)
    assert table.splits == []


def test_split_does_not_help_one_hot_key_among_few_others() -> None:
    """With 19 of 20 requests on one key a split would change nothing, so there is none."""
    table, clock = make(writes(10_000), settings=SOON)
    hammer(table, clock, 60, keys=one_of(*[HOT] * 95, *range(HOT - 3, HOT + 2)), rate=1500, step=0.1)
    assert table.splits == []


def test_split_comes_between_two_hot_keys() -> None:
    """Two hot keys side by side are parted by one split, wherever they lie, and get 2,000 units a second."""
    table, clock = make(writes(10_000), settings=SOON)
    keys = one_of(HOT, HOT + 1)
    began = clock.time()
    admitted, _ = hammer(table, clock, 8, keys=keys, rate=3000)
    (split,) = table.splits
    assert split.boundary == HOT + 1
    alone = split.at - began
    assert admitted == pytest.approx(
        1000 * alone + 2000 * (8 - alone), rel=0.02
    )  # a split grants nothing at once
    admitted, _ = hammer(table, clock, 10, keys=keys, rate=3000)
    assert admitted == pytest.approx(20_000, rel=0.02)
    assert len(table.splits) == 1


def test_neighbours_of_a_hot_key_are_freed() -> None:
    """Keys that share a partition with a hot one get their own throughput after the split."""
    table, clock = make(writes(10_000), settings=SOON)
    rng = random.Random(5)
    low, high = table.partitions()[2].low, table.partitions()[2].high
    others = [rng.randrange(low, high) for _ in range(20)]
    hot = (low + high) // 2
    keys = one_of(*others, *[hot] * 60)
    before, _ = hammer(table, clock, 4, keys=keys, rate=2000)
    hammer(table, clock, 30, keys=keys, rate=2000)
    after, _ = hammer(table, clock, 4, keys=keys, rate=2000)
    assert before == pytest.approx(4000, rel=0.02)
    assert after > 5500  # 1,000 for the hot key, 500 for the others: all that they ask for
    check_cover(table)


@pytest.mark.parametrize("split_after", [5, 60, pytest.param(600, marks=pytest.mark.soak)])
def test_split_waits_for_sustained_heat(split_after: float) -> None:
    """Not a second before ``split_after`` seconds of throttling, and soon afterwards."""
    settings = CapacitySettings(burst_seconds=0, split_after=split_after)
    table, clock = make(writes(10_000), settings=settings)
    keys = one_of(HOT, HOT + 99)
    hammer(table, clock, split_after - 1, keys=keys, rate=2000, step=0.1)
    assert table.splits == []
    hammer(table, clock, 3, keys=keys, rate=2000, step=0.1)
    assert [split.cause for split in table.splits] == ["heat"]
    assert table.splits[0].at == pytest.approx(clock.time(), abs=3)


def test_never_split_for_heat() -> None:
    """With ``split_after`` None an hour of heat changes nothing."""
    settings = CapacitySettings(burst_seconds=0, split_after=None)
    table, clock = make(writes(2000), settings=settings)
    for _ in range(3600):
        clock.advance(1)
        table.charge_write(HOT, 900)
        table.charge_write(HOT + 1, 900)
    assert table.splits == []


def test_near_cap_counts_as_heat() -> None:
    """950 units a second are enough to split without any throttling, 850 are not."""
    for rate, splits in ((950, 1), (850, 0)):
        table, clock = make(writes(10_000), settings=SOON)
        _, refused = hammer(table, clock, 8, keys=one_of(HOT, HOT + 99), rate=rate, step=0.1)
        assert refused == {}
        assert len(table.splits) == splits


def test_heat_of_reads_splits() -> None:
    """2,900 read units a second on a partition are heat too."""
    table, clock = make(Provisioned(30_000, 1), settings=SOON)
    for _ in range(80):
        clock.advance(0.1)
        for key in (HOT, HOT + 99):
            assert table.check_read(None, key) is None
            table.charge_read(None, key, 145)
    assert len(table.splits) == 1


def test_throttling_alone_is_heat() -> None:
    """Where large requests come in lumps, seconds far below the limit are hot too if any was refused."""
    settings = CapacitySettings(burst_seconds=0, split_after=20)
    table, clock = make(Provisioned(30_000, 10_000), partitions=10, settings=settings)
    for _ in range(300):
        clock.advance(0.1)
        for key in (HOT, HOT + 99):
            table.admit_write(key, 400)  # 2 or 3 a second
    assert len(table.splits) == 1
    table, clock = make(Provisioned(30_000, 10_000), partitions=10, settings=settings)
    for _ in range(300):
        clock.advance(0.1)
        for key in (HOT, HOT + 99):
            if table.check_read(None, key) is None:
                table.charge_read(None, key, 2000)  # 1 or 2 a second
    assert len(table.splits) == 1


def test_short_heat_is_forgotten() -> None:
    """Three hot seconds in every ten are not sustained heat, whether the others are calm or idle."""
    for calm_rate in (0, 100):
        table, clock = make(writes(10_000), settings=SOON)
        keys = one_of(HOT, HOT + 99)
        for _ in range(20):
            hammer(table, clock, 3, keys=keys, rate=2000, step=0.1)
            hammer(table, clock, 7, keys=keys, rate=calm_rate, step=0.1)
        assert table.splits == []


def test_indexes_split_by_themselves() -> None:
    """Heat of an index splits the index and not the table, and the event says so."""
    table, clock = make(writes(10_000), indexes={"i": ResourceSpec(writes(10_000))}, settings=SOON)
    keys = one_of(HOT, HOT + 99)
    rng = random.Random(1)
    hammer(
        table,
        clock,
        8,
        keys=lambda: rng.getrandbits(64),
        rate=2000,
        index_arms=lambda _: (("i", keys(), 1),),
        step=0.1,
    )
    assert {split.index for split in table.splits} == {"i"}
    check_cover(table, "i")


def test_split_when_full() -> None:
    """A partition that grows over 10 GB is split in the middle; both halves count on."""
    table, _ = make(writes(10))
    for _ in range(10):
        table.grow(None, HOT, GB)
    assert table.splits == []
    table.grow(None, HOT, 1)
    assert [(split.cause, split.boundary) for split in table.splits] == [("size", HASHES // 2)]
    table.grow(None, HOT, -GB)
    table.grow(None, HOT, 5 * GB)
    assert len(table.splits) == 1
    table.grow(None, HOT, 2 * GB)
    assert len(table.splits) == 2
    check_cover(table)


def test_more_capacity_than_ever_adds_partitions() -> None:
    """Raising capacity splits until each partition can serve its share; lowering it merges nothing."""
    table, _ = make(writes(2000))
    table.resize(None, writes(5000))
    partitions = table.partitions()
    assert len(partitions) == 8  # halves of halves: an eighth of 5,000 is below 1,000, a quarter is not
    assert {split.cause for split in table.splits} == {"capacity"}
    for rate in (10, 5000):
        table.resize(None, writes(rate))
        assert table.partitions() == partitions


def test_a_number_of_partitions_that_was_set_stays() -> None:
    """One partition asked for on a table of 5,000 WCU stays one until capacity is higher than ever."""
    table, _ = make(writes(5000), partitions=1)
    table.resize(None, writes(4000))
    table.resize(None, writes(5000))
    assert len(table.partitions()) == 1
    table.resize(None, writes(5001))
    assert len(table.partitions()) == 8


def test_prewarming_adds_partitions_and_stays() -> None:
    """WarmThroughput raises what is served at once, and never goes down."""
    table, _ = make(Provisioned(100, 100))
    table.prewarm(None, read=100, write=4000)
    assert len(table.partitions()) == 4
    table.prewarm(None, read=50, write=50)
    assert table.warm_throughput() == (100, 4000)


@given(
    st.lists(
        st.tuples(
            st.integers(0, HASHES - 1), st.integers(500, 3000), st.sampled_from(["heat", "size", "resize"])
        ),
        max_size=25,
    )
)
def test_partitions_always_cover_all_hashes(events: list) -> None:
    """Whatever splits come, ranges stay side by side and every child lies within its parent."""
    settings = CapacitySettings(burst_seconds=0, split_after=2)
    table, clock = make(writes(4000), settings=settings)
    ranges = {partition.id: (partition.low, partition.high) for partition in table.partitions()}
    for hash64, units, event in events:
        if event == "heat":
            for _ in range(4):
                clock.advance(1)
                table.charge_write(hash64, units)
                table.charge_write(hash64 ^ 0xFF, units)
        elif event == "size":
            table.grow(None, hash64, 11 * GB)
        else:
            table.resize(None, writes(units * 4))
        check_cover(table)
    for split in table.splits:
        low, high = ranges.pop(split.parent)
        assert low < split.boundary < high
        ranges[split.children[0]] = (low, split.boundary)
        ranges[split.children[1]] = (split.boundary, high)
    assert ranges == {partition.id: (partition.low, partition.high) for partition in table.partitions()}

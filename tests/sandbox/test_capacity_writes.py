"""Writes: what a table, its partitions and its indexes admit, and which of them a refusal names."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.capacity.model import TableCapacity
from refire_async.sandbox.capacity.reasons import Reason
from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.capacity.specs import HASHES, ResourceSpec
from refire_async.sandbox.clock import VirtualClock
from tests.sandbox.capacity_support import ARN, NO_BURST, hammer, make, one_of, uniform, writes

HOT = 0x1234_5678_9ABC_DEF0


def test_500_units_without_burst() -> None:
    """Hammered for 30 s, a table of 500 WCU accepts within 2% of 500 each second, and names itself."""
    table, clock = make(writes(500))
    keys = uniform()
    for _ in range(30):
        admitted, refused = hammer(table, clock, 1, keys=keys, rate=2000)
        assert admitted == pytest.approx(500, rel=0.02)
        assert set(refused) == {Reason.TABLE_WRITE_PROVISIONED}


def test_one_hot_key() -> None:
    """One hash key of a table of 10,000 WCU gets within 2% of 1,000, and the partition is to blame."""
    table, clock = make(writes(10_000))
    admitted, refused = hammer(table, clock, 30, keys=one_of(HOT), rate=3000)
    assert admitted == pytest.approx(30_000, rel=0.02)
    assert set(refused) == {Reason.TABLE_WRITE_KEY_RANGE}


def test_uniform_keys_get_the_whole_table() -> None:
    """The same table serves 10,000 units a second if the keys are spread, as adaptive capacity lends them around."""
    table, clock = make(writes(10_000), partitions=20)
    admitted, refused = hammer(table, clock, 10, keys=uniform(), rate=12_000, step=0.05)
    assert admitted == pytest.approx(100_000, rel=0.02)
    assert set(refused) == {Reason.TABLE_WRITE_PROVISIONED}


def test_adaptive_capacity_lends_to_a_busy_partition() -> None:
    """One partition of ten may use all 800 units of its table, not only a tenth of them."""
    table, clock = make(writes(800), partitions=10)
    admitted, refused = hammer(table, clock, 10, keys=one_of(HOT), rate=2000)
    assert admitted == pytest.approx(8000, rel=0.02)
    assert set(refused) == {Reason.TABLE_WRITE_PROVISIONED}


def test_refused_by_a_partition_costs_the_table_nothing() -> None:
    """While a hot key is refused thousands of times, the other half of the keys gets all that is left."""
    table, clock = make(writes(2000), partitions=2)
    clock.advance(1)
    served = 0
    for _ in range(1000):
        clock.advance(0.01)
        for _ in range(50):
            table.admit_write(HOT, 1)
        served += sum(table.admit_write(HASHES - 1, 1) is None for _ in range(9))
    assert served == 9000


def test_burst_is_300_s_of_unused_capacity() -> None:
    """A table of 10 WCU with burst takes 3,000 units at once within its partition's limit, then 10 a second."""
    table, clock = make(writes(10), settings=CapacitySettings(split_after=None))
    at_once, refused = hammer(table, clock, 10, keys=uniform(), rate=900)
    assert at_once == pytest.approx(3000 + 10 * 10, rel=0.01)
    assert set(refused) == {Reason.TABLE_WRITE_PROVISIONED}
    afterwards, _ = hammer(table, clock, 10, keys=uniform(), rate=900)
    assert afterwards == pytest.approx(100, abs=1)


def test_burst_does_not_beat_the_partition() -> None:
    """With 300 s of burst in hand a single partition still serves no more than 1,000 a second."""
    table, clock = make(writes(500), settings=CapacitySettings(split_after=None))
    hammer(table, clock, 1, keys=uniform(), rate=3000)
    admitted, refused = hammer(table, clock, 30, keys=uniform(), rate=3000)
    assert admitted == pytest.approx(30_000, rel=0.01)
    assert set(refused) == {Reason.TABLE_WRITE_KEY_RANGE}


def test_burst_comes_back_over_hours() -> None:
    """Hours pass at once: after five idle minutes the burst is full again, after ten no fuller."""
    table, clock = make(writes(10), settings=CapacitySettings(split_after=None))
    for idle in (300, 600, 7200):
        hammer(table, clock, 10, keys=uniform(), rate=900)
        clock.advance(idle)
        admitted, _ = hammer(table, clock, 10, keys=uniform(), rate=900)
        assert admitted == pytest.approx(3000 + 100, rel=0.01)


def test_index_pushes_back() -> None:
    """A GSI of 100 WCU holds the writes of a table of 1,000 WCU at 100 a second, and is the one that is named."""
    table, clock = make(writes(1000), indexes={"by-day": ResourceSpec(writes(100))})
    admitted, refused = hammer(
        table, clock, 30, keys=uniform(), rate=800, index_arms=lambda hash64: (("by-day", hash64, 1),)
    )
    assert admitted == pytest.approx(3000, rel=0.02)
    assert set(refused) == {Reason.INDEX_WRITE_PROVISIONED}
    throttle = _refusal(table, 1, index_units=1)
    assert throttle.index == "by-day"
    assert throttle.resource == f"{ARN}/index/by-day"


def test_untouched_index_does_not_push_back() -> None:
    """Writes that leave the index alone run at the table's own rate."""
    table, clock = make(writes(1000), indexes={"by-day": ResourceSpec(writes(1))})
    admitted, _ = hammer(table, clock, 5, keys=uniform(), rate=900)
    assert admitted == pytest.approx(4500, rel=0.01)


def test_hot_key_of_an_index() -> None:
    """Uniform base keys that share one index key get that index partition's 1,000 a second."""
    table, clock = make(writes(10_000), indexes={"by-day": ResourceSpec(writes(10_000))})
    admitted, refused = hammer(
        table, clock, 10, keys=uniform(), rate=5000, index_arms=lambda _: (("by-day", HOT, 1),)
    )
    assert admitted == pytest.approx(10_000, rel=0.02)
    assert set(refused) == {Reason.INDEX_WRITE_KEY_RANGE}


def test_failed_admission_leaves_the_table_untouched() -> None:
    """What an index refuses is not taken from the table: the table can spend all of it elsewhere."""
    table, clock = make(writes(100), indexes={"i": ResourceSpec(writes(1))})
    clock.advance(5)
    for key in range(1000):
        table.admit_write(key, 1, (("i", key, 2), ("i", key + 1, 2)))
    assert sum(table.admit_write(key, 1) is None for key in range(200)) == 100


def test_moved_entry_is_two_arms_of_one_index() -> None:
    """Both halves of a moved index entry must fit together, else neither is charged."""
    table, clock = make(writes(100), indexes={"i": ResourceSpec(writes(10))})
    clock.advance(1)
    assert table.admit_write(1, 1, (("i", 5, 6), ("i", HOT, 6))) is not None
    assert table.admit_write(1, 1, (("i", 5, 5), ("i", HOT, 5))) is None
    assert table.admit_write(1, 1, (("i", 5, 1),)) is not None


def test_charge_write_is_never_refused() -> None:
    """A charge that cannot be refused is owed, by the table and the index."""
    table, clock = make(writes(10), indexes={"i": ResourceSpec(writes(10))})
    table.charge_write(1, 20, (("i", 1, 40),))
    clock.advance(2.5)
    assert table.admit_write(1, 5) is None
    assert table.admit_write(1, 1, (("i", 1, 1),)) is not None
    clock.advance(2)
    assert table.admit_write(1, 1, (("i", 1, 1),)) is None


def test_resize_follows_at_once() -> None:
    """Capacity halved and restored is enforced from the next write on."""
    table, clock = make(writes(1000))
    hammer(table, clock, 2, keys=uniform(), rate=3000)
    for rate in (500, 1000, 250):
        table.resize(None, writes(rate))
        admitted, _ = hammer(table, clock, 10, keys=uniform(), rate=3000)
        assert admitted == pytest.approx(rate * 10, rel=0.02)


def test_indexes_come_and_go() -> None:
    """An index is charged while it is there; names are unique; an unknown one is a KeyError."""
    table, clock = make(writes(100))
    clock.advance(1)
    table.add_index("i", ResourceSpec(writes(1)))
    with pytest.raises(ValueError, match="exists already"):
        table.add_index("i", ResourceSpec(writes(1)))
    assert _refusal(table, 1, index="i", index_units=1).reason is Reason.INDEX_WRITE_PROVISIONED
    table.drop_index("i")
    with pytest.raises(KeyError):
        table.drop_index("i")
    assert len(table.stats()) == 1


class Oracle:
    """The same admission worked out naively in fractions: all buckets of a write, checked and then charged."""

    def __init__(self, table_rate: int, index_rate: int, partitions: int) -> None:
        self.partitions = partitions
        self.rates = {"table": table_rate, "index": index_rate}
        self.balances = {"table": Fraction(0), "index": Fraction(0)}
        for at in range(partitions):
            self.balances["table", at] = Fraction(0)
        self.balances["index", 0] = Fraction(0)

    def rate(self, name) -> int:
        return self.rates.get(name, 1000)

    def advance(self, seconds: Fraction) -> None:
        for name, balance in self.balances.items():
            self.balances[name] = min(Fraction(self.rate(name)), balance + seconds * self.rate(name))

    def admit(self, hash64: int, units: int, index_units: list[int]) -> bool:
        steps = [("table", units), (("table", hash64 * self.partitions // HASHES), units)]
        steps += [step for units in index_units for step in (("index", units), (("index", 0), units))]
        after = dict(self.balances)
        for name, amount in steps:
            if after[name] < min(amount, self.rate(name)):
                return False
            after[name] -= amount
        self.balances = after
        return True


sixteenths = st.integers(0, 40).map(lambda n: Fraction(n, 16))  # exact as floats, so that both models agree
traffic = st.lists(
    st.tuples(
        sixteenths,
        st.integers(0, HASHES - 1),
        st.integers(1, 400),
        st.lists(st.integers(1, 200), max_size=2),
    ),
    max_size=80,
)


@given(st.integers(1, 4000), st.integers(1, 500), st.integers(1, 4), traffic)
def test_admission_agrees_with_a_naive_model(
    table_rate: int, index_rate: int, partitions: int, attempts: list
) -> None:
    """Any sequence of waits and writes is decided as by exact arithmetic, all or nothing over every resource."""
    clock = VirtualClock()
    table = TableCapacity(
        clock,
        ARN,
        ResourceSpec(writes(table_rate), partitions=partitions),
        indexes={"i": ResourceSpec(writes(index_rate), partitions=1)},
        settings=NO_BURST,
    )
    oracle = Oracle(table_rate, index_rate, partitions)
    for wait, hash64, units, index_units in attempts:
        clock.advance(float(wait))
        oracle.advance(wait)
        entries = tuple(("i", hash64, amount) for amount in index_units)
        assert (table.admit_write(hash64, units, entries) is None) == oracle.admit(hash64, units, index_units)


@given(st.floats(1, 5000), st.floats(0, 30), st.integers(1, 5), traffic)
def test_never_more_than_rate_and_burst(rate: float, burst: float, partitions: int, attempts: list) -> None:
    """Admitted units of a table never exceed rate * t + burst, nor those of a partition 1,000 * t + 1,000."""
    settings = CapacitySettings(burst_seconds=burst, split_after=None)
    table, clock = make(writes(rate), partitions=partitions, settings=settings)
    total = 0
    per_partition = dict.fromkeys(range(partitions), 0)
    largest = 400
    for wait, hash64, units, _ in attempts:
        clock.advance(float(wait))
        if table.admit_write(hash64, units) is None:
            total += units
            per_partition[table.partition_id(hash64)] += units
    elapsed = clock.monotonic()
    depth = rate * max(1.0, burst)
    assert total <= rate * elapsed + max(depth, largest) + 1e-6
    assert all(units <= 1000 * elapsed + 1000 + 1e-6 for units in per_partition.values())


def _refusal(table: TableCapacity, hash64: int, *, index: str = "by-day", index_units: float):
    throttle = table.admit_write(hash64, 1, ((index, hash64, index_units),))
    assert throttle is not None
    return throttle

"""On-demand tables: what they serve at once, how they grow, their maxima and quotas, switching modes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.capacity.peaks import PeakTracker
from refire_async.sandbox.capacity.reasons import Reason
from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.capacity.specs import OnDemand, ResourceSpec
from tests.sandbox.capacity_support import hammer, make, uniform, writes

CALM = CapacitySettings(split_after=None)


def test_new_table_serves_4000_writes_and_12000_reads() -> None:
    """A new table accepts 4,000 writes a second of uniform keys, and 12,000 reads."""
    table, clock = make(OnDemand())
    keys = uniform()
    admitted, refused = hammer(table, clock, 10, keys=keys, rate=6000, step=0.05)
    assert admitted == pytest.approx(40_000, rel=0.02)
    assert set(refused) == {Reason.TABLE_WRITE_KEY_RANGE}
    table, clock = make(OnDemand())
    read = 0
    for _ in range(10 * 200):
        clock.advance(0.005)
        for _ in range(100):
            key = keys()
            if table.check_read(None, key) is None:
                table.charge_read(None, key, 1)
                read += 1
    assert read == pytest.approx(120_000, rel=0.02)
    assert table.warm_throughput() == (12_000, 4_000)


def test_serves_twice_the_previous_peak_after_half_an_hour() -> None:
    """Full traffic doubles what is served, but not within 30 minutes; then 4,000, 8,000, 16,000 are served."""
    table, clock = make(OnDemand(), settings=CALM)
    keys = uniform()
    for served in (4_000, 8_000, 16_000):
        assert table.warm_throughput()[1] == pytest.approx(served, rel=0.01)
        admitted, _ = hammer(table, clock, 130, keys=keys, rate=served * 0.15, units=10, step=0.1)
        assert admitted == pytest.approx(served * 130, rel=0.03)
        clock.advance(1500)
        hammer(table, clock, 1, keys=keys, rate=10)
        assert table.warm_throughput()[1] == pytest.approx(served, rel=0.01)
        clock.advance(400)
        table.tick()
    assert table.warm_throughput()[1] == pytest.approx(32_000, rel=0.01)
    assert len(table.partitions()) == 32


def test_low_traffic_does_not_grow() -> None:
    """A day at 1,000 writes a second leaves a new table at 4,000."""
    table, clock = make(OnDemand(), settings=CALM)
    keys = uniform()
    for _ in range(24 * 60):
        clock.advance(60)
        for _ in range(60):
            table.charge_write(keys(), 1000)
    assert table.warm_throughput() == (12_000, 4_000)


def test_warm_throughput_is_served_at_once() -> None:
    """A table that was pre-warmed to 10,000 writes serves them from its first second on."""
    table, clock = make(OnDemand())
    table.prewarm(None, read=12_000, write=10_000)
    admitted, _ = hammer(table, clock, 10, keys=uniform(), rate=9500, step=0.05)
    assert admitted == pytest.approx(95_000, rel=0.02)


def test_maximum_throughput_is_its_own_reason() -> None:
    """MaxWriteRequestUnits holds the table at 500, said with ThrottlingException; taking it away frees it."""
    table, clock = make(OnDemand(max_write=500, max_read=100))
    admitted, refused = hammer(table, clock, 10, keys=uniform(), rate=1000)
    assert admitted == pytest.approx(5000, rel=0.02)
    assert set(refused) == {Reason.TABLE_WRITE_MAXIMUM}
    table.charge_read(None, 1, 1000)
    throttle = table.check_read(None, 1)
    assert throttle is not None
    assert throttle.reason is Reason.TABLE_READ_MAXIMUM
    assert throttle.error == "ThrottlingException"
    table.resize(None, OnDemand())
    admitted, _ = hammer(table, clock, 10, keys=uniform(), rate=1000)
    assert admitted == pytest.approx(10_000, rel=0.02)


def test_account_quota_is_its_own_reason() -> None:
    """A warm table stops at the Region's quota for one table, and says so, as does each index by itself."""
    settings = CapacitySettings(burst_seconds=0, split_after=None, quota_write_units=2000)
    table, clock = make(OnDemand(), indexes={"i": ResourceSpec(OnDemand())}, settings=settings)
    admitted, refused = hammer(table, clock, 10, keys=uniform(), rate=3000, step=0.05)
    assert admitted == pytest.approx(20_000, rel=0.02)
    assert set(refused) == {Reason.TABLE_WRITE_ACCOUNT}
    _, refused = hammer(
        table, clock, 10, keys=uniform(), rate=1500, step=0.05, index_arms=lambda key: (("i", key, 2),)
    )
    assert set(refused) == {Reason.INDEX_WRITE_ACCOUNT}


def test_switching_keeps_the_highest_provisioning() -> None:
    """A table that was once provisioned at 9,000 serves 9,000 in on-demand mode, and its partitions stay."""
    table, clock = make(writes(9000))
    table.resize(None, writes(100))
    partitions = table.partitions()
    table.resize(None, OnDemand())
    assert table.warm_throughput() == (12_000, 9_000)
    assert table.partitions() == partitions
    admitted, _ = hammer(table, clock, 5, keys=uniform(), rate=8500, step=0.05)
    assert admitted == pytest.approx(42_500, rel=0.02)
    table.resize(None, writes(100))
    admitted, refused = hammer(table, clock, 20, keys=uniform(), rate=500)
    assert admitted == pytest.approx(2000, rel=0.06)
    assert set(refused) == {Reason.TABLE_WRITE_PROVISIONED}


@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(0, 5000), st.integers(1, 700)), max_size=50),
    st.sampled_from([1, 10, 60]),
    st.integers(1, 600),
)
def test_peak_agrees_with_a_naive_model(traffic: list, window: int, delay: int) -> None:
    """The peak that counts is the highest average of a finished window that ended ``delay`` seconds ago."""
    tracker = PeakTracker(window=window, delay=delay)
    windows: list[list[float]] = []  # [end, units]
    second = 0
    for gap, units, later in traffic:
        second += gap
        tracker.add(second, units)
        if not windows or second >= windows[-1][0]:
            windows.append([second + window, 0])
        windows[-1][1] += units
        second += later
        now = second
        expected = max((total / window for end, total in windows if end + delay <= now), default=0)
        assert tracker.peak(now) == pytest.approx(expected)

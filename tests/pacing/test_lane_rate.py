"""The rate of a lane whose key range is throttled, against a model of a partition with a fixed capacity."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.capacity import PARTITION_WCU
from refire_async.pacing.lane_rate import (
    MIN_LIMIT,
    SHARE_AHEAD_S,
    UNLIMITED_AFTER_S,
    LaneRate,
    lane_share,
)

BATCH = 25.0


def drive(lane: LaneRate, capacity: float, seconds: float, start: float = 0.0) -> tuple[float, float]:
    """Write batches of 1-unit items, as fast as the lane allows, to a partition of `capacity` units per second.

    Returns the units that the partition processed and those that it throttled.
    """
    processed = throttled = 0.0
    tokens, now, end = capacity * 0.1, start, start + seconds
    while now < end:
        if lane.next_at <= now:
            lane.spend(BATCH, now)
            part = min(float(int(tokens)), BATCH)
            tokens -= part
            processed += part
            throttled += BATCH - part
            lane.processed(part, now)
            if part < BATCH:
                lane.throttled(now)
        now += 0.002
        tokens = min(tokens + capacity * 0.002, capacity)
    return processed, throttled


@given(st.floats(100.0, 1000.0))
def test_a_throttled_lane_uses_its_partition_with_few_throttled_writes(capacity: float) -> None:
    """From the start of the throttling on, the lane uses most of the capacity and little is throttled."""
    lane = LaneRate()
    drive(lane, capacity, 6.0)
    processed, throttled = drive(lane, capacity, 20.0, start=6.0)
    assert processed >= 0.88 * capacity * 20.0
    assert throttled <= 0.08 * (processed + throttled)


def test_a_lane_that_is_never_throttled_has_no_limit() -> None:
    lane = LaneRate()
    drive(lane, 1e9, 1.0)
    assert lane.limit is None
    assert lane.next_at < 1.0


@given(st.floats(1_000.0, 20_000.0), st.integers(1, 80))
def test_a_lane_without_throttling_stays_within_its_share(write_rate: float, lanes: int) -> None:
    """At most half a second of its share at once and 10% more on average; all lanes together have the budget.

    This loop can spend 25,000 units per second, more than any share.
    """
    share = lane_share(write_rate, lanes)
    assert share >= PARTITION_WCU
    assert share * lanes >= write_rate
    lane, now, spent = LaneRate(), 100.0, 0.0
    while now < 104.0:
        if lane.next_at <= now:
            lane.spend(BATCH, now, share)
            lane.processed(BATCH, now)
            spent += BATCH
        now += 0.001
        assert spent <= share * (now - 100.0 + SHARE_AHEAD_S) + BATCH
    assert spent >= min(share, BATCH / 0.001) * 4.0 * 0.99
    assert not lane.at_rest(now)
    assert lane.at_rest(now + 2 * SHARE_AHEAD_S)


def test_the_limit_ends_after_its_cause() -> None:
    """When the partition has split or another writer has stopped, the limit grows and then ends."""
    lane = LaneRate()
    drive(lane, 500.0, 5.0)
    assert lane.limit is not None
    assert lane.limit == pytest.approx(500.0, rel=0.3)
    drive(lane, 1e9, UNLIMITED_AFTER_S + 1.0, start=5.0)
    assert lane.limit is None


def test_throttled_writes_in_flight_together_count_once() -> None:
    """Many writes that were in flight at once lower the limit once."""
    lane = LaneRate()
    drive(lane, 1e9, 1.0)
    for _ in range(50):
        lane.throttled(1.0)
    once = lane.limit
    lane.throttled(1.1)
    assert lane.limit == once


def test_the_limit_never_falls_below_the_minimum() -> None:
    lane = LaneRate()
    for second in range(100):
        lane.throttled(float(second))
    assert lane.limit == MIN_LIMIT


def test_a_lifted_limit_leaves_no_trace() -> None:
    """The key range was not the cause of the throttling."""
    lane = LaneRate()
    lane.throttled(5.0)
    assert lane.just_throttled(5.5)
    lane.lift_limit()
    assert lane.limit is None
    assert not lane.just_throttled(5.5)

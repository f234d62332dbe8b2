"""The pace of a lane whose key range is throttled, against a partition that takes so much and refuses the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.partitions import PARTITION_WCU
from refire_async.pacing.lane_rate import (
    FREE_AFTER_S,
    LEAST,
    SHARE_AHEAD_S,
    LaneRate,
    lane_share,
)

BATCH = 25.0


def drive(pace: LaneRate, capacity: float, seconds: float, start: float = 0.0) -> tuple[float, float]:
    """Write batches of 1-unit items, as fast as the pace allows, to a partition of `capacity` units per second.

    Returns units that it took and units that it refused.
    """
    taken = refused = 0.0
    tokens, now, end = capacity * 0.1, start, start + seconds
    while now < end:
        if pace.next_at <= now:
            pace.spend(BATCH, now)
            part = min(float(int(tokens)), BATCH)
            tokens -= part
            taken += part
            refused += BATCH - part
            pace.accepted(part, now)
            if part < BATCH:
                pace.refused(now)
        now += 0.002
        tokens = min(tokens + capacity * 0.002, capacity)
    return taken, refused


@given(st.floats(100.0, 1000.0))
def test_a_hot_partition_is_used_and_hardly_hammered(capacity: float) -> None:
    """Whatever it takes: most of that is used from the start of the throttling on, and little is refused."""
    pace = LaneRate()
    drive(pace, capacity, 6.0)
    taken, refused = drive(pace, capacity, 20.0, start=6.0)
    assert taken >= 0.88 * capacity * 20.0
    assert refused <= 0.08 * (taken + refused)


def test_a_lane_that_is_never_refused_has_no_limit() -> None:
    """The pace costs nothing where it is not needed."""
    pace = LaneRate()
    drive(pace, 1e9, 1.0)
    assert pace.limit is None
    assert pace.next_at < 1.0


@given(st.floats(1_000.0, 20_000.0), st.integers(1, 80))
def test_a_lane_that_nothing_refuses_keeps_to_its_share(write_rate: float, lanes: int) -> None:
    """At most half a second of it at once and a tenth more in the long run; all lanes together have the budget.

    No share is more than the 25,000 units a second that this loop can spend.
    """
    share = lane_share(write_rate, lanes)
    assert share >= PARTITION_WCU
    assert share * lanes >= write_rate
    pace, now, spent = LaneRate(), 100.0, 0.0
    while now < 104.0:
        if pace.next_at <= now:
            pace.spend(BATCH, now, share)
            pace.accepted(BATCH, now)
            spent += BATCH
        now += 0.001
        assert spent <= share * (now - 100.0 + SHARE_AHEAD_S) + BATCH
    assert spent >= min(share, BATCH / 0.001) * 4.0 * 0.99
    assert not pace.rested(now)
    assert pace.rested(now + 2 * SHARE_AHEAD_S)


def test_a_lane_is_free_again_when_the_cause_is_gone() -> None:
    """When the partition has split or the other writer is gone, the limit grows and then goes."""
    pace = LaneRate()
    drive(pace, 500.0, 5.0)
    assert pace.limit is not None
    assert pace.limit == pytest.approx(500.0, rel=0.3)
    drive(pace, 1e9, FREE_AFTER_S + 1.0, start=5.0)
    assert pace.limit is None


def test_refusals_that_come_together_are_one_message() -> None:
    """Many writes that were on their way at once do not cut the pace many times."""
    pace = LaneRate()
    drive(pace, 1e9, 1.0)
    for _ in range(50):
        pace.refused(1.0)
    once = pace.limit
    pace.refused(1.1)
    assert pace.limit == once


def test_a_lane_that_nothing_is_taken_from_goes_on_trying() -> None:
    """The limit never falls to nothing."""
    pace = LaneRate()
    for second in range(100):
        pace.refused(float(second))
    assert pace.limit == LEAST


def test_lifted() -> None:
    """When it was not the key range, nothing is left of the limit."""
    pace = LaneRate()
    pace.refused(5.0)
    assert pace.fresh(5.5)
    pace.lift()
    assert pace.limit is None
    assert not pace.fresh(5.5)

"""The remaining time if a hot key determines the end of the run: simulated runs, a tenth of the way in."""

import pytest

from refire_async.events import BatchWritten, PageRead, SegmentFinished, Throttled
from refire_async.output.hot_lanes import HOT_FOR_S, HotLanes

HOT_RATE, RATE, SEGMENTS = 1_000, 4_000, 64


def simulated(share: float, items: int, until_s: float, *, lanes_refused: int = 1) -> tuple[HotLanes, float]:
    """A run that writes `RATE` items/s, `HOT_RATE` of them in the lane that has `share` of all items."""
    hot = HotLanes()
    each = round(items * (1 - share) / (SEGMENTS - 1))
    lane, left, now = 1, each, 0.0
    while now < until_s:
        hot.page_read(PageRead(0, HOT_RATE, 1.0, 0.01))
        for refused in range(lanes_refused):
            hot.throttled(Throttled(refused, 1, "TableWriteKeyRangeThroughputExceeded", "", lane_only=True))
        hot.batch_written(BatchWritten(0, HOT_RATE, 1.0, 0.01))
        others = RATE - HOT_RATE
        while others and lane < SEGMENTS:
            part = min(others, left)
            hot.page_read(PageRead(lane, part, 1.0, 0.01))
            hot.batch_written(BatchWritten(lane, part, 1.0, 0.01))
            others, left = others - part, left - part
            if not left:
                hot.segment_finished(SegmentFinished(lane, lane, SEGMENTS))
                lane, left = lane + 1, each
        now += 1.0
        hot.remaining(now, items, SEGMENTS)
    return hot, now


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_the_hot_lane_determines_the_remaining_time(share: float):
    """Known as soon as some segments are done; the rate of all lanes would give a half or a third of it."""
    items = 400_000
    hot, now = simulated(share, items, 20.0)
    truth = (items * share - HOT_RATE * now) / HOT_RATE
    assert hot.remaining(now, items, SEGMENTS) == pytest.approx(truth, rel=0.15)


def test_no_lane_is_hot_if_all_are_throttled():
    """Then the table's capacity is scarce, and the rate of all lanes is the right one."""
    hot, now = simulated(0.3, 400_000, 20.0, lanes_refused=SEGMENTS // 2)
    assert hot.remaining(now, 400_000, SEGMENTS) is None


def test_a_lane_that_is_no_longer_throttled_is_not_hot():
    hot, now = simulated(0.5, 400_000, 20.0)
    assert hot.remaining(now + HOT_FOR_S + 1, 400_000, SEGMENTS) is None


def test_the_time_is_unknown_until_segments_are_done():
    hot = HotLanes()
    hot.throttled(Throttled(0, 1, "x", "", lane_only=True))
    hot.page_read(PageRead(0, 10, 1.0, 0.1))
    assert hot.remaining(1.0, 100, SEGMENTS) is None
    assert hot.any, "but that a lane is hot is known"


def test_lanes_that_are_done_are_forgotten():
    """For any number of segments, and if writes follow the end of their reading."""
    hot = HotLanes()
    for lane in range(10_000):
        hot.page_read(PageRead(lane, 10, 1.0, 0.1))
        hot.segment_finished(SegmentFinished(lane, lane, 10_000))
        hot.batch_written(BatchWritten(lane, 10, 1.0, 0.1))
    assert len(hot._read) + len(hot._written) == 0

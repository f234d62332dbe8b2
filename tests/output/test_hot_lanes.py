"""The remaining time where a hot key binds the end of the run: simulated runs, seen a tenth of the way in."""

import pytest

from refire_async.events import BatchWritten, PageRead, SegmentFinished, Throttled
from refire_async.output.hot_lanes import HOT_FOR_S, HotLanes

HOT_RATE, RATE, SEGMENTS = 1_000, 4_000, 64


def seen(share: float, items: int, until_s: float, *, lanes_refused: int = 1) -> tuple[HotLanes, float]:
    """A run that writes `RATE` items a second, `HOT_RATE` of them in the lane that holds `share` of all."""
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
def test_the_hot_lane_is_what_the_end_waits_for(share: float):
    """Known as soon as some segments are done; by the speed of all it would be a half or a third of that."""
    items = 400_000
    hot, now = seen(share, items, 20.0)
    truth = (items * share - HOT_RATE * now) / HOT_RATE
    assert hot.remaining(now, items, SEGMENTS) == pytest.approx(truth, rel=0.15)


def test_no_lane_is_hot_where_all_are_refused():
    """Then it is the table's capacity that is scarce, which the speed of all shows."""
    hot, now = seen(0.3, 400_000, 20.0, lanes_refused=SEGMENTS // 2)
    assert hot.remaining(now, 400_000, SEGMENTS) is None


def test_a_lane_that_is_not_refused_any_more_is_not_hot():
    hot, now = seen(0.5, 400_000, 20.0)
    assert hot.remaining(now + HOT_FOR_S + 1, 400_000, SEGMENTS) is None


def test_before_segments_are_done_nothing_is_known():
    hot = HotLanes()
    hot.throttled(Throttled(0, 1, "x", "", lane_only=True))
    hot.page_read(PageRead(0, 10, 1.0, 0.1))
    assert hot.remaining(1.0, 100, SEGMENTS) is None
    assert hot.any, "but that there is one is"


def test_lanes_that_are_done_are_forgotten():
    """However many segments a table has, and whatever is still written when they are read to their end."""
    hot = HotLanes()
    for lane in range(10_000):
        hot.page_read(PageRead(lane, 10, 1.0, 0.1))
        hot.segment_finished(SegmentFinished(lane, lane, 10_000))
        hot.batch_written(BatchWritten(lane, 10, 1.0, 0.1))
    assert len(hot._read) + len(hot._written) == 0

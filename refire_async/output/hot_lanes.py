"""Effect of hot hash keys on the remaining time: their segments continue at their own rate when all others are done.

The rate of the last minute is the sum over all lanes. A lane whose key range is throttled is slower than the others; if
it holds more than its share of the items, it determines when the run ends. The number of its items is unknown until it
is read to its end, but the segments of a scan are equal parts of the hash range: items that the other segments do not
hold are in the hot ones.
"""

from refire_async.events import BatchWritten, PageRead, SegmentFinished, Throttled
from refire_async.output.rolling import RateWindow

HOT_FOR_S = 30.0
"""Seconds for which a lane counts as hot after a request of it was throttled for its key range."""

ENOUGH_FINISHED = 3
"""Segments that must be read to their end before their mean size is used as an estimate of the others."""

FEW = 4
"""At most one lane in `FEW` can be hot: if more are throttled, the key ranges are not the cause."""

SPAN_S = 10.0


class HotLanes:
    """Counts items read and written per lane, as far as the remaining time of hot lanes needs them.

    Bounded: a lane that is not hot is dropped when its segment is read to its end.
    """

    def __init__(self) -> None:
        self._read: dict[int, int] = {}
        self._written: dict[int, int] = {}
        self._refused: set[int] = set()
        self._hot_until: dict[int, float] = {}
        self._finished = 0
        self._finished_items = 0
        self._lanes: frozenset[int] = frozenset()
        self._rate = RateWindow(SPAN_S)
        self._few = False

    def page_read(self, event: PageRead) -> None:
        """Count a page of a lane."""
        self._read[event.segment] = self._read.get(event.segment, 0) + event.items

    def batch_written(self, event: BatchWritten) -> None:
        """Count a batch of a lane."""
        lane = event.segment
        if lane in self._read or lane in self._hot_until or lane in self._refused:
            self._written[lane] = self._written.get(lane, 0) + event.items

    def throttled(self, event: Throttled) -> None:
        """Note a throttled request; only those for a key range's capacity count."""
        if event.lane_only:
            self._refused.add(event.segment)

    def segment_finished(self, event: SegmentFinished) -> None:
        """A segment is read to its end."""
        items = self._read.pop(event.segment, 0)
        if event.segment not in self._hot_until and event.segment not in self._refused:
            self._finished += 1
            self._finished_items += items
            self._written.pop(event.segment, None)

    @property
    def any(self) -> bool:
        """Whether at least one lane was hot, and not too many of them, at the last call of `remaining`."""
        return self._few

    def remaining(self, now: float, expected: int, segments: int) -> float | None:
        """Seconds until the hot lanes are done, of `expected` items in `segments`; None if unknown.

        Call it a few times a second, like `RateWindow.sample`.
        """
        self._hot_until |= dict.fromkeys(self._refused, now + HOT_FOR_S)
        self._refused.clear()
        for lane in [lane for lane, until in self._hot_until.items() if until <= now]:
            del self._hot_until[lane]
            if lane not in self._read:
                self._written.pop(lane, None)
        hot = frozenset(self._hot_until)
        if hot != self._lanes:
            self._lanes, self._rate = hot, RateWindow(SPAN_S)
        done = sum(self._written.get(lane, 0) for lane in hot)
        self._rate.sample(now, done)
        rate = self._rate.per_second
        self._few = 0 < len(hot) * FEW <= segments
        if not self._few or not rate or self._finished < ENOUGH_FINISHED:
            return None
        others = self._finished_items / self._finished * (segments - len(hot))
        return max(0.0, expected - others - done) / rate

"""What hot hash keys mean for the remaining time: their segments go on at their own pace when all others are done.

The speed of the last minute is that of all lanes together. A lane whose key range is throttled is slower than the rest
of the run; if it holds more than its part of the items, it is what the end of the run waits for. How many items it
holds is not known before it is read to its end, but segments of a scan are equal parts of the hash range: what is
not in the others is in the hot ones.
"""

from refire_async.events import BatchWritten, PageRead, SegmentFinished, Throttled
from refire_async.output.rolling import RateWindow

HOT_FOR_S = 30.0
"""A lane is hot for so long after it was refused for lack of its key range's capacity."""

ENOUGH_FINISHED = 3
"""Segments that must be read to their end before their size says how large the others are."""

FEW = 4
"""At most every so many-th lane can be hot: if more are refused, it is not their key ranges that are scarce."""

SPAN_S = 10.0


class HotLanes:
    """Adds up what is read and written per lane, as far as the remaining time of hot ones needs it.

    Bounded: lanes are forgotten when their segment is read to its end, but for hot ones.
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
        """A page of a lane."""
        self._read[event.segment] = self._read.get(event.segment, 0) + event.items

    def batch_written(self, event: BatchWritten) -> None:
        """A batch of a lane."""
        lane = event.segment
        if lane in self._read or lane in self._hot_until or lane in self._refused:
            self._written[lane] = self._written.get(lane, 0) + event.items

    def throttled(self, event: Throttled) -> None:
        """A refusal; only those for lack of a key range's capacity count."""
        if event.lane_only:
            self._refused.add(event.segment)

    def segment_finished(self, event: SegmentFinished) -> None:
        """A lane has read all that it has."""
        items = self._read.pop(event.segment, 0)
        if event.segment not in self._hot_until and event.segment not in self._refused:
            self._finished += 1
            self._finished_items += items
            self._written.pop(event.segment, None)

    @property
    def any(self) -> bool:
        """Whether few lanes are hot, as of the last call of `remaining`."""
        return self._few

    def remaining(self, now: float, expected: int, segments: int) -> float | None:
        """Seconds until the hot lanes are done, of `expected` items in `segments`; None if there are none.

        To be asked a few times a second, as `RateWindow` is.
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

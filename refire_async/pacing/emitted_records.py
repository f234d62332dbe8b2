"""The number of stream records that a run has emitted, over time. Pure."""

import math
from bisect import bisect_left, bisect_right

STEP_S = 1.0
"""Interval of the stored counts. Records between two counts are assumed to be evenly spread."""

MAX_COUNTS = 8_192
"""Largest number of stored counts (about 1 MB). Beyond it, every second count of the older half is dropped."""


class EmittedRecords:
    """Counts of emitted records by Unix time (s), beginning with 0 at `start`."""

    def __init__(self, start: float) -> None:
        self._times = [start]
        self._totals = [0.0]

    @property
    def start(self) -> float:
        """The time of the first count, which is 0."""
        return self._times[0]

    @property
    def total(self) -> float:
        """Records emitted so far."""
        return self._totals[-1]

    def add(self, records: float, now: float) -> None:
        """Count `records` emitted at `now`. If the clock was set back, the last time is used."""
        times, totals = self._times, self._totals
        now = max(now, times[-1])
        made = totals[-1] + records
        if now - times[-1] > 2 * STEP_S:
            # Without this point after an idle time, interpolation would spread the new records over it.
            times.append(now - STEP_S)
            totals.append(totals[-1])
        if len(times) > 1 and now - times[-2] < STEP_S:
            times[-1], totals[-1] = now, made
            return
        times.append(now)
        totals.append(made)
        if len(times) > MAX_COUNTS:
            half = MAX_COUNTS // 2
            times[1:half] = times[2:half:2]
            totals[1:half] = totals[2:half:2]

    def at(self, time: float) -> float:
        """Records emitted by `time`."""
        times, totals = self._times, self._totals
        after = bisect_right(times, time)
        if after == 0:
            return 0.0
        if after == len(times):
            return totals[-1]
        share = (time - times[after - 1]) / (times[after] - times[after - 1])
        return totals[after - 1] + share * (totals[after] - totals[after - 1])

    def when(self, count: float) -> float:
        """The earliest time by which `count` records were emitted; the last known time if there are fewer.

        Seconds since 1970 are kept to about 0.2 µs, in which a burst makes a noticeable number of records, so the
        interpolated time is moved up to the first representable time at which `at` reaches `count`.
        """
        times, totals = self._times, self._totals
        after = bisect_left(totals, count)
        if after == 0:
            return times[0]
        if after == len(totals):
            return times[-1]
        share = (count - totals[after - 1]) / (totals[after] - totals[after - 1])
        time = times[after - 1] + share * (times[after] - times[after - 1])
        while time < times[after] and self.at(time) < count:
            time = math.nextafter(time, math.inf)
        return min(time, times[after])

"""The number of stream records that a run has emitted, over time. Pure."""

import math
from bisect import bisect_left, bisect_right

STEP_S = 1.0
"""Interval of the stored counts. Records between two counts are assumed to be evenly spread."""

MOST = 8_192
"""Largest number of stored counts; then every second one of the older half is dropped. About 1 MB."""


class EmittedRecords:
    """Counts over time, in seconds since 1970. Begins with nothing at `start`."""

    def __init__(self, start: float) -> None:
        self._moments = [start]
        self._totals = [0.0]

    @property
    def start(self) -> float:
        """The time of the first count, which is 0."""
        return self._moments[0]

    @property
    def total(self) -> float:
        """Records so far."""
        return self._totals[-1]

    def add(self, records: float, now: float) -> None:
        """Count `records` emitted at `now`. If the clock was set back, the last time is used."""
        moments, totals = self._moments, self._totals
        now = max(now, moments[-1])
        made = totals[-1] + records
        if now - moments[-1] > 2 * STEP_S:
            # After an idle time: without this point the new records would look evenly spread over it.
            moments.append(now - STEP_S)
            totals.append(totals[-1])
        if len(moments) > 1 and now - moments[-2] < STEP_S:
            moments[-1], totals[-1] = now, made
            return
        moments.append(now)
        totals.append(made)
        if len(moments) > MOST:
            half = MOST // 2
            moments[1:half] = moments[2:half:2]
            totals[1:half] = totals[2:half:2]

    def at(self, moment: float) -> float:
        """Records emitted by `moment`."""
        moments, totals = self._moments, self._totals
        after = bisect_right(moments, moment)
        if after == 0:
            return 0.0
        if after == len(moments):
            return totals[-1]
        share = (moment - moments[after - 1]) / (moments[after] - moments[after - 1])
        return totals[after - 1] + share * (totals[after] - totals[after - 1])

    def when(self, count: float) -> float:
        """The earliest time by which `count` records were emitted; the last known time if there are fewer.

        Seconds since 1970 are kept to about 0.2 µs, in which a burst makes a noticeable number of records, so the
        interpolated time is moved up to the first representable time at which `at` reaches `count`.
        """
        moments, totals = self._moments, self._totals
        after = bisect_left(totals, count)
        if after == 0:
            return moments[0]
        if after == len(totals):
            return moments[-1]
        share = (count - totals[after - 1]) / (totals[after] - totals[after - 1])
        moment = moments[after - 1] + share * (moments[after] - moments[after - 1])
        while moment < moments[after] and self.at(moment) < count:
            moment = math.nextafter(moment, math.inf)
        return min(moment, moments[after])

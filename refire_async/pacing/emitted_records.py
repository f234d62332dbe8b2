"""How many stream records a run has made, over time. Pure."""

import math
from bisect import bisect_left, bisect_right

STEP_S = 1.0
"""Counts are kept this far apart. Between them records are taken to have come evenly."""

MOST = 8_192
"""Counts that are kept; when there are more, every second of the older half is forgotten. About 1 MB."""


class EmittedRecords:
    """Counts over time, in seconds since 1970. Begins with nothing at `start`."""

    def __init__(self, start: float) -> None:
        self._moments = [start]
        self._totals = [0.0]

    @property
    def start(self) -> float:
        """When nothing had been made yet."""
        return self._moments[0]

    @property
    def total(self) -> float:
        """Records so far."""
        return self._totals[-1]

    def add(self, records: float, now: float) -> None:
        """So many records were made just now. A clock that is set back stands still instead."""
        moments, totals = self._moments, self._totals
        now = max(now, moments[-1])
        made = totals[-1] + records
        if now - moments[-1] > 2 * STEP_S:
            # Nothing was made for a while: without this point it would look as if these came slowly.
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
        """Records made by `moment`."""
        moments, totals = self._moments, self._totals
        after = bisect_right(moments, moment)
        if after == 0:
            return 0.0
        if after == len(moments):
            return totals[-1]
        share = (moment - moments[after - 1]) / (moments[after] - moments[after - 1])
        return totals[after - 1] + share * (totals[after] - totals[after - 1])

    def when(self, count: float) -> float:
        """The earliest moment by which `count` records had been made; the last one known if there are fewer.

        Seconds since 1970 are kept to about 0.2 µs, in which a burst makes a noticeable number of records, so the
        interpolated moment is moved up to the first representable one at which `at` reaches `count`.
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

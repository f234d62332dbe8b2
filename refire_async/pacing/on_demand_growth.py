"""The assumed growth of on-demand capacity that the description does not state. Pure; time is an argument (s).

A new on-demand table serves 4,000 write units per second, and up to twice its previous peak at once; more than twice
the peak within 30 minutes may be throttled (DynamoDB Developer Guide: On-demand capacity mode). So the assumed capacity
at most doubles in 30 minutes, only while the run uses it in full and nothing is throttled.
"""

DOUBLING_S = 1_800.0
IN_USE = 0.7
"""Share of the current budget that must be used: DynamoDB adapts only to a peak that was reached."""

STEP_BACK = 0.9
REST_S = 300.0
"""Seconds without growth after the last throttling, for any reason."""


class Growth:
    """`factor` is the assumed capacity as a multiple of a new table's."""

    def __init__(self, now: float) -> None:
        self.factor = 1.0
        self._last = now
        self._rests_until = now

    def step(self, now: float, used_share: float, *, throttled: bool, lacking: bool) -> float:
        """The factor after the time since the last step.

        `used_share` is the used share of the budget in that time, `throttled` whether any write was throttled, and
        `lacking` whether the capacity of the table or an index, not that of a key range, was the cause.
        """
        passed, self._last = now - self._last, now
        if throttled:
            self._rests_until = now + REST_S
            if lacking:
                self.factor = max(1.0, self.factor * STEP_BACK)
        elif now >= self._rests_until and used_share >= IN_USE:
            self.factor *= 2.0 ** (passed / DOUBLING_S)
        return self.factor

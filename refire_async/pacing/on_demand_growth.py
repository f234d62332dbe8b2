"""Assumed growth of on-demand capacity that the description does not state. Pure; time is an argument.

A new on-demand table serves 4,000 write units per second, and at once twice of what was its peak before; more than
twice the peak within 30 minutes may be throttled (DynamoDB Developer Guide: On-demand capacity mode). So what is
used in full doubles in 30 minutes at the most, and only while nothing throttles.
"""

DOUBLING_S = 1_800.0
IN_USE = 0.7
"""Share of the present budget that must be used: a peak that was not reached raises nothing."""

STEP_BACK = 0.9
REST_S = 300.0
"""How long nothing grows after the last throttling, whatever its reason."""


class Growth:
    """`factor` is the assumed capacity as a multiple of a new table's."""

    def __init__(self, now: float) -> None:
        self.factor = 1.0
        self._last = now
        self._rests_until = now

    def step(self, now: float, used_share: float, *, throttled: bool, lacking: bool) -> float:
        """The factor after the time since the last step.

        `used_share` is what was used of the budget in that time, `throttled` whether anything was refused, and
        `lacking` whether for lack of a table's or index's capacity and not of a key range's.
        """
        passed, self._last = now - self._last, now
        if throttled:
            self._rests_until = now + REST_S
            if lacking:
                self.factor = max(1.0, self.factor * STEP_BACK)
        elif now >= self._rests_until and used_share >= IN_USE:
            self.factor *= 2.0 ** (passed / DOUBLING_S)
        return self.factor

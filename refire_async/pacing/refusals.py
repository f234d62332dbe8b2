"""Whether a limit was lowered because everything is refused: an outage, which says nothing about the limit. Pure."""

SILENCE_S, CUTS = 1.0, 2
"""Without a success for this long, while the limit was lowered so many times, everything was refused."""


class Refusals:
    """The successes and the cuts of one limit. Times are seconds of a monotonic clock."""

    __slots__ = ("_cuts", "_worked_at")

    def __init__(self, worked_at: float) -> None:
        """`worked_at` is the time of the last success. Before the first one, minus infinity lets that end an outage,
        and infinity does not: then nothing is known of a limit that worked."""
        self._worked_at = worked_at
        self._cuts = 0

    def cut(self) -> None:
        """The limit was lowered, because something was refused."""
        self._cuts += 1

    def worked(self, now: float) -> bool:
        """Something was accepted. Returns whether everything was refused before."""
        refused_all = self._cuts >= CUTS and now - self._worked_at >= SILENCE_S
        self._worked_at, self._cuts = now, 0
        return refused_all

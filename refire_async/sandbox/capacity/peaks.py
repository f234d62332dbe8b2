"""The previous peak of an on-demand table's traffic, from which it grows."""

from __future__ import annotations

from collections import deque


class PeakTracker:
    """Highest average traffic over whole windows that ended at least ``delay`` seconds ago.

    Memory: at most one number per window of the delay, about 30 with the defaults.
    """

    def __init__(self, *, window: float, delay: float) -> None:
        """Both in seconds."""
        self._window = window
        self._delay = delay
        self._peak = 0.0
        self._waiting: deque[tuple[float, float]] = deque()  # (end, average)
        self._end = float("-inf")
        self._units = 0.0

    def add(self, second: float, units: float) -> None:
        """``units`` were accepted in the second that began at ``second``; seconds come in order, gaps are idle."""
        if second >= self._end:
            self._close()
            self._end = second + self._window
        self._units += units

    def peak(self, now: float) -> float:
        """The peak that counts at ``now``, in units a second."""
        if now >= self._end:
            self._close()
        while self._waiting and self._waiting[0][0] + self._delay <= now:
            self._peak = max(self._peak, self._waiting.popleft()[1])
        return self._peak

    def _close(self) -> None:
        if not self._units:
            return
        self._waiting.append((self._end, self._units / self._window))
        self._units = 0.0

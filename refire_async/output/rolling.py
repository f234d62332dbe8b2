"""Recent rates and latencies in bounded memory."""

import math
from bisect import bisect_right
from collections import deque

_FINEST_S = 0.0001
_STEP = 1.1
_BOUNDS = tuple(_FINEST_S * _STEP**power for power in range(146))
"""Upper bounds of the latency buckets, 0.1 ms to 100 s, each 10% above the one before."""


class RateWindow:
    """Rate of a total that only grows, over the last `span_s` seconds.

    Keeps at most `resolution` + 2 samples, whatever the number of calls.
    """

    def __init__(self, span_s: float, resolution: int = 60) -> None:
        self._span_s = span_s
        self._gap_s = span_s / resolution
        self._samples: deque[tuple[float, float]] = deque()

    def sample(self, now: float, total: float) -> None:
        """Add the total at `now` (seconds of a monotonic clock)."""
        samples = self._samples
        # Replace the latest sample until it is a gap away from the one before.
        if len(samples) > 1 and now - samples[-2][0] < self._gap_s:
            samples[-1] = (now, total)
        else:
            samples.append((now, total))
        while len(samples) > 2 and samples[1][0] <= now - self._span_s:
            samples.popleft()

    @property
    def per_second(self) -> float | None:
        """Mean rate over the window; None until there are two samples."""
        if len(self._samples) < 2:
            return None
        (then, before), (now, after) = self._samples[0], self._samples[-1]
        return (after - before) / (now - then) if now > then else None


class LatencyWindow:
    """Quantiles of recent latencies, within 10%, from two histograms that take turns.

    A reading covers the last `turn_s` to 2 x `turn_s` seconds. Memory is fixed; adding costs one bisection.
    """

    def __init__(self, turn_s: float = 10.0) -> None:
        self._turn_s = turn_s
        self._turned_at = -math.inf
        self._current = [0] * (len(_BOUNDS) + 1)
        self._previous = [0] * (len(_BOUNDS) + 1)

    def add(self, latency_s: float) -> None:
        """Count one latency."""
        self._current[bisect_right(_BOUNDS, latency_s)] += 1

    def turn(self, now: float) -> None:
        """Drop old latencies; call it at least every `turn_s` seconds."""
        if now - self._turned_at >= self._turn_s:
            self._turned_at = now
            self._previous = self._current
            self._current = [0] * (len(_BOUNDS) + 1)

    def quantiles(self, *shares: float) -> tuple[float, ...] | None:
        """Latency in seconds below which each share (0 to 1) lies; None while there are none."""
        merged = [a + b for a, b in zip(self._current, self._previous, strict=True)]
        total = sum(merged)
        if total == 0:
            return None
        return tuple(_value_at(merged, share * total) for share in shares)


def _value_at(histogram: list[int], rank: float) -> float:
    below = 0
    for bucket, number in enumerate(histogram):
        below += number
        if number and below >= rank:
            # The middle of the bucket on its logarithmic scale.
            return _FINEST_S * math.pow(_STEP, bucket - 0.5)
    raise AssertionError("a rank is never above the total")

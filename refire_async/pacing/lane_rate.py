"""The write rate of one lane: its share of the budget, and less while its key range is throttled. Pure.

Until it is throttled, a lane may write at the limit of a partition, or at its equal share of the budget if that is
more. This keeps the first lanes that have work from using up the burst capacity of their partitions while the other
segments are still being read: throttled together, they would look like a table without capacity.

A partition serves 1,000 WCU/s and throttles the rest (DynamoDB Developer Guide: Key range throughput exceeded).
Exponential backoff would leave part of that rate unused. Instead a throttled lane continues at the rate that DynamoDB
has just processed; each further throttling lowers the rate a little, and it rises slowly all the time.
"""

import math

from refire_async.model.capacity import PARTITION_WCU
from refire_async.pacing.refusals import Refusals

WINDOW_S = 0.5
"""Window (s) over which the processed rate is measured."""

DECREASE = 0.93
"""Factor on the limit at each throttling."""

HOLD_S = 0.25
"""Throttled writes within this time (s) were in flight together and count once."""

GROWTH_PER_S = 0.08
FAST_GROWTH_AFTER_S = 2.0
FAST_GROWTH_PER_S = 0.7
"""Share of the limit added per second; more when the lane was not throttled for `FAST_GROWTH_AFTER_S`, because the
cause of the throttling may be over."""

UNLIMITED_AFTER_S = 15.0
"""A lane that was not throttled for this long has no limit any more."""

MIN_LIMIT = 5.0
"""Smallest limit (units per second), enough to detect that the partition accepts writes again."""

JUST_THROTTLED_S = 1.0
"""How long a lane that was throttled without a limit counts as just throttled."""

SHARE_SLACK = 1.1
"""Factor on a lane's share, to make up for moments without work."""

SHARE_AHEAD_S = 0.5
"""Seconds of its share that a lane may write at once. An idle partition has saved more than that."""


def lane_share(write_rate: float, lanes: int) -> float:
    """Units per second for a lane of a table scan until it is throttled, where `lanes` lanes share `write_rate`.

    This does not slow the run down: a segment is read in the order of its hashes, so that at any moment its lane
    writes to one partition or a few, which throttle more than that. With fewer lanes the shares are larger.
    """
    return max(PARTITION_WCU, write_rate / max(1, lanes)) * SHARE_SLACK


class LaneRate:
    """The write rate of a lane in units per second.

    `limit` is None until the lane is throttled; `next_at` is the time of its next write. Times are seconds of a
    monotonic clock.
    """

    __slots__ = (
        "_cut_at",
        "_grown_at",
        "_measured",
        "_refusals",
        "_since",
        "_since_cut",
        "_throttled_at",
        "_units",
        "_worked_limit",
        "limit",
        "next_at",
    )

    def __init__(self) -> None:
        self.limit: float | None = None
        self.next_at = -math.inf
        self._units = 0.0
        self._since = -math.inf
        self._measured = 0.0
        self._since_cut = 0.0
        self._cut_at = -math.inf
        self._grown_at = -math.inf
        self._throttled_at = -math.inf
        self._refusals = Refusals(-math.inf)
        self._worked_limit: float | None = None

    def spend(self, units: float, now: float, share: float = math.inf) -> None:
        """Charge a batch of `units` and set `next_at` accordingly.

        `share` (units per second) applies while the lane has no limit.
        """
        if self.limit is not None:
            self.next_at = max(self.next_at, now) + units / self.limit
        else:
            self.next_at = max(self.next_at, now - SHARE_AHEAD_S) + units / share

    def processed(self, units: float, now: float) -> None:
        """DynamoDB processed writes of `units` without throttling them."""
        if units > 0:
            self._restore(now)
        if now - self._since >= WINDOW_S:
            lasted = now - self._since
            self._measured = self._units / lasted if lasted < 2 * WINDOW_S else 0.0
            self._since, self._units = now, 0.0
        self._units += units
        self._since_cut += units
        if self.limit is None:
            return
        quiet = now - self._cut_at
        if quiet > UNLIMITED_AFTER_S:
            self.limit = None
            return
        growth = FAST_GROWTH_PER_S if quiet > FAST_GROWTH_AFTER_S else GROWTH_PER_S
        since = now - max(self._grown_at, self._cut_at)
        self.limit += max(self.limit, MIN_LIMIT) * growth * since
        self._grown_at = now

    def _restore(self, now: float) -> None:
        """Some writes were processed. If all were refused before, go back to the limit of the time before that."""
        before = self.limit
        if self._refusals.worked(now):  # not for the key range: all were refused
            self.limit, self.next_at = self._worked_limit, now
        self._worked_limit = before

    def throttled(self, now: float) -> None:
        """DynamoDB throttled writes of the lane: set or lower its limit."""
        if self.limit is None:
            self._throttled_at = now
            self.limit = max(min(self.measured(now) or PARTITION_WCU, PARTITION_WCU) * DECREASE, MIN_LIMIT)
        elif now - self._cut_at < HOLD_S:
            return
        else:
            # The partition's burst capacity is used up: at most the rate processed since the last cut.
            # At least half of the limit: all writes in flight at the last cut may have been throttled.
            processed = self._since_cut / (now - self._cut_at)
            self.limit = max(min(self.limit, processed) * DECREASE, self.limit / 2, MIN_LIMIT)
        self._cut_at = now
        self._since_cut = 0.0
        self._refusals.cut()

    def measured(self, now: float) -> float:
        """Units per second that DynamoDB has processed within the last window; 0 if it is over."""
        lasted = now - self._since
        if lasted >= 2 * WINDOW_S:
            return 0.0
        return self._units / lasted if lasted >= WINDOW_S / 2 else self._measured

    def just_throttled(self, now: float) -> bool:
        """Whether the lane had no limit until it was throttled within the last `JUST_THROTTLED_S`."""
        return now - self._throttled_at < JUST_THROTTLED_S

    def at_rest(self, now: float) -> bool:
        """Whether the lane has neither a limit nor a charge, so that a new `LaneRate` would equal it."""
        return self.limit is None and self.next_at <= now - SHARE_AHEAD_S

    def lift_limit(self) -> None:
        """Remove the limit: this lane's key range was not the cause of the throttling."""
        self.limit = None
        self.next_at = -math.inf
        self._throttled_at = -math.inf

"""The pace of one lane: its share while all is well, what its key range takes when it is throttled. Pure.

Until it is refused, a lane may write as fast as a partition can take, or as its equal share of the budget if that is
more. So the first lanes that have work do not use up at once what their partitions have saved, while the others
are still being read: refused together they would look like a table without capacity.

A hot partition takes 1,000 WCU/s and refuses the rest (DynamoDB Developer Guide: Key range throughput
exceeded). Resting ever longer would leave that rate unused; so a lane that is refused is held at what it was
just taken at, cut a little by every further refusal and raised a little all the time.
"""

import math

from refire_async.model.partitions import PARTITION_WCU

WINDOW_S = 0.5
"""Window (s) over which the accepted rate is measured."""

CUT = 0.93
CUT_AGAIN_S = 0.25
"""Throttled writes that were in flight together count once."""

GROWTH_PER_S = 0.08
EASY_AFTER_S = 2.0
EASY_GROWTH_PER_S = 0.7
"""A lane that was not refused for so long grows faster: what held it up may be over."""

FREE_AFTER_S = 15.0
"""A lane that was not throttled for this long has no limit any more."""

LEAST = 5.0
"""Units per second of a lane that nothing was taken from: enough to notice when something is."""

FRESH_S = 1.0

SHARE_SLACK = 1.1
"""A lane may do so much more than its share, to make up for moments without work."""

SHARE_AHEAD_S = 0.5
"""And so much of its share at once. A partition that was idle has saved a second's worth."""


def lane_share(write_rate: float, lanes: int) -> float:
    """Units per second for a lane of a table scan that nothing has refused, of `lanes` that share `write_rate`.

    It costs no speed: a segment is read in the order of its hashes, so that at any moment its lane writes to one
    partition, or to few. More than a partition takes is refused, and where the lanes are fewer their shares are larger.
    """
    return max(PARTITION_WCU, write_rate / max(1, lanes)) * SHARE_SLACK


class LaneRate:
    """Units per second at which a lane may write; without a limit until it is refused."""

    __slots__ = (
        "_cut_at",
        "_fresh_at",
        "_grown_at",
        "_measured",
        "_since",
        "_since_cut",
        "_units",
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
        self._fresh_at = -math.inf

    def spend(self, units: float, now: float, share: float = math.inf) -> None:
        """A batch of `units` is handed out: the next one may follow when the limit has made up for it.

        `share` is the limit of a lane that was not refused.
        """
        if self.limit is not None:
            self.next_at = max(self.next_at, now) + units / self.limit
        else:
            self.next_at = max(self.next_at, now - SHARE_AHEAD_S) + units / share

    def accepted(self, units: float, now: float) -> None:
        """`units` were written without refusal."""
        if now - self._since >= WINDOW_S:
            lasted = now - self._since
            self._measured = self._units / lasted if lasted < 2 * WINDOW_S else 0.0
            self._since, self._units = now, 0.0
        self._units += units
        self._since_cut += units
        if self.limit is None:
            return
        quiet = now - self._cut_at
        if quiet > FREE_AFTER_S:
            self.limit = None
            return
        growth = EASY_GROWTH_PER_S if quiet > EASY_AFTER_S else GROWTH_PER_S
        since = now - max(self._grown_at, self._cut_at)
        self.limit += max(self.limit, LEAST) * growth * since
        self._grown_at = now

    def refused(self, now: float) -> None:
        """Units were refused for lack of capacity."""
        if self.limit is None:
            self._fresh_at = now
            self.limit = max(min(self.measured(now) or PARTITION_WCU, PARTITION_WCU) * CUT, LEAST)
        elif now - self._cut_at < CUT_AGAIN_S:
            return
        else:
            # What the partition had saved up is gone: no more than what was taken since the last cut.
            # Not below half: what was on its way when the last cut was made may have been refused as a whole.
            taken = self._since_cut / (now - self._cut_at)
            self.limit = max(min(self.limit, taken) * CUT, self.limit / 2, LEAST)
        self._cut_at = now
        self._since_cut = 0.0

    def measured(self, now: float) -> float:
        """Units per second that were taken lately."""
        lasted = now - self._since
        if lasted >= 2 * WINDOW_S:
            return 0.0
        return self._units / lasted if lasted >= WINDOW_S / 2 else self._measured

    def fresh(self, now: float) -> bool:
        """Whether the lane was refused a moment ago while nothing held it."""
        return now - self._fresh_at < FRESH_S

    def rested(self, now: float) -> bool:
        """Whether nothing holds the lane, so that a new one would be like it."""
        return self.limit is None and self.next_at <= now - SHARE_AHEAD_S

    def lift(self) -> None:
        """It was not this lane's key range: hold it no longer."""
        self.limit = None
        self.next_at = -math.inf
        self._fresh_at = -math.inf

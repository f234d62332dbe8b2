"""Counters of a run's events in one process: totals that only grow, used by progress, recording and metrics.

Handling an event only adds; a rate is the difference of two readings. Memory is bounded: segments are counted in
`BANDS` bands, reasons as in `Throttles`. The metrics thread reads the counters too: each figure is one object that is
replaced or added to, so a reader sees it before or after a change, never in between.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping

from refire_async.events import (
    BatchWritten,
    BudgetChanged,
    ConsumerSeen,
    ItemFailed,
    LanesSeen,
    PageAcknowledged,
    PageRead,
    Paused,
    RateChanged,
    Resumed,
    Retried,
    RunStarted,
    SegmentFinished,
    Subscriber,
    Throttled,
)
from refire_async.model.capacity import TABLE
from refire_async.model.counts import Counts

BANDS = 64
"""Rows of the progress map over the segments: one segment each, or several where there are more segments."""

LATENCY_BOUNDS = tuple(0.001 * 1.2**power for power in range(64))
"""Upper bounds of the latency buckets in seconds, 1 ms to 97 s, each 20% above the one before."""

MOST_CODES = 24

OTHER = "other"
MOST_REASONS = 24
"""There are few reasons and resources; the limit keeps memory bounded if one ever contains a unique text."""

MOST_SEGMENTS = 4_096
OTHER_SEGMENTS = -1
"""Stands for all segments beyond the first `MOST_SEGMENTS` that were throttled."""


class Throttles:
    """Throttled requests in items (a read counts as one)."""

    def __init__(self) -> None:
        self.by_reason: dict[tuple[str, str], int] = {}
        """By reason, or error code where the service gave none, and resource (an ARN, or "" where it named none)."""
        self.by_segment: dict[int, int] = {}

    def add(self, reason: str, resource: str, segment: int, items: int) -> None:
        """`items` of `segment` were refused for `reason`, for lack of `resource`."""
        cause = (reason, resource)
        if cause not in self.by_reason and len(self.by_reason) >= MOST_REASONS:
            cause = (OTHER, "")
        self.by_reason[cause] = self.by_reason.get(cause, 0) + items
        if segment not in self.by_segment and len(self.by_segment) >= MOST_SEGMENTS:
            segment = OTHER_SEGMENTS
        self.by_segment[segment] = self.by_segment.get(segment, 0) + items

    @property
    def total(self) -> int:
        """The sum over all reasons."""
        return sum(self.by_reason.values())

    def reasons(self) -> dict[str, int]:
        """By reason alone, the most frequent first."""
        found: dict[str, int] = {}
        for (reason, _), items in self.by_reason.items():
            found[reason] = found.get(reason, 0) + items
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))


class Histogram:
    """Latencies by bucket: `counts[i]` of them lie below `LATENCY_BOUNDS[i]`, the last ones above all bounds."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, latency_s: float) -> None:
        """Count one latency."""
        self.counts[bisect_right(LATENCY_BOUNDS, latency_s)] += 1
        self.seconds += latency_s


class Counters(Subscriber):
    """Subscriber that counts the events of all attempts of this process."""

    def __init__(self) -> None:
        self.started: RunStarted | None = None
        self.written = 0
        self.read = 0
        self.counts = Counts()
        self.wcu: dict[str, float] = {TABLE: 0.0}
        self.rcu = 0.0
        self.writes, self.reads = Histogram(), Histogram()
        self.throttles = Throttles()
        self.retries: dict[str, int] = {}
        self.failed: dict[str, int] = {}
        self.bands = [0] * BANDS
        self.segments = (0, 0)
        self.lanes: dict[int, tuple[int, int]] = {}
        self.budget_wcu = 0.0
        self.budget_rcu = 0.0
        self.index_budgets: Mapping[str, float] = {}
        self.held_to = 1.0
        self.paused = False
        self.consumers: dict[str, ConsumerSeen] = {}
        self._band_of: Callable[[int], int] = lambda _segment: 0
        self.handlers = {
            RunStarted: self._run_started,
            PageRead: self._page_read,
            BatchWritten: self._batch_written,
            PageAcknowledged: self._page_settled,
            Throttled: self._throttled,
            Retried: self._retried,
            ItemFailed: self._item_failed,
            SegmentFinished: self._segment_finished,
            LanesSeen: self._lanes_seen,
            RateChanged: self._rate_changed,
            BudgetChanged: self._budget_changed,
            Paused: self._run_paused,
            Resumed: self._run_unpaused,
            ConsumerSeen: self._consumer_seen,
        }

    @property
    def allowed_wcu(self) -> float:
        """WCU/s that the run may use now: the budget, less where throttling reduces the rate, 0 while paused."""
        return 0.0 if self.paused else self.budget_wcu * self.held_to

    def _run_started(self, event: RunStarted) -> None:
        self.started = event
        self.budget_wcu, self.budget_rcu = event.max_wcu, event.max_rcu
        self.held_to, self.paused, self.lanes = 1.0, False, {}
        total = event.spec.total_segments
        self.segments = (0, total)
        self._band_of = lambda segment: segment if total <= BANDS else segment * BANDS // total
        self.index_budgets = event.indexes

    def _page_read(self, event: PageRead) -> None:
        self.read += event.items
        self.rcu += event.rcu
        self.reads.add(event.latency_s)

    def _batch_written(self, event: BatchWritten) -> None:
        self.written += event.items
        self.bands[self._band_of(event.segment)] += event.items
        self.writes.add(event.latency_s)
        if self.index_budgets and event.consumed is not None:
            for name, units in event.consumed.by_resource(self.index_budgets).items():
                self.wcu[name] = self.wcu.get(name, 0.0) + units
        else:
            self.wcu[TABLE] += event.wcu

    @property
    def outcomes(self) -> dict[str, int]:
        """Items by outcome. Touched and failed items count at once, the others when their page is acknowledged."""
        counts = self.counts
        return {
            "touched": max(self.written, counts.touched),
            "already": counts.already,
            "vanished": counts.vanished,
            "expired": counts.expired,
            "failed": max(sum(dict(self.failed).values()), counts.failed),
        }

    def _page_settled(self, event: PageAcknowledged) -> None:
        self.counts.add(event.counts)

    def _throttled(self, event: Throttled) -> None:
        self.throttles.add(event.reason, event.resource, event.segment, event.items)

    def _retried(self, event: Retried) -> None:
        add_count(self.retries, event.reason, 1)

    def _item_failed(self, event: ItemFailed) -> None:
        add_count(self.failed, event.code, event.items)

    def _segment_finished(self, event: SegmentFinished) -> None:
        self.segments = (event.finished, event.total)

    def _lanes_seen(self, event: LanesSeen) -> None:
        self.lanes[event.part] = (event.active, event.backing_off)

    def _rate_changed(self, event: RateChanged) -> None:
        # As a share: each process of a run reports the rate of its own share of the budget.
        self.held_to = min(event.wcu / event.ceiling, 1.0) if event.ceiling > 0 else 1.0

    def _budget_changed(self, event: BudgetChanged) -> None:
        self.budget_wcu, self.budget_rcu = event.wcu, event.rcu
        self.index_budgets = event.indexes

    def _run_paused(self, _event: Paused) -> None:
        self.paused = True

    def _consumer_seen(self, event: ConsumerSeen) -> None:
        self.consumers[event.name] = event

    def _run_unpaused(self, _event: Resumed) -> None:
        self.paused = False


def add_count(counts: dict[str, int], name: str, items: int) -> None:
    """Add `items` under `name`, or under `OTHER` where there are `MOST_CODES` names."""
    if name not in counts and len(counts) >= MOST_CODES:
        name = OTHER
    counts[name] = counts.get(name, 0) + items

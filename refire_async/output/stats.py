"""What a run's events add up to: the one state behind progress on a terminal and in the log.

`RunStats.handle` only counts, so that it costs next to nothing per batch. Rates and quantiles are worked out by
`sample`, which whoever shows them calls a few times a second.
"""

import math

from refire_async.events import (
    BatchWritten,
    BudgetChanged,
    CheckpointSaved,
    ConsumerSeen,
    LanesSeen,
    PageRead,
    PageSettled,
    Paused,
    RateChanged,
    Recovered,
    Resumed,
    Retried,
    RunEnded,
    RunStarted,
    SegmentFinished,
    Stopping,
    Subscriber,
    Suspended,
    Throttled,
    Waiting,
)
from refire_async.model.counts import Counts
from refire_async.output.hot_lanes import HotLanes
from refire_async.output.rolling import LatencyWindow, RateWindow
from refire_async.output.snapshot import HotKey, Snapshot, State
from refire_async.output.throttles import Throttles
from refire_async.planning.forecast.cost import cost
from refire_async.planning.forecast.duration import HOT, remaining

RATE_SPAN_S = 10.0
TREND_SPAN_S = 60.0

_ALMOST = 0.999


class RunStats(Subscriber):
    """Subscriber that adds up the events of one sitting. Pure: time comes in through `sample`."""

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._now = started_at
        self._start: RunStarted | None = None
        self._before = 0
        self._written = 0
        self._settled = Counts()
        self._pages = 0
        self._wcu = 0.0
        self._rcu = 0.0
        self.throttles = Throttles()
        self._retries = 0
        self._segments = (0, 0)
        self._lanes: dict[int, tuple[int, int]] = {}
        self._saved: dict[int, int] = {}
        self._held_to: float | None = None
        self._consumers: dict[str, ConsumerSeen] = {}
        self._waiting: tuple[str, int] | None = None
        self._paused: str | None = None
        self._budget = (0.0, 0.0, "")
        self._index_budgets: tuple[float, ...] = ()
        self._stopping: str | None = None
        self._still_s = 0.0
        self._idle = False
        self._hot = HotLanes()
        self._ended = False
        self._latency = LatencyWindow()
        self._items_rate, self._trend = RateWindow(RATE_SPAN_S), RateWindow(TREND_SPAN_S)
        self._wcu_rate = RateWindow(RATE_SPAN_S)
        self._rcu_rate = RateWindow(RATE_SPAN_S)
        self.handlers = {
            RunStarted: self._run_started,
            PageRead: self._page_read,
            BatchWritten: self._batch_written,
            PageSettled: self._page_settled,
            Throttled: self._was_throttled,
            Retried: self._retried,
            SegmentFinished: self._segment_finished,
            LanesSeen: self._lanes_seen,
            CheckpointSaved: self._checkpoint_saved,
            RateChanged: self._rate_changed,
            BudgetChanged: self._budget_changed,
            Suspended: self._suspended,
            Paused: self._is_paused,
            Resumed: self._is_resumed,
            Waiting: self._is_waiting,
            Recovered: self._has_recovered,
            ConsumerSeen: self._consumer_seen,
            Stopping: self._is_stopping,
            RunEnded: self._run_ended,
        }

    @property
    def started(self) -> RunStarted | None:
        """The first event of the sitting; None before it."""
        return self._start

    @property
    def share(self) -> float | None:
        """How far the run is, from 0 to 1; None while that is not known."""
        return self._share(self._done)

    def sample(self, now: float) -> Snapshot:
        """The run at `now`, in seconds of the clock that gave `started_at`."""
        self._now = now
        done = self._done
        state, detail = self._state()
        idle = state in ("paused", "waiting")
        if self._idle and not idle:
            self._begin_rates()
        self._idle = idle
        self._items_rate.sample(now, done)
        self._trend.sample(now, done)
        self._wcu_rate.sample(now, self._wcu)
        self._rcu_rate.sample(now, self._rcu)
        latency = self._latency.quantiles(0.5, 0.99)
        self._latency.turn(now)
        start = self._start
        share = self._share(done)
        left, hot = self._remaining(now, done, share)
        max_wcu, max_rcu, bound_by = self._budget
        billing = start.billing if start else None
        paid = None if billing is None else cost(self._wcu, self._rcu, billing)
        return Snapshot(
            state=state,
            detail=detail,
            run_id=start.spec.run_id if start else "",
            table=start.spec.table if start else "",
            resumed=start.resumed if start else False,
            elapsed_s=now - self._started_at - self._still_s,
            done=done,
            saved=self._before + sum(self._saved.values()),
            failed=self._settled.failed + (start.settled_before.failed if start else 0),
            expected=start.expected_items if start else None,
            share=share,
            remaining_s=None if idle else left,
            hot_key=None if idle else hot,
            items_rate=0.0 if idle else self._items_rate.per_second,
            wcu_rate=0.0 if idle else self._wcu_rate.per_second,
            rcu_rate=0.0 if idle else self._rcu_rate.per_second,
            max_wcu=max_wcu,
            max_rcu=max_rcu,
            bound_by=bound_by,
            held_to_wcu=self._held_to,
            wcu=self._wcu,
            rcu=self._rcu,
            throttled=tuple(self.throttles.reasons().items()),
            retries=self._retries,
            segments_finished=self._segments[0],
            segments_total=self._segments[1],
            lanes=self._lanes_now(),
            latency_s=(latency[0], latency[1]) if latency else None,
            cost_usd=None if paid is None else paid.total,
            paid_by_request=paid is not None and paid.extra,
            consumers=tuple(self._consumers.values()),
        )

    @property
    def _done(self) -> int:
        """Items with an outcome. Batches are ahead of their page; pages know those that needed no write."""
        return self._before + max(self._written, self._settled.settled)

    def _share(self, done: int) -> float | None:
        if self._ended and self._stopping is None:
            return 1.0
        finished, total = self._segments
        expected = self._start.expected_items if self._start else None
        if expected and done <= expected:
            return min(done / expected, _ALMOST)
        # The count was hours old or is unknown: segments are equal parts of the key space.
        return min(finished / total, _ALMOST) if total > 1 else None

    def _remaining(self, now: float, done: int, share: float | None) -> tuple[float | None, HotKey]:
        """Seconds to go, None where nothing tells, and whether it is a hot key that the end waits for."""
        start = self._start
        hot_s = None
        if start is not None and start.expected_items and start.spec.selection.kind == "scan":
            hot_s = self._hot.remaining(now, start.expected_items, self._segments[1])
        if self._ended or start is None:
            return None, None
        left = done * (1 / share - 1) if share else None
        limit = math.inf if start.max_items is None else max(0.0, start.max_items - (done - self._before))
        left = limit if left is None else min(left, limit)
        if left == math.inf:
            return None, None
        seconds = self._seconds_for(left)
        if seconds is None or not self._hot.any or left == limit:
            return seconds, None
        if hot_s is None:
            return seconds, "maybe"
        return (hot_s, "yes") if hot_s > seconds * HOT else (seconds, None)

    def _seconds_for(self, left: float) -> float | None:
        rate = self._trend.per_second
        if rate:
            return left / rate
        # Nothing measured yet at this budget: what the plan's model says. The units are those of all resources, of
        # which the scarcest bounds the run; an index takes about what the table does.
        scarcest = min(self._budget[0], *self._index_budgets, math.inf)
        if not self._written or not self._wcu or not scarcest:
            return None
        each = self._wcu / self._written / (1 + len(self._index_budgets))
        return remaining(left, each, scarcest)

    def _state(self) -> tuple[State, str]:
        if self._ended:
            return "ended", ""
        if self._stopping is not None:
            return "draining", self._stopping
        if self._paused is not None:
            return "paused", self._paused
        if self._waiting is not None and self._waiting[1] == self._progress_mark:
            return "waiting", self._waiting[0]
        return ("running", "") if self._start else ("starting", "")

    @property
    def _progress_mark(self) -> int:
        """A number that grows with every answer: as long as it stands still, so does the run."""
        return self._written + self._pages

    def _run_started(self, event: RunStarted) -> None:
        self._start = event
        self._budget = (event.max_wcu, event.max_rcu, event.bound_by)
        self._index_budgets = tuple(event.indexes.values())
        self._before = event.settled_before.settled
        self._written, self._settled = 0, Counts()
        self._lanes, self._saved = {}, {}
        self._begin_rates()  # what earlier sittings have done must not look like the speed of this one
        self._hot = HotLanes()
        self._segments = (0, event.spec.total_segments)

    def _begin_rates(self) -> None:
        """What was before says nothing about the speed from now on."""
        self._items_rate, self._trend = RateWindow(RATE_SPAN_S), RateWindow(TREND_SPAN_S)
        self._wcu_rate, self._rcu_rate = RateWindow(RATE_SPAN_S), RateWindow(RATE_SPAN_S)

    def _suspended(self, event: Suspended) -> None:
        if event.part == 0:
            self._still_s += event.seconds
            self._begin_rates()

    def _page_read(self, event: PageRead) -> None:
        self._hot.page_read(event)
        self._pages += 1
        self._rcu += event.rcu

    def _batch_written(self, event: BatchWritten) -> None:
        self._written += event.items
        self._wcu += event.wcu
        self._latency.add(event.latency_s)
        self._hot.batch_written(event)

    def _page_settled(self, event: PageSettled) -> None:
        self._settled.add(event.counts)

    def _was_throttled(self, event: Throttled) -> None:
        self._hot.throttled(event)
        self.throttles.add(event.reason, event.resource, event.segment, event.items)

    def _retried(self, _event: Retried) -> None:
        self._retries += 1

    def _segment_finished(self, event: SegmentFinished) -> None:
        self._segments = (event.finished, event.total)
        self._hot.segment_finished(event)

    def _lanes_seen(self, event: LanesSeen) -> None:
        self._lanes[event.part] = (event.active, event.backing_off)

    def _lanes_now(self) -> tuple[int, int] | None:
        if not self._lanes:
            return None
        return sum(active for active, _ in self._lanes.values()), sum(
            held for _, held in self._lanes.values()
        )

    def _checkpoint_saved(self, event: CheckpointSaved) -> None:
        self._saved[event.part] = event.settled

    def _rate_changed(self, event: RateChanged) -> None:
        self._held_to = event.wcu if event.wcu < event.ceiling else None

    def _budget_changed(self, event: BudgetChanged) -> None:
        self._budget = (event.wcu, event.rcu, event.why)
        self._index_budgets = tuple(event.indexes.values())
        self._trend = RateWindow(TREND_SPAN_S)  # the speed at another budget foretells nothing

    def _is_paused(self, event: Paused) -> None:
        self._paused = event.why

    def _is_resumed(self, _event: Resumed) -> None:
        self._paused = None

    def _is_waiting(self, event: Waiting) -> None:
        self._waiting = (event.reason, self._progress_mark)

    def _has_recovered(self, _event: Recovered) -> None:
        self._waiting = None

    def _consumer_seen(self, event: ConsumerSeen) -> None:
        self._consumers[event.name] = event

    def _is_stopping(self, event: Stopping) -> None:
        self._stopping = event.reason

    def _run_ended(self, _event: RunEnded) -> None:
        self._ended = True

"""Rates, quantiles and remaining time of a run: the state behind progress on a terminal and in the log.

`RunStats` adds to `Counters` only what progress needs. Handling an event only counts, which costs little per batch;
`sample`, called a few times a second, computes rates and quantiles.
"""

import math

from refire_async.events import (
    BatchWritten,
    BudgetChanged,
    CheckpointSaved,
    PageRead,
    Paused,
    RateChanged,
    Recovered,
    Resumed,
    RunEnded,
    RunStarted,
    SegmentFinished,
    Stopping,
    Suspended,
    Throttled,
    Waiting,
)
from refire_async.output.counters import Counters
from refire_async.output.hot_lanes import HotLanes
from refire_async.output.rolling import LatencyWindow, RateWindow
from refire_async.output.snapshot import HotKey, Snapshot, State
from refire_async.planning.forecast.cost import cost
from refire_async.planning.forecast.duration import HOT, remaining

RATE_SPAN_S = 10.0
TREND_SPAN_S = 60.0

_ALMOST = 0.999


class RunStats(Counters):
    """Counters of all attempts of this process, and the progress of the latest one. Pure: `sample` takes the time."""

    def __init__(self, started_at: float) -> None:
        super().__init__()
        self._started_at = started_at
        self._now = started_at
        self._before = 0
        """Items with an outcome from earlier attempts."""
        self._written_earlier = self._settled_earlier = self._failed_earlier = 0
        """What this process had counted when the latest attempt began."""
        self._pages = 0
        self._saved: dict[int, int] = {}
        self._held_to_wcu: float | None = None
        self._waiting: tuple[str, int] | None = None
        self._pause_reason: str | None = None
        self._bound_by = ""
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
            **self.handlers,
            CheckpointSaved: self._checkpoint_saved,
            Suspended: self._suspended,
            Waiting: self._is_waiting,
            Recovered: self._has_recovered,
            Stopping: self._is_stopping,
            RunEnded: self._run_ended,
        }

    @property
    def share(self) -> float | None:
        """Share of the items that have an outcome, from 0 to 1; None while the total is unknown."""
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
        wcu = sum(self.wcu.values())
        self._wcu_rate.sample(now, wcu)
        self._rcu_rate.sample(now, self.rcu)
        latency = self._latency.quantiles(0.5, 0.99)
        self._latency.turn(now)
        start = self.started
        share = self._share(done)
        left, hot = self._remaining(now, done, share)
        billing = start.billing if start else None
        paid = None if billing is None else cost(wcu, self.rcu, billing)
        return Snapshot(
            state=state,
            detail=detail,
            run_id=start.spec.run_id if start else "",
            table=start.spec.table if start else "",
            resumed=start.resumed if start else False,
            elapsed_s=now - self._started_at - self._still_s,
            done=done,
            saved=self._before + sum(self._saved.values()),
            failed=self.counts.failed - self._failed_earlier + (start.settled_before.failed if start else 0),
            expected=start.expected_items if start else None,
            share=share,
            remaining_s=None if idle else left,
            hot_key=None if idle else hot,
            items_rate=0.0 if idle else self._items_rate.per_second,
            wcu_rate=0.0 if idle else self._wcu_rate.per_second,
            rcu_rate=0.0 if idle else self._rcu_rate.per_second,
            max_wcu=self.budget_wcu,
            max_rcu=self.budget_rcu,
            bound_by=self._bound_by,
            held_to_wcu=self._held_to_wcu,
            wcu=wcu,
            rcu=self.rcu,
            throttled=tuple(self.throttles.reasons().items()),
            retries=sum(self.retries.values()),
            segments_finished=self.segments[0],
            segments_total=self.segments[1],
            lanes=self._lanes_now(),
            latency_s=(latency[0], latency[1]) if latency else None,
            cost_usd=None if paid is None else paid.total,
            paid_by_request=paid is not None and paid.extra,
            consumers=tuple(self.consumers.values()),
        )

    @property
    def _done(self) -> int:
        """Items with an outcome. Batches come before their page; only pages count items that need no write."""
        written = self.written - self._written_earlier
        return self._before + max(written, self.counts.settled - self._settled_earlier)

    def _share(self, done: int) -> float | None:
        if self._ended and self._stopping is None:
            return 1.0
        finished, total = self.segments
        expected = self.started.expected_items if self.started else None
        if expected and done <= expected:
            return min(done / expected, _ALMOST)
        # The count is unknown or hours old: use the segments, which are equal shares of the key space.
        return min(finished / total, _ALMOST) if total > 1 else None

    def _remaining(self, now: float, done: int, share: float | None) -> tuple[float | None, HotKey]:
        """Remaining seconds (None if unknown), and whether a hot key determines them."""
        start = self.started
        hot_s = None
        if start is not None and start.expected_items and start.spec.selection.kind == "scan":
            hot_s = self._hot.remaining(now, start.expected_items, self.segments[1])
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
        # No rate measured yet at this budget: use the plan's model. WCU are the sum over all resources; the smallest
        # budget limits the run, and an index consumes about as much as the table.
        indexes = self.index_budgets
        scarcest = min(self.budget_wcu, *indexes.values(), math.inf)
        wcu = sum(self.wcu.values())
        if not self.written or not wcu or not scarcest:
            return None
        each = wcu / self.written / (1 + len(indexes))
        return remaining(left, each, scarcest)

    def _state(self) -> tuple[State, str]:
        if self._ended:
            return "ended", ""
        if self._stopping is not None:
            return "draining", self._stopping
        if self._pause_reason is not None:
            return "paused", self._pause_reason
        if self._waiting is not None and self._waiting[1] == self._progress_mark:
            return "waiting", self._waiting[0]
        return ("running", "") if self.started else ("starting", "")

    @property
    def _progress_mark(self) -> int:
        """A number that grows with every answer; while it does not change, the run makes no progress."""
        return self.written + self._pages

    def _run_started(self, event: RunStarted) -> None:
        super()._run_started(event)
        self._bound_by = event.bound_by
        self._before = event.settled_before.settled
        self._written_earlier = self.written
        self._settled_earlier, self._failed_earlier = self.counts.settled, self.counts.failed
        self._saved = {}
        self._begin_rates()  # items of earlier attempts are not part of this attempt's rate
        self._hot = HotLanes()

    def _begin_rates(self) -> None:
        """Start all rates anew: earlier samples do not describe the rate from now on."""
        self._items_rate, self._trend = RateWindow(RATE_SPAN_S), RateWindow(TREND_SPAN_S)
        self._wcu_rate, self._rcu_rate = RateWindow(RATE_SPAN_S), RateWindow(RATE_SPAN_S)

    def _suspended(self, event: Suspended) -> None:
        if event.part == 0:
            self._still_s += event.seconds
            self._begin_rates()

    def _page_read(self, event: PageRead) -> None:
        super()._page_read(event)
        self._hot.page_read(event)
        self._pages += 1

    def _batch_written(self, event: BatchWritten) -> None:
        super()._batch_written(event)
        self._latency.add(event.latency_s)
        self._hot.batch_written(event)

    def _throttled(self, event: Throttled) -> None:
        super()._throttled(event)
        self._hot.throttled(event)

    def _segment_finished(self, event: SegmentFinished) -> None:
        super()._segment_finished(event)
        self._hot.segment_finished(event)

    def _lanes_now(self) -> tuple[int, int] | None:
        lanes = self.lanes.values()
        return (sum(active for active, _ in lanes), sum(held for _, held in lanes)) if lanes else None

    def _checkpoint_saved(self, event: CheckpointSaved) -> None:
        self._saved[event.part] = event.settled

    def _rate_changed(self, event: RateChanged) -> None:
        super()._rate_changed(event)
        self._held_to_wcu = event.wcu if event.wcu < event.ceiling else None

    def _budget_changed(self, event: BudgetChanged) -> None:
        super()._budget_changed(event)
        self._bound_by = event.why
        self._trend = RateWindow(TREND_SPAN_S)  # the rate under another budget predicts nothing

    def _run_paused(self, event: Paused) -> None:
        super()._run_paused(event)
        self._pause_reason = event.why

    def _run_unpaused(self, event: Resumed) -> None:
        super()._run_unpaused(event)
        self._pause_reason = None

    def _is_waiting(self, event: Waiting) -> None:
        self._waiting = (event.reason, self._progress_mark)

    def _has_recovered(self, _event: Recovered) -> None:
        self._waiting = None

    def _is_stopping(self, event: Stopping) -> None:
        self._stopping = event.reason

    def _run_ended(self, _event: RunEnded) -> None:
        self._ended = True

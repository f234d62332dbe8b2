"""Lanes: one queue per segment, served round robin. Pure; time is an argument (seconds of a monotonic clock).

A segment is a range of the key hash, so a throttled partition holds back its own lane and no other. Workers skip a
lane that may not write yet and a batch that waits for its next attempt, so neither occupies a worker.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from refire_async.checkpoint.ledger import OpenPage
from refire_async.model.keys import Item
from refire_async.pacing.lane_rate import LaneRate

MIN_THROTTLED_LANES = 3
"""Fewer throttled lanes than this do not show that the shared capacity is exhausted."""

MAX_REMEMBERED_LANES = 256
"""Lanes whose rate is kept. A lane that is throttled up to its last batch gets no notice of its end; beyond this
number, lanes without work are dropped. Readers keep 32 or more lanes busy."""


@dataclass(slots=True)
class Batch:
    """Items of one page that are written together.

    `in_doubt`: an earlier try may have been applied, so a failed condition means that the item has fired.
    `attempts`: failures so far, other than throttling. `conflicts`: how often another writer had changed these items
    and they were read again. `ready_at`: earliest time of the next try. `marker_read`: this attempt has read the
    markers from the table itself, so that a change of a marker happened after the run began.
    """

    page: OpenPage
    items: list[Item]
    in_doubt: bool = False
    attempts: int = 0
    conflicts: int = 0
    ready_at: float = 0.0
    marker_read: bool = False


@dataclass(slots=True)
class Lane:
    """The work of one segment: retries first, then the rest of its pages, each with the position of its next item."""

    segment: int
    pages: deque[tuple[OpenPage, int]] = field(default_factory=deque)
    retries: deque[Batch] = field(default_factory=deque)
    rate: LaneRate = field(default_factory=LaneRate)

    @property
    def empty(self) -> bool:
        return not self.pages and not self.retries

    def held_back(self, now: float) -> bool:
        """Whether throttling limits the lane, or all its batches wait for their next attempt."""
        if self.rate.limit is not None:
            return True
        return not self.pages and bool(self.retries) and all(batch.ready_at > now for batch in self.retries)

    def ready_at(self) -> float:
        """The earliest time at which this lane has a batch to write. The lane is not empty."""
        if self.pages:
            return self.rate.next_at
        return max(self.rate.next_at, min(batch.ready_at for batch in self.retries))


class Lanes:
    """All lanes that have work, served round robin.

    `share` returns the write units per second that a lane may use until it is throttled.
    """

    def __init__(self, share: Callable[[], float] = lambda: math.inf) -> None:
        self._share = share
        self._lanes: dict[int, Lane] = {}
        self._turns: deque[Lane] = deque()

    def __len__(self) -> int:
        return len(self._turns)

    def held_back(self, now: float) -> int:
        """The number of lanes with work that throttling slows down or whose batches all wait for a retry."""
        return sum(lane.held_back(now) for lane in self._turns)

    def add_page(self, page: OpenPage) -> None:
        """Add a page whose items need a write."""
        self._lane(page.segment).pages.append((page, 0))

    def add_batch(self, batch: Batch) -> None:
        """Add a batch, to be written at `batch.ready_at` or later."""
        self._lane(batch.page.segment).retries.append(batch)

    def retry_now(self, now: float) -> None:
        """Make every waiting batch ready. The rate limits of the lanes stay."""
        for lane in self._turns:
            for batch in lane.retries:
                batch.ready_at = min(batch.ready_at, now)

    def processed(self, segment: int, units: float, now: float) -> None:
        """DynamoDB processed writes of `units` in the segment without throttling them."""
        lane = self._lanes.get(segment)
        if lane is not None:
            lane.rate.processed(units, now)
            if lane.empty and lane.rate.at_rest(now):
                del self._lanes[segment]

    def throttled(self, segment: int, now: float) -> None:
        """DynamoDB throttled the segment: from now on its lane is limited to the rate of its key range."""
        self._remembered(segment).rate.throttled(now)

    def throttled_share(self, now: float) -> float:
        """The share (0 to 1) of the unlimited lanes that DynamoDB has just throttled.

        A large share means that the shared capacity is exhausted rather than their key ranges. Fewer than
        `MIN_THROTTLED_LANES` lanes count as 0.
        """
        throttled = sum(lane.rate.just_throttled(now) for lane in self._lanes.values())
        if throttled < MIN_THROTTLED_LANES:
            return 0.0
        unlimited = sum(
            lane.rate.limit is None and not (lane.empty and lane.rate.at_rest(now))
            for lane in self._lanes.values()
        )
        return throttled / max(1, throttled + unlimited)

    def lift_limits(self, now: float) -> None:
        """Remove the limit of the lanes that were just throttled: their key ranges were not the cause."""
        for lane in self._lanes.values():
            if lane.rate.just_throttled(now):
                lane.rate.lift_limit()

    def next_batch(self, now: float, size_of: Callable[[OpenPage], int]) -> Batch | None:
        """Remove and return the next batch that may be written now, or None.

        `size_of` returns how many items of a page fit in one batch.
        """
        for _ in range(len(self._turns)):
            lane = self._turns[0]
            self._turns.rotate(-1)
            if lane.rate.next_at > now:
                continue
            batch = _next_retry(lane, now) or _next_cut(lane, size_of)
            if batch is not None:
                lane.rate.spend(len(batch.items) * batch.page.item_units, now, self._share())
                if lane.empty:
                    self._turns.remove(lane)
                return batch
        return None

    def wake_at(self) -> float | None:
        """The earliest time at which a lane has a batch to write; None if no lane has work."""
        return min((lane.ready_at() for lane in self._turns), default=None)

    def drain(self) -> dict[int, tuple[OpenPage, list[Item]]]:
        """Remove all work. Returns each page with its items that were not written, by page number."""
        rest: dict[int, tuple[OpenPage, list[Item]]] = {}
        for lane in self._turns:
            for page, start in lane.pages:
                rest.setdefault(page.number, (page, []))[1].extend(page.items[start:])
            for batch in lane.retries:
                rest.setdefault(batch.page.number, (batch.page, []))[1].extend(batch.items)
        self._turns.clear()
        self._lanes.clear()
        return rest

    def _remembered(self, segment: int) -> Lane:
        lane = self._lanes.get(segment)
        if lane is None:
            if len(self._lanes) >= MAX_REMEMBERED_LANES:
                self._lanes = {known.segment: known for known in self._turns}
            lane = self._lanes[segment] = Lane(segment)
        return lane

    def _lane(self, segment: int) -> Lane:
        """The lane of `segment`, in the round. The caller adds work to it."""
        lane = self._remembered(segment)
        if lane.empty:
            self._turns.append(lane)
        return lane


def _next_retry(lane: Lane, now: float) -> Batch | None:
    for position, batch in enumerate(lane.retries):
        if batch.ready_at <= now:
            del lane.retries[position]
            return batch
    return None


def _next_cut(lane: Lane, size_of: Callable[[OpenPage], int]) -> Batch | None:
    if not lane.pages:
        return None
    page, start = lane.pages[0]
    end = start + size_of(page)
    if end >= len(page.items):
        lane.pages.popleft()
    else:
        lane.pages[0] = (page, end)
    return Batch(page, page.items[start:end], in_doubt=page.in_doubt, marker_read=page.in_doubt)

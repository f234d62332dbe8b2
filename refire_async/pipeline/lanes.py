"""Lanes: one queue per segment, served in turn. Pure; time is an argument.

A segment is a range of the key hash, so a throttled partition holds back its own lane and no other. A lane whose
time has not come, or a batch that waits for its next attempt, is passed over: it holds no worker.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from refire_async.checkpoint.ledger import OpenPage
from refire_async.model.keys import Item
from refire_async.pacing.lane_rate import LaneRate

FEW_LANES = 3

MOST_KNOWN = 256
"""Lanes whose pace is remembered. A lane that is throttled to its end is never told that it has ended; beyond this
many, those without work are forgotten. Readers have 32 at work at once."""


@dataclass(slots=True)
class Batch:
    """Items of one page that are written together.

    `in_doubt`: an earlier attempt may have been applied, so a failed condition means that the item has fired.
    `conflicts`: how often these items were found changed by another writer and looked at again. `looked_at`: this
    sitting has seen the markers in the table itself, so that a change of one is from after the run began.
    """

    page: OpenPage
    items: list[Item]
    in_doubt: bool = False
    attempts: int = 0
    conflicts: int = 0
    ready_at: float = 0.0
    looked_at: bool = False


@dataclass(slots=True)
class Lane:
    """What one segment has to write: batches to try again first, then the rest of its pages."""

    segment: int
    pages: deque[tuple[OpenPage, int]] = field(default_factory=deque)
    again: deque[Batch] = field(default_factory=deque)
    pace: LaneRate = field(default_factory=LaneRate)

    @property
    def empty(self) -> bool:
        return not self.pages and not self.again

    def held_back(self, now: float) -> bool:
        """Whether throttling limits it, or all that it has is waiting for another attempt."""
        if self.pace.limit is not None:
            return True
        return not self.pages and bool(self.again) and all(batch.ready_at > now for batch in self.again)

    def ready_at(self) -> float:
        """When this lane next has something to write, seen from the past."""
        if self.pages:
            return self.pace.next_at
        return max(self.pace.next_at, min(batch.ready_at for batch in self.again))


class Lanes:
    """All lanes that have work, visited round robin.

    `share` tells how many units per second a lane may write until it is refused.
    """

    def __init__(self, share: Callable[[], float] = lambda: math.inf) -> None:
        self._share = share
        self._lanes: dict[int, Lane] = {}
        self._turns: deque[Lane] = deque()

    def __len__(self) -> int:
        return len(self._turns)

    def held_back(self, now: float) -> int:
        """Lanes that have work and go slower because of a refusal, or wait for the next attempt after an error."""
        return sum(lane.held_back(now) for lane in self._turns)

    def add_page(self, page: OpenPage) -> None:
        """The items of `page` are to be written."""
        self._lane(page.segment).pages.append((page, 0))

    def add_batch(self, batch: Batch) -> None:
        """`batch` is to be written, from `batch.ready_at` on."""
        self._lane(batch.page.segment).again.append(batch)

    def hurry(self, now: float) -> None:
        """No batch waits for its next attempt any longer; what holds back a lane still does."""
        for lane in self._turns:
            for batch in lane.again:
                batch.ready_at = min(batch.ready_at, now)

    def accepted(self, segment: int, units: float, now: float) -> None:
        """`units` of the segment were written without being throttled."""
        lane = self._lanes.get(segment)
        if lane is not None:
            lane.pace.accepted(units, now)
            if lane.empty and lane.pace.rested(now):
                del self._lanes[segment]

    def refused(self, segment: int, now: float) -> None:
        """The segment was throttled: its lane goes at the pace of its key range from now on."""
        self._lane_if_any(segment).pace.refused(now)

    def refused_share(self, now: float) -> float:
        """Share of the lanes that nothing held back which were throttled a moment ago.

        Where it is large, it is not their key ranges that are scarce. One lane or two prove nothing.
        """
        fresh = sum(lane.pace.fresh(now) for lane in self._lanes.values())
        if fresh < FEW_LANES:
            return 0.0
        free = sum(
            lane.pace.limit is None and not (lane.empty and lane.pace.rested(now))
            for lane in self._lanes.values()
        )
        return fresh / max(1, fresh + free)

    def lift(self, now: float) -> None:
        """It was not the key ranges: lanes that were just throttled are not held back for it."""
        for lane in self._lanes.values():
            if lane.pace.fresh(now):
                lane.pace.lift()

    def take(self, now: float, size_of: Callable[[OpenPage], int]) -> Batch | None:
        """The next batch whose time has come, or None. `size_of` tells how many items of a page fit in one."""
        for _ in range(len(self._turns)):
            lane = self._turns[0]
            self._turns.rotate(-1)
            if lane.pace.next_at > now:
                continue
            batch = _first_ready(lane, now) or _cut(lane, size_of)
            if batch is not None:
                lane.pace.spend(len(batch.items) * batch.page.item_units, now, self._share())
                if lane.empty:
                    self._turns.remove(lane)
                return batch
        return None

    def wake_at(self) -> float | None:
        """When the next lane has something to write; None if there is no work at all."""
        return min((lane.ready_at() for lane in self._turns), default=None)

    def drain(self) -> dict[int, tuple[OpenPage, list[Item]]]:
        """Take out all that is left, by page number."""
        rest: dict[int, tuple[OpenPage, list[Item]]] = {}
        for lane in self._turns:
            for page, start in lane.pages:
                rest.setdefault(page.number, (page, []))[1].extend(page.items[start:])
            for batch in lane.again:
                rest.setdefault(batch.page.number, (batch.page, []))[1].extend(batch.items)
        self._turns.clear()
        self._lanes.clear()
        return rest

    def _lane_if_any(self, segment: int) -> Lane:
        lane = self._lanes.get(segment)
        if lane is None:
            if len(self._lanes) >= MOST_KNOWN:
                self._lanes = {known.segment: known for known in self._turns}
            lane = self._lanes[segment] = Lane(segment)
        return lane

    def _lane(self, segment: int) -> Lane:
        lane = self._lane_if_any(segment)
        if lane.empty:
            self._turns.append(lane)
        return lane


def _first_ready(lane: Lane, now: float) -> Batch | None:
    for position, batch in enumerate(lane.again):
        if batch.ready_at <= now:
            del lane.again[position]
            return batch
    return None


def _cut(lane: Lane, size_of: Callable[[OpenPage], int]) -> Batch | None:
    if not lane.pages:
        return None
    page, start = lane.pages[0]
    end = start + size_of(page)
    if end >= len(page.items):
        lane.pages.popleft()
    else:
        lane.pages[0] = (page, end)
    return Batch(page, page.items[start:end], in_doubt=page.in_doubt, looked_at=page.in_doubt)

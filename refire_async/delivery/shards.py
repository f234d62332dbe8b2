"""The records of a shard in memory: its lanes, and the tokens up to which everything is settled. Pure."""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from refire_async.delivery.batches import Batch, body_bytes, make_batch
from refire_async.delivery.lanes import split_into_lanes
from refire_async.delivery.record import EventRecord
from refire_async.delivery.saved import Flight, SavedLane, SavedShard
from refire_async.delivery.sink import Skipped

RECORD_BYTES = 300
"""Memory of a record beside its body: the tuple, its key and its numbers, measured with sys.getsizeof."""

_SEQUENCE = attrgetter("sequence")


@dataclass(slots=True)
class Arrivals:
    """Records of one `put`, by lane: `sizes` are the bytes of their bodies, `memory` what all of them take."""

    by_lane: dict[int, list[EventRecord]]
    sizes: dict[int, int]
    count: int
    memory: int


def memory_of(batch: Batch) -> int:
    """Bytes of memory that the records of a batch take."""
    return batch.size_bytes + RECORD_BYTES * len(batch.records)


@dataclass(slots=True)
class _Portion:
    """What one `put` brought: its token is reached when none of its records is `left` to settle."""

    token: str
    left: int
    skipped: Skipped | None


@dataclass(slots=True, eq=False)
class Lane:
    """Records of one lane in order: `work` before `pending`. At most one batch of a lane is invoked at a time.

    `work` are batches that were made already (halves, retries). `size_bytes` are those of the bodies in `pending`.
    `refusals` counts invocations refused in a row, `delayed_until` and `window_ends` are times of a monotonic clock.
    """

    shard: "Shard"
    number: int
    settled: int | None = None
    reached: int | None = None
    flight: Flight | None = None
    work: deque[Batch] = field(default_factory=deque)
    pending: list[EventRecord] = field(default_factory=list)
    size_bytes: int = 0
    busy: bool = False
    queued: bool = False
    refusals: int = 0
    delayed_until: float | None = None
    window_ends: float | None = None
    portions: deque[tuple[_Portion, int]] = field(default_factory=deque)

    def saved(self) -> SavedLane:
        """What the ledger keeps."""
        return SavedLane(self.settled, self.reached, self.flight)

    def is_full(self, batch_size: int, room: int) -> bool:
        """Whether no further record would come into the next batch."""
        return bool(self.work) or len(self.pending) >= batch_size or self.size_bytes >= room

    def take(self, batch_size: int, room: int) -> Batch:
        """Take the next batch out of the lane, which has one. See `make_batch`."""
        if self.work:
            return self.work.popleft()
        batch = make_batch(self.pending, batch_size, room)
        del self.pending[: len(batch.records)]
        self.size_bytes -= batch.size_bytes
        return batch

    def repeated(self, batch: Batch) -> int:
        """How many records of `batch` were in an invocation before."""
        if self.reached is None or batch.first > self.reached:
            return 0
        return bisect_right(batch.records, self.reached, key=_SEQUENCE)

    def invoked(self, batch: Batch) -> None:
        """An invocation of `batch` may have run."""
        if self.reached is None or batch.last > self.reached:
            self.reached = batch.last


class Shard:
    """The records of one shard that are not settled yet."""

    def __init__(self, name: str, lanes: int, saved: SavedShard) -> None:
        self.name = name
        self.token = saved.token
        self.unsettled = 0
        self.failed = 0
        """Records given up since the last drain."""
        self.flushed = False
        """Whether batches that are not full go out at once: the source drains, or waits for room."""
        self._lanes = lanes
        self._portions: deque[_Portion] = deque()
        self.lanes = {
            number: Lane(self, number, settled=lane.settled, reached=lane.reached)
            for number, lane in saved.lanes.items()
        }

    def arrivals(self, records: Sequence[EventRecord]) -> Arrivals:
        """Those of `records` that no earlier attempt has settled."""
        by_lane = split_into_lanes(records, self._lanes)
        for number, share in [*by_lane.items()]:
            settled = self._settled(number)
            if settled is not None and share[0].sequence <= settled:
                by_lane[number] = share[bisect_right(share, settled, key=_SEQUENCE) :]
                if not by_lane[number]:
                    del by_lane[number]
        sizes = {number: body_bytes(share) for number, share in by_lane.items()}
        count = sum(map(len, by_lane.values()))
        return Arrivals(by_lane, sizes, count, sum(sizes.values()) + RECORD_BYTES * count)

    def put(self, arrivals: Arrivals, token: str, skipped: Skipped | None) -> list[Lane]:
        """Take the records; returns the lanes that got any."""
        portion = _Portion(token, arrivals.count, skipped)
        self._portions.append(portion)
        changed = []
        for number, share in arrivals.by_lane.items():
            lane = self._lane(number)
            lane.pending += share
            lane.size_bytes += arrivals.sizes[number]
            lane.portions.append((portion, len(share)))
            changed.append(lane)
        self.unsettled += arrivals.count
        return changed

    def settle(self, lane: Lane, batch: Batch) -> list[Skipped]:
        """The next records of the lane are settled. Returns what the source skipped up to the token reached now."""
        lane.settled = batch.last
        count = len(batch.records)
        self.unsettled -= count
        while count:
            portion, left = lane.portions[0]
            part = min(count, left)
            count -= part
            portion.left -= part
            if part == left:
                lane.portions.popleft()
            else:
                lane.portions[0] = (portion, left - part)
        return self.advance()

    def advance(self) -> list[Skipped]:
        """Move the token over everything that is settled. Returns what the source skipped meanwhile."""
        skipped = []
        while self._portions and self._portions[0].left == 0:
            portion = self._portions.popleft()
            self.token = portion.token
            if portion.skipped is not None:
                skipped.append(portion.skipped)
        return skipped

    def _settled(self, number: int) -> int | None:
        lane = self.lanes.get(number)
        return None if lane is None else lane.settled

    def _lane(self, number: int) -> Lane:
        lane = self.lanes.get(number)
        if lane is None:
            lane = self.lanes[number] = Lane(self, number)
        return lane

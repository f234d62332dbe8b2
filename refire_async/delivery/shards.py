"""The records of a shard in memory: its lanes, and the tokens up to which everything is settled. Pure."""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from refire_async.delivery.batches import Batch, count_fitting
from refire_async.delivery.lanes import split_into_lanes
from refire_async.delivery.record import EventRecord
from refire_async.delivery.saved import Flight, SavedLane, SavedShard
from refire_async.delivery.sink import Skipped

RECORD_BYTES = 300
"""Memory of a record beside its body: the tuple, its key and its numbers, measured with sys.getsizeof."""

_SEQUENCE = attrgetter("sequence")


def memory_of(records: Sequence[EventRecord]) -> int:
    """Bytes of memory that records take."""
    return sum([len(record[0]) for record in records]) + RECORD_BYTES * len(records)


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

    def make_batch(self, batch_size: int, room: int) -> Batch:
        """Take the next batch out of the lane, which has one. It holds one record if that alone exceeds `room`."""
        if self.work:
            return self.work.popleft()
        count = max(1, count_fitting(self.pending, batch_size, room))
        records = self.pending[:count]
        del self.pending[:count]
        self.size_bytes -= sum([len(record[0]) for record in records])
        return Batch(records)

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
    """The records of one shard that are not settled yet. `size_bytes` is the memory that they take."""

    def __init__(self, name: str, lanes: int, saved: SavedShard) -> None:
        self.name = name
        self.token = saved.token
        self.size_bytes = 0
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

    def put(self, records: Sequence[EventRecord], token: str, skipped: Skipped | None) -> list[Lane]:
        """Take records that `fresh` let through; the lanes that got any."""
        portion = _Portion(token, len(records), skipped)
        self._portions.append(portion)
        changed = []
        for number, share in split_into_lanes(records, self._lanes).items():
            lane = self._lane(number)
            lane.pending += share
            size = sum([len(record[0]) for record in share])
            lane.size_bytes += size
            lane.portions.append((portion, len(share)))
            self.size_bytes += size + RECORD_BYTES * len(share)
            changed.append(lane)
        self.unsettled += len(records)
        return changed

    def fresh(self, records: Sequence[EventRecord]) -> Sequence[EventRecord]:
        """Those of `records` that no earlier attempt has settled."""
        reached = [lane.settled for lane in self.lanes.values() if lane.settled is not None]
        if not records or not reached or records[0].sequence > max(reached):
            return records
        settled = {number: lane.settled for number, lane in self.lanes.items() if lane.settled is not None}
        split = split_into_lanes(records, self._lanes)
        passed = {
            record.sequence
            for number, share in split.items()
            if number in settled
            for record in share
            if record.sequence <= settled[number]
        }
        return [record for record in records if record.sequence not in passed]

    def settle(self, lane: Lane, records: Sequence[EventRecord]) -> list[Skipped]:
        """The next `records` of the lane are settled. Returns what the source skipped up to the token reached now."""
        lane.settled = records[-1].sequence
        count = len(records)
        self.unsettled -= count
        self.size_bytes -= memory_of(records)
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

    def _lane(self, number: int) -> Lane:
        lane = self.lanes.get(number)
        if lane is None:
            lane = self.lanes[number] = Lane(self, number)
        return lane

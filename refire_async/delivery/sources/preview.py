"""What a source would deliver, counted while it is read ahead. Pure."""

from collections import Counter
from collections.abc import Sequence

from refire_async.delivery.batches import EVENT
from refire_async.delivery.lanes import lane_of
from refire_async.delivery.record import EventRecord
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.sink import Preview, Skipped

_SAMPLES = 3


class PreviewCounts:
    """Counts the records that a source would put into a sink, in their order per shard."""

    def __init__(self, rules: DeliveryRules) -> None:
        self._rules = rules
        self._room = EVENT.room()
        self._open: dict[tuple[str, int], tuple[int, int]] = {}
        """Records and bytes of the batch that is being filled, by shard and lane."""
        self._batches: Counter[tuple[str, int]] = Counter()
        self._records = 0
        self._bytes = 0
        self._kinds: Counter[str] = Counter()
        self._first = self._last = 0.0
        self._samples: list[bytes] = []

    def add(self, shard: str, records: Sequence[EventRecord]) -> None:
        """Count records of a shard."""
        if not records:
            return
        times = [record.created_at for record in records]
        first, last = min(times), max(times)
        if self._records:
            first, last = min(first, self._first), max(last, self._last)
        self._first, self._last = first, last
        self._records += len(records)
        self._kinds.update(record.kind for record in records)
        if len(self._samples) < _SAMPLES:
            self._samples += [record.body for record in records[: _SAMPLES - len(self._samples)]]
        for record in records:
            self._pack(shard, record)

    def _pack(self, shard: str, record: EventRecord) -> None:
        """Put the record into its lane's batch, or into the next one if that is full."""
        size = len(record.body)
        self._bytes += size
        lane = (shard, lane_of(record.key, self._rules.parallelization))
        count, joined = self._open.get(lane, (0, 0))
        if count and count < self._rules.batch_size and joined + 1 + size <= self._room:
            self._open[lane] = (count + 1, joined + 1 + size)
        else:
            self._open[lane] = (1, size)
            self._batches[lane] += 1

    def preview(
        self,
        skipped: Skipped,
        *,
        lost_before: float | None = None,
        stale: int = 0,
        stale_keys: tuple[str, ...] = (),
    ) -> Preview:
        """What was counted, with what the source knows besides."""
        return Preview(
            records=self._records,
            batches=self._batches.total(),
            busiest_lane=max(self._batches.values(), default=0),
            size_bytes=self._bytes,
            first_at=self._first if self._records else None,
            last_at=self._last if self._records else None,
            by_kind=tuple(sorted(self._kinds.items())),
            skipped=skipped,
            lost_before=lost_before,
            stale=stale,
            stale_keys=stale_keys,
            samples=tuple(self._samples),
        )

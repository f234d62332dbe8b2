"""What is counted ahead is what the lanes will be given."""

from refire_async.delivery.record import EventRecord
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.sink import Skipped
from refire_async.delivery.sources.preview import PreviewCounts


def _records(number: int, key: bytes = b"") -> list[EventRecord]:
    return [
        EventRecord(b'{"n":%d}' % at, key or b"k%d" % at, at + 1, 1_796_000_000.0 + at, "MODIFY")
        for at in range(number)
    ]


def test_the_busiest_lane_has_the_batches_that_come_one_after_another() -> None:
    """Shards of 25 and of 5 records: of 4 batches, 3 are in one lane. With more lanes per shard, fewer are."""
    counts = PreviewCounts(DeliveryRules(batch_size=10))
    counts.add("a", _records(25))
    counts.add("b", _records(5))
    found = counts.preview(Skipped())
    assert (found.batches, found.busiest_lane) == (4, 3)

    wider = PreviewCounts(DeliveryRules(batch_size=10, parallelization=10))
    wider.add("a", _records(100))
    spread = wider.preview(Skipped())
    assert spread.busiest_lane is not None
    assert spread.busiest_lane <= 3 < spread.batches


def test_records_of_one_key_are_in_one_lane() -> None:
    """No parallelization makes a hot key faster."""
    counts = PreviewCounts(DeliveryRules(batch_size=10, parallelization=10))
    counts.add("a", _records(100, b"hot"))
    found = counts.preview(Skipped())
    assert (found.batches, found.busiest_lane) == (10, 10)


def test_nothing_to_deliver() -> None:
    """No batches, and no lane."""
    found = PreviewCounts(DeliveryRules()).preview(Skipped())
    assert (found.records, found.batches, found.busiest_lane) == (0, 0, 0)

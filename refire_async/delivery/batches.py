"""How many records make a batch, and the event that a batch becomes. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from refire_async.delivery.record import EventRecord
from refire_async.delivery.target import EVENT_LIMIT

_BODY = itemgetter(0)
"""The body of a record: half the time of `record.body` in a loop."""


class Envelope(NamedTuple):
    """What stands before and after the records in an event."""

    before: bytes
    after: bytes

    def room(self, limit: int = EVENT_LIMIT) -> int:
        """Bytes for the records and the commas between them in an event of at most `limit` bytes."""
        return limit - len(self.before) - len(self.after)

    def join(self, records: Sequence[EventRecord]) -> bytes:
        """The event of one or more records. Their bodies are copied once, and not decoded."""
        bodies = [*map(_BODY, records)]
        bodies[0] = self.before + bodies[0]
        bodies[-1] += self.after
        return b",".join(bodies)


EVENT = Envelope(b'{"Records":[', b"]}")
"""What a function receives from an event source mapping."""

ARRAY = Envelope(b"[", b"]")
"""What a function receives from a Pipe: the bare array."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one lane in ascending order, for one invocation. There is at least one.

    `size_bytes` are those of the bodies. `attempts` counts the failed invocations that use up a retry, `invocations`
    all that may have run.
    """

    records: Sequence[EventRecord]
    size_bytes: int
    attempts: int = 0
    invocations: int = 0

    @property
    def first(self) -> int:
        """Sequence number of the first record."""
        return self.records[0].sequence

    @property
    def last(self) -> int:
        """Sequence number of the last record."""
        return self.records[-1].sequence

    def part(self, start: int, end: int | None = None) -> "Batch":
        """The batch of some of its records, with the attempts that it has used."""
        records = self.records[start:end]
        return replace(self, records=records, size_bytes=body_bytes(records))

    def halves(self) -> tuple["Batch", "Batch"]:
        """Two batches of a batch of at least two records: the first is the larger one if the number is odd."""
        middle = (len(self.records) + 1) // 2
        return self.part(0, middle), self.part(middle)


def body_bytes(records: Sequence[EventRecord]) -> int:
    """Bytes of the bodies of records."""
    return sum(map(len, map(_BODY, records)))


def make_batch(pending: Sequence[EventRecord], batch_size: int, room: int) -> Batch:
    """The batch of the first records: at most `batch_size` of them, and `room` bytes with the commas between them.

    It has one record at least, even if that alone is larger than `room`.
    """
    first = pending[:batch_size]
    size = body_bytes(first)
    if size + len(first) - 1 <= room:
        return Batch(first, size)
    ends = accumulate(len(record[0]) + 1 for record in first)
    count = max(1, sum(1 for end in ends if end - 1 <= room))
    return Batch(first[:count], body_bytes(first[:count]))

"""How many records make a batch, and the event that a batch becomes. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

from refire_async.delivery.record import EventRecord
from refire_async.delivery.target import EVENT_LIMIT


class Envelope(NamedTuple):
    """What stands before and after the records in an event."""

    before: bytes
    after: bytes

    def room(self, limit: int = EVENT_LIMIT) -> int:
        """Bytes for the records and the commas between them in an event of at most `limit` bytes."""
        return limit - len(self.before) - len(self.after)

    def join(self, records: Sequence[EventRecord]) -> bytes:
        """The event of one or more records. Their bodies are copied once, and not decoded."""
        bodies = [record[0] for record in records]
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

    `attempts` counts the failed invocations that use up a retry, `invocations` all that may have run.
    """

    records: Sequence[EventRecord]
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
        return replace(self, records=self.records[start:end])

    def halves(self) -> tuple["Batch", "Batch"]:
        """Two batches of a batch of at least two records: the first is the larger one if the number is odd."""
        middle = (len(self.records) + 1) // 2
        return self.part(0, middle), self.part(middle)


def joined_bytes(records: Sequence[EventRecord]) -> int:
    """Bytes of the records and of the commas between them."""
    return sum([len(record[0]) for record in records]) + max(len(records) - 1, 0)


def count_fitting(pending: Sequence[EventRecord], batch_size: int, room: int) -> int:
    """How many of the first records make a batch of at most `batch_size` records and `room` bytes (joined).

    0 if the first one alone is larger than `room`.
    """
    first = pending[:batch_size]
    if joined_bytes(first) <= room:
        return len(first)
    sizes = accumulate(len(record[0]) + 1 for record in first)
    return sum(1 for size in sizes if size - 1 <= room)

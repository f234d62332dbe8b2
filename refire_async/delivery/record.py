"""One record of a stream in the form in which a Lambda function receives it."""

from typing import Literal, NamedTuple, TypeAlias

EventKind: TypeAlias = Literal["INSERT", "MODIFY", "REMOVE"]


class EventRecord(NamedTuple):
    """A record of an event: what lanes, batches and the ledger need of it, and its bytes. Made per record, so a tuple.

    `body` is one member of an event's `Records`: a JSON object, UTF-8, without a line end. `key` is the record's
    full primary key in canonical form (delivery/keys.py): equal keys have equal bytes. `sequence` is the sequence
    number, ascending within a shard. `created_at` is ApproximateCreationDateTime in seconds since the epoch.
    """

    body: bytes
    key: bytes
    sequence: int
    created_at: float
    kind: EventKind

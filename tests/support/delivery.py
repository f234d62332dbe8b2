"""Records, sources and targets of deliveries, in memory."""

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import orjson

from refire_async.delivery.record import EventRecord
from refire_async.delivery.target import Answer

START_S = 1_796_000_000.0
"""When the first record of a test was made, in seconds since the epoch."""


def record(sequence: int, key: str = "k", *, at: float | None = None, padding: int = 0) -> EventRecord:
    """A MODIFY of the item `key`. `padding` are bytes of its image."""
    body = {
        "eventID": f"{sequence:032x}",
        "eventName": "MODIFY",
        "dynamodb": {
            "ApproximateCreationDateTime": START_S + sequence if at is None else at,
            "Keys": {"pk": {"S": key}},
            "NewImage": {"pk": {"S": key}, "data": {"S": "x" * padding}},
            "SequenceNumber": f"{sequence:021d}",
        },
    }
    return EventRecord(
        orjson.dumps(body),
        orjson.dumps({"pk": {"S": key}}),
        sequence,
        START_S + sequence if at is None else at,
        "MODIFY",
    )


def records(sequences: Iterable[int], keys: int = 1, **more: Any) -> list[EventRecord]:
    """A record per sequence number; they go round `keys` items."""
    return [record(sequence, f"k{sequence % keys}", **more) for sequence in sequences]


def sequences_in(event: bytes) -> list[int]:
    """Sequence numbers of the records of an event, in their order."""
    data = json.loads(event)
    found = data["Records"] if isinstance(data, dict) else data
    return [int(one["dynamodb"]["SequenceNumber"]) for one in found]


def failures_answer(*identifiers: object) -> Answer:
    """The answer of a function that reports these failed records."""
    return Answer(orjson.dumps({"batchItemFailures": [{"itemIdentifier": one} for one in identifiers]}))


def function_error(kind: str = "Unhandled") -> Answer:
    """The answer of a function that raised an error."""
    return Answer(b'{"errorMessage":"no","errorType":"ValueError"}', function_error=kind)


Behaviour = Callable[[list[int]], Awaitable[Answer]]


class FakeTarget:
    """A target in memory: calls `behave` with the sequence numbers of each event and notes them in `calls`."""

    name = "arn:aws:lambda:eu-west-1:123456789012:function:fake"
    wants_array = False

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self.calls: list[list[int]] = []

    async def invoke(self, event: bytes) -> Answer:
        """See `Target.invoke`."""
        sequences = sequences_in(event)
        self.calls.append(sequences)
        return await self._behave(sequences)


async def accept(_sequences: Sequence[int]) -> Answer:
    """A behaviour: every record is taken."""
    return Answer()

"""What an event source mapping or a Pipe leaves behind of a batch that it gave up. Pure.

Shapes: Lambda Developer Guide (Retain discarded records with on-failure destinations), EventBridge Pipes User Guide
(dead-letter queues), and recorded answers of the real service. What comes from a queue or a file may be hostile.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from refire_async.errors import UsageError

OF_SHARD = "#"
"""Between a shard's id and a range of it. Ids of shards have none (API reference: Shard)."""

_DEEPEST = 5
"""Wrappings at most: an answer of ReceiveMessage, a message, a notification of SNS, and the record."""

_ARN = "arn:"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedBatch:
    """One failed batch. `first` and `last` are sequence numbers, both inclusive; times are seconds since the epoch.

    `start` is `first` as the service writes it, since emulators want its leading zeros back. `load` gives the members
    of the event where the record carries its payload: the batch exactly. Without it the range holds the batch and
    possibly more: records that a filter dropped, and those of other lanes that succeeded. `where` names the record for
    messages: a file and a line, a queue and a message.
    """

    stream_arn: str
    shard_id: str
    first: int
    last: int
    start: str
    batch_size: int
    condition: str
    where: str
    function: str | None = None
    from_pipe: bool = False
    first_arrival: float | None = None
    last_arrival: float | None = None
    load: Callable[[], list[dict[str, Any]]] | None = field(default=None, repr=False)


def parse_failures(text: bytes | str, where: str) -> list[FailedBatch]:
    """The failed batches in a JSON text: an invocation record, or what a queue, SNS or a list wraps around some.

    Raises UsageError that names `where` and what is wrong.
    """
    return list(_unwrap(_loads(text, where), where, 0))


def _loads(text: bytes | str, where: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _refusal(where, "is not JSON") from None


def _unwrap(value: Any, where: str, depth: int) -> Iterator[FailedBatch]:
    if depth > _DEEPEST:
        raise _refusal(where, "is wrapped more often than any service does")
    match value:
        case {"DDBStreamBatchInfo": dict(info)}:
            yield _batch(value, info, where)
        case {"KinesisBatchInfo": _}:
            raise _refusal(where, "is about a Kinesis stream, not a DynamoDB stream")
        case {"Messages": list(messages)}:
            yield from _each(messages, where, depth)
        case {"Type": "Notification", "Message": str(text)} | {"Body": str(text)} | {"body": str(text)}:
            yield from _unwrap(_loads(text, where), where, depth + 1)
        case list():
            yield from _each(value, where, depth)
        case _:
            raise _refusal(where, "is not the record of a failed batch")


def _each(values: Iterable[Any], where: str, depth: int) -> Iterator[FailedBatch]:
    for number, value in enumerate(values, 1):
        yield from _unwrap(value, f"{where} number {number}", depth + 1)


def _batch(value: dict[str, Any], info: dict[str, Any], where: str) -> FailedBatch:
    first, last = _number(info, "startSequenceNumber", where), _number(info, "endSequenceNumber", where)
    if first > last:
        raise _refusal(where, "ends before it begins")
    context = value.get("requestContext")
    pipe = value.get("context")
    context = context if isinstance(context, dict) else {}
    pipe = pipe if isinstance(pipe, dict) else {}
    size = info.get("batchSize")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise _refusal(where, "has no batchSize")
    function = context.get("functionArn")
    condition = context.get("condition") or pipe.get("condition")
    records = _payload(value.get("payload"), first, last, where)
    return FailedBatch(
        stream_arn=_stream(info, where),
        shard_id=_text(info, "shardId", where),
        first=first,
        last=last,
        start=info["startSequenceNumber"],
        batch_size=size,
        condition=condition if isinstance(condition, str) else "unknown",
        where=where,
        function=function if isinstance(function, str) and function.startswith(_ARN) else None,
        from_pipe=bool(pipe),
        first_arrival=_time(info.get("approximateArrivalOfFirstRecord")),
        last_arrival=_time(info.get("approximateArrivalOfLastRecord")),
        load=None if records is None else lambda: records,
    )


def _payload(payload: Any, first: int, last: int, where: str) -> list[dict[str, Any]] | None:
    """The records of the event that was sent. S3 holds it as an object, in the documentation as an escaped text."""
    if payload is None:
        return None
    if isinstance(payload, str):
        payload = _loads(payload, f"the payload of {where}")
    records = payload.get("Records") if isinstance(payload, dict) else payload
    if not isinstance(records, list) or not records:
        raise _refusal(where, "has a payload without records")
    for record in records:
        change = record.get("dynamodb") if isinstance(record, dict) else None
        if not isinstance(change, dict) or not isinstance(change.get("Keys"), dict):
            raise _refusal(where, "has a payload with something else than stream records")
        if not first <= _number(change, "SequenceNumber", where) <= last:
            raise _refusal(where, "has a payload with records from outside its range")
    return records


def _stream(info: dict[str, Any], where: str) -> str:
    arn = _text(info, "streamArn", where)
    if not (arn.startswith(_ARN) and ":table/" in arn and "/stream/" in arn):
        raise _refusal(where, "does not name a DynamoDB stream")
    return arn


def _text(info: dict[str, Any], name: str, where: str) -> str:
    value = info.get(name)
    if not isinstance(value, str) or not value or len(value) > 1_000:
        raise _refusal(where, f"has no {name}")
    return value


def _number(info: dict[str, Any], name: str, where: str) -> int:
    """A sequence number: 21 to 40 digits (DynamoDB API reference: SequenceNumberRange); emulators have fewer."""
    value = info.get(name)
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 40:
        raise _refusal(where, f"has no {name}")
    return int(value)


def _time(value: Any) -> float | None:
    """Seconds since the epoch of an ISO 8601 time with a zone; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return None if at.tzinfo is None else at.timestamp()
    except (ValueError, OverflowError):
        return None


def _refusal(where: str, why: str) -> UsageError:
    return UsageError(f"{where} {why}", "give the invocation records of an on-failure destination")


@dataclass(slots=True, kw_only=True)
class Range:
    """Sequence numbers of one shard that are to be delivered again, and the failed batches that they come from.

    With `exact` the batches carry their records and nothing is read from the stream.
    """

    stream_arn: str
    shard_id: str
    first: int
    last: int
    start: str
    exact: bool
    batches: list[FailedBatch]

    @property
    def expected(self) -> int:
        """How many records the batches had. Batches that overlap count a common record more than once."""
        return sum(batch.batch_size for batch in self.batches)

    @property
    def name(self) -> str:
        """Names the range in a ledger, within its stream."""
        return f"{self.shard_id}{OF_SHARD}{self.first}-{self.last}"

    @property
    def last_arrival(self) -> float | None:
        """The latest time of the batches' last records, in seconds since the epoch; None if none has one."""
        return max((one.last_arrival for one in self.batches if one.last_arrival is not None), default=None)


def merge(batches: Iterable[FailedBatch]) -> dict[tuple[str, str], list[Range]]:
    """By stream and shard: the ranges of the batches in ascending order, those that overlap merged into one."""
    shards: dict[tuple[str, str], list[FailedBatch]] = {}
    for batch in batches:
        shards.setdefault((batch.stream_arn, batch.shard_id), []).append(batch)
    return {shard: _merged(of_shard) for shard, of_shard in sorted(shards.items())}


def _merged(batches: Sequence[FailedBatch]) -> list[Range]:
    ranges: list[Range] = []
    for batch in sorted(batches, key=lambda one: (one.first, one.last)):
        exact = batch.load is not None
        if ranges and batch.first <= ranges[-1].last:
            current = ranges[-1]
            current.last = max(current.last, batch.last)
            current.exact &= exact
            current.batches.append(batch)
        else:
            ranges.append(
                Range(
                    stream_arn=batch.stream_arn,
                    shard_id=batch.shard_id,
                    first=batch.first,
                    last=batch.last,
                    start=batch.start,
                    exact=exact,
                    batches=[batch],
                )
            )
    return ranges

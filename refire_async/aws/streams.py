"""Read a table's stream.

Returns raw records in the JSON format of Lambda events (binary values in base64), over the same kind of transport as
the data plane. Reading twice changes nothing, so this module retries calls with temporary errors a few times.
"""

import random
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import anyio
import orjson

from refire_async.aws.data_plane import DataPlane
from refire_async.aws.errors import AwsError, Disposition, lost_answer
from refire_async.aws.http_backend import CALL_S
from refire_async.aws.types import Transport

_ATTEMPTS = 8
_FIRST_WAIT_S = 0.1
_MAX_WAIT_S = 5.0
_MAX_PAGES = 1_000
"""Most pages of DescribeStream, each with up to 100 shards."""

_MAX_DIGITS = 40
"""Most digits of a sequence number (API reference: StreamRecord)."""

LAST_SECOND = (1 << 32) - 1
"""The last Unix time (s) that a record can have, in the year 2106."""

T = TypeVar("T")

_TEMPORARY = (Disposition.THROTTLED, Disposition.RETRY, Disposition.UNKNOWN)


_NUMBER_BEGINS = b'"SequenceNumber":"'
_ITERATOR = rb'"NextShardIterator":(?:"([ !#-\[\]-~]*)"|null)'
_ITERATOR_FIRST = re.compile(rb'\{%b,"Records":\[' % _ITERATOR)
_ITERATOR_AT_END = re.compile(rb"\],%b\}\s*$" % _ITERATOR)


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard of a stream. `first` and `last` are sequence numbers (decimal text); an open shard has no `last`."""

    id: str
    parent: str | None
    first: str | None
    last: str | None

    @property
    def is_open(self) -> bool:
        """Whether records may still be added."""
        return self.last is None


def parents_first(shards: Iterable[Shard]) -> list[Shard]:
    """Sort shards so that every parent is before its children, which is the order of each item's records.

    A parent that the stream no longer contains (after 24 hours) is ignored.
    """
    children: dict[str | None, list[Shard]] = {}
    known = {shard.id: shard for shard in shards}
    for shard in known.values():
        children.setdefault(shard.parent if shard.parent in known else None, []).append(shard)
    ordered = children.pop(None, [])
    for shard in ordered:  # grows during the loop
        ordered.extend(children.pop(shard.id, ()))
    return ordered


class StreamReader:
    """Reads DynamoDB Streams."""

    def __init__(
        self,
        open_transport: Callable[[], Awaitable[Transport]],
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        """`open_transport` is called once, before the first request."""
        self._open_transport = open_transport
        self._sleep = sleep
        self._calls: DataPlane | None = None

    async def shards(self, stream_arn: str) -> list[Shard]:
        """All shards that the stream still has, parents before children. Raises AwsError."""
        found: list[Shard] = []
        page: dict[str, str] = {}
        for _ in range(_MAX_PAGES):
            answer = await self._ask("DescribeStream", {"StreamArn": stream_arn, **page})
            shards, last = _description(answer)
            found.extend(shards)
            if last is None:
                ordered = parents_first(found)
                if len(ordered) < len({shard.id for shard in found}):  # shards that are their own ancestors
                    break
                return ordered
            page = {"ExclusiveStartShardId": last}
        raise misshapen_stream("DescribeStream")

    async def records(
        self, stream_arn: str, shard_id: str, *, after: str | None = None
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        """The records of a shard in order, one list per answer. As `answers`, decoded."""
        async with aclosing(self.answers(stream_arn, shard_id, after=after)) as answers:
            async for answer in answers:
                yield parse_records(answer)

    async def answers(
        self,
        stream_arn: str,
        shard_id: str,
        *,
        after: str | None = None,
        at: str | None = None,
        since: float | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """The answers to GetRecords (JSON) of a shard in order.

        They begin `after` or `at` a sequence number, or at `since` (seconds since the epoch) or somewhat earlier, or at
        the beginning of the shard.

        Ends when the shard is closed and read to its end. An open shard never ends: an answer without records
        means that there was nothing new, although the service may also return one before the newest record (API
        reference: GetRecords). The caller decides when to continue; the limit is 5 calls per second.

        Raises:
            AwsError: FATAL if records were trimmed before they were read.
        """
        iterator = await self._iterator(stream_arn, shard_id, after, since, at)
        while iterator is not None:
            try:
                answer, last, following = await self._call(
                    "GetRecords", {"ShardIterator": iterator}, partial(_read_answer, after)
                )
            except AwsError as error:
                if error.name != "ExpiredIterator":
                    raise
                # An iterator is valid for 15 minutes; the caller took longer.
                iterator = await self._iterator(stream_arn, shard_id, after, since, at)
                continue
            after, iterator = last or after, following
            yield answer

    async def beginning(self, stream_arn: str, shard_id: str) -> str | None:
        """The iterator at the oldest record of a shard. Raises AwsError."""
        return await self._iterator(stream_arn, shard_id, None, None)

    async def count(self, iterator: str, limit: int) -> int:
        """How many of the next `limit` records there are. Raises AwsError."""
        answer = await self._ask("GetRecords", {"ShardIterator": iterator, "Limit": limit})
        return len(_records(answer)[0])

    async def _iterator(
        self, stream_arn: str, shard_id: str, after: str | None, since: float | None, at: str | None = None
    ) -> str | None:
        shard = {"StreamArn": stream_arn, "ShardId": shard_id}
        start: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if after is not None:
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        elif at is not None:
            start = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": at}
        elif since is not None:
            at_time = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": since}
            try:
                return _iterator_in(await self._ask("GetShardIterator", shard | at_time))
            except AwsError as error:
                # Emulators do not support this type, and the service rejects a time in the future.
                if error.name != "Validation":
                    raise
        return _iterator_in(await self._ask("GetShardIterator", shard | start))

    async def _ask(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return await self._call(operation, parameters, partial(_parse, operation))

    async def _call(self, operation: str, parameters: dict[str, Any], read: Callable[[bytes], T]) -> T:
        """The body of a 200 as parsed by `read`, which raises AwsError if it is not an answer."""
        if self._calls is None:
            self._calls = DataPlane(await self._open_transport())
        body = orjson.dumps(parameters)
        longest_s = _FIRST_WAIT_S
        until = anyio.current_time() + CALL_S
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return read(_object_text(operation, await self._calls.call(operation, body)))
            except AwsError as error:
                temporary = error.disposition in _TEMPORARY and error.name != "ExpiredIterator"
                if not temporary or attempt == _ATTEMPTS or anyio.current_time() >= until:
                    raise
            await self._sleep(random.uniform(0, longest_s))  # noqa: S311 - jitter, not a secret
            longest_s = min(2 * longest_s, _MAX_WAIT_S)
        raise AssertionError("the last attempt returns or raises")


def _object_text(operation: str, body: bytes) -> bytes:
    """Return the body if its first and last bytes are those of a JSON object. Raises AwsError."""
    text = body.strip()
    if len(text) < 2 or text[:1] + text[-1:] != b"{}":
        raise lost_answer("UnreadableAnswer", f"answer to {operation} is not a JSON object")
    return body


def _parse(operation: str, body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise lost_answer("UnreadableAnswer", f"answer to {operation} is not JSON") from error
    if not isinstance(parsed, dict):
        raise lost_answer("UnreadableAnswer", f"answer to {operation} is not a JSON object")
    return parsed


def misshapen_stream(operation: str) -> AwsError:
    return lost_answer("UnreadableAnswer", f"answer to {operation} is not what DynamoDB Streams sends")


def _description(answer: dict[str, Any]) -> tuple[list[Shard], str | None]:
    """The shards in an answer to DescribeStream, and the start of the next page. Raises AwsError."""
    described = answer.get("StreamDescription")
    if not isinstance(described, dict):
        raise misshapen_stream("DescribeStream")
    entries, last = described.get("Shards", []), described.get("LastEvaluatedShardId")
    if not isinstance(entries, list) or not isinstance(last, str | None):
        raise misshapen_stream("DescribeStream")
    return [_shard(entry) for entry in entries], last


def _shard(entry: Any) -> Shard:
    match entry:
        case {"ShardId": str(name)}:
            parent, numbers = entry.get("ParentShardId"), entry.get("SequenceNumberRange") or {}
        case _:
            raise misshapen_stream("DescribeStream")
    if not isinstance(parent, str | None) or not isinstance(numbers, dict):
        raise misshapen_stream("DescribeStream")
    first, last = numbers.get("StartingSequenceNumber"), numbers.get("EndingSequenceNumber")
    if not all(number is None or _is_number(number) for number in (first, last)):
        raise misshapen_stream("DescribeStream")
    return Shard(name, parent, first, last)


def _iterator_in(answer: dict[str, Any]) -> str | None:
    """The iterator in an answer to GetShardIterator. Raises AwsError."""
    iterator = answer.get("ShardIterator")
    if not isinstance(iterator, str | None):
        raise misshapen_stream("GetShardIterator")
    return iterator


def parse_records(body: bytes) -> list[dict[str, Any]]:
    """The records in a 200 of GetRecords. Raises AwsError if it is something else."""
    return _records(_parse("GetRecords", body))[0]


def parse_record(text: bytes) -> dict[str, Any]:
    """One record of an answer to GetRecords. Raises AwsError if it is something else."""
    record = _parse("GetRecords", text)
    if not _is_record(record):
        raise misshapen_stream("GetRecords")
    return record


def _read_answer(after: str | None, body: bytes) -> tuple[bytes, str | None, str | None]:
    """A 200 of GetRecords after this sequence number, the number of its last record, and the iterator in it.

    Raises AwsError if it is something else, or if it leads back: numbers of a shard increase.
    """
    last = last_number(body)
    if last is not None and after is not None and int(last) <= int(after):
        raise misshapen_stream("GetRecords")
    return body, last, next_iterator(body)


def next_iterator(body: bytes) -> str | None:
    """The iterator in a 200 of GetRecords; None at a shard's end. Decodes only the beginning or the end if possible.

    Raises AwsError.
    """
    found = _ITERATOR_FIRST.match(body)
    if found is None:
        found = _ITERATOR_AT_END.search(body, max(0, body.rfind(b'],"NextShardIterator":')))
    if found is None:
        return _records(_parse("GetRecords", body))[1]
    return None if found[1] is None else found[1].decode()


def last_number(body: bytes) -> str | None:
    """The sequence number of the last record in a 200 of GetRecords, None without records. Raises AwsError.

    In JSON without white space, the bytes of `_NUMBER_BEGINS` cannot be part of an image: the name of an attribute is
    followed by an object, and quotes within a text are escaped.
    """
    begin = body.rfind(_NUMBER_BEGINS) + len(_NUMBER_BEGINS)
    number = body[begin : body.find(b'"', begin)]
    if begin >= len(_NUMBER_BEGINS) and number.isdigit() and len(number) <= _MAX_DIGITS:
        return number.decode()
    records = parse_records(body)
    return records[-1]["dynamodb"]["SequenceNumber"] if records else None


def _records(answer: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """The records in an answer to GetRecords and the iterator that comes after them. Raises AwsError."""
    records, iterator = answer.get("Records", []), answer.get("NextShardIterator")
    if not isinstance(records, list) or not isinstance(iterator, str | None):
        raise misshapen_stream("GetRecords")
    if not all(map(_is_record, records)):
        raise misshapen_stream("GetRecords")
    return records, iterator


def _is_record(record: Any) -> bool:
    """Whether it has the members that every record has (API reference: Record, StreamRecord)."""
    match record:
        case {
            "eventName": str(),
            "dynamodb": {
                "SequenceNumber": number,
                "Keys": dict(keys),
                "ApproximateCreationDateTime": int() | float() as made_at,
            } as change,
        }:
            images = (keys, change.get("NewImage", {}), change.get("OldImage", {}))
            return _is_number(number) and 0 <= made_at <= LAST_SECOND and all(map(_is_item, images))
        case _:
            return False


def _is_item(image: Any) -> bool:
    """Whether it looks like an item in DynamoDB JSON. Does not check nested values."""
    if not isinstance(image, dict):
        return False
    return all(isinstance(value, dict) and len(value) == 1 for value in image.values())


def _is_number(text: object) -> bool:
    """Whether it is a sequence number: digits (API reference: StreamRecord)."""
    return isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS

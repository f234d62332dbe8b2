"""Reading a table's stream back: for proof and for the demo.

Raw records, in the JSON that Lambda consumers know (binary values in base64), over the same kind of transport as
the data plane. Reading twice does no harm, so calls that fail for a passing reason are made again here, a few
times.
"""

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import anyio
import orjson

from refire_async.wire.dataplane import DataPlane
from refire_async.wire.errors import Disposition, WireError, lost_answer
from refire_async.wire.types import Transport

_ATTEMPTS = 8
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_PASSING = (Disposition.THROTTLED, Disposition.RETRY, Disposition.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard of a stream. `first` and `last` are sequence numbers (decimal texts); an open shard has no last."""

    id: str
    parent: str | None
    first: str | None
    last: str | None

    @property
    def is_open(self) -> bool:
        """Whether records may still be added."""
        return self.last is None


def parents_first(shards: Iterable[Shard]) -> list[Shard]:
    """The shards so that every parent stands before its children: the order of each item's records.

    A parent that the stream no longer has (24 hours) is no obstacle.
    """
    children: dict[str | None, list[Shard]] = {}
    known = {shard.id: shard for shard in shards}
    for shard in known.values():
        children.setdefault(shard.parent if shard.parent in known else None, []).append(shard)
    ordered = children.pop(None, [])
    for shard in ordered:  # grows while it is walked
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
        """All shards that the stream still has, parents before children. Raises WireError."""
        found: list[Shard] = []
        page: dict[str, str] = {}
        while True:
            answer = await self._ask("DescribeStream", {"StreamArn": stream_arn, **page})
            described = answer["StreamDescription"]
            found.extend(_shard(entry) for entry in described.get("Shards", ()))
            last = described.get("LastEvaluatedShardId")
            if last is None:
                return parents_first(found)
            page = {"ExclusiveStartShardId": last}

    async def records(
        self, stream_arn: str, shard_id: str, *, after: str | None = None
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        """The records of a shard in order, a list per answer, from its beginning or `after` a sequence number.

        Ends when the shard is closed and read to its end. An open shard never ends: an empty list says that there
        was nothing new, though the service may say so before the newest record too (API reference: GetRecords).
        The caller decides when to ask again; more than 5 times a second is too often.

        Raises:
            WireError: FATAL if records were trimmed before they were read.
        """
        iterator = await self._iterator(stream_arn, shard_id, after)
        while iterator is not None:
            try:
                answer = await self._ask("GetRecords", {"ShardIterator": iterator})
            except WireError as error:
                if error.name != "ExpiredIterator":
                    raise
                # It lives 15 minutes; the caller took longer.
                iterator = await self._iterator(stream_arn, shard_id, after)
                continue
            records: list[dict[str, Any]] = answer.get("Records", [])
            if records:
                after = records[-1]["dynamodb"]["SequenceNumber"]
            iterator = answer.get("NextShardIterator")
            yield records

    async def _iterator(self, stream_arn: str, shard_id: str, after: str | None) -> str | None:
        start = (
            {"ShardIteratorType": "TRIM_HORIZON"}
            if after is None
            else {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        )
        answer = await self._ask("GetShardIterator", {"StreamArn": stream_arn, "ShardId": shard_id, **start})
        iterator: str | None = answer.get("ShardIterator")
        return iterator

    async def _ask(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if self._calls is None:
            self._calls = DataPlane(await self._open_transport())
        body = orjson.dumps(parameters)
        longest_s = _FIRST_WAIT_S
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return _parse(operation, await self._calls.call(operation, body))
            except WireError as error:
                passing = error.disposition in _PASSING and error.name != "ExpiredIterator"
                if not passing or attempt == _ATTEMPTS:
                    raise
            await self._sleep(random.uniform(0, longest_s))  # noqa: S311 - jitter, not a secret
            longest_s = min(2 * longest_s, _LONGEST_WAIT_S)
        raise AssertionError("the last attempt returns or raises")


def _parse(operation: str, body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise lost_answer("UnreadableAnswer", f"answer to {operation} is not JSON") from error
    if not isinstance(parsed, dict):
        raise lost_answer("UnreadableAnswer", f"answer to {operation} is not a JSON object")
    return parsed


def _shard(entry: dict[str, Any]) -> Shard:
    numbers = entry.get("SequenceNumberRange", {})
    return Shard(
        id=entry["ShardId"],
        parent=entry.get("ParentShardId"),
        first=numbers.get("StartingSequenceNumber"),
        last=numbers.get("EndingSequenceNumber"),
    )

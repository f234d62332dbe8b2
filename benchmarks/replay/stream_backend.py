"""A null backend that also has a stream and Lambda functions, which answer `null`.

`python -m benchmarks.replay.stream_backend SHARDS ATTRIBUTES`: the stream of table `hash-present-N` has N records in
closed shards, with images of 1 KB in so many attributes. Pages are prepared text in which only the number of the page
is set. A function `null-100` answers after 100 ms. Records in invocations count as written items.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import orjson

from benchmarks.framework.null_backend import (
    ARN,
    ITEM_BYTES,
    NOW,
    Connection,
    NullBackend,
    parse_table,
    render,
    segment_range,
    serve,
)

FUNCTION_ARN = "arn:aws:lambda:us-east-1:000000000000:function:null"
AGE_S = 600
"""How old the records are, by the time of the backend."""

_PAGE_BYTES = 1 << 20
_PAGE_MARK = "~~~~~~~"
"""What stands in prepared text for the number of the page, seven digits."""

_PAGES = 10_000
"""Pages of a shard at most."""

_ANSWER = (
    b"HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 06:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: 4\r\nConnection: keep-alive\r\nx-amzn-RequestId: 0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d\r\n"
    b"X-Amz-Executed-Version: $LATEST\r\n\r\nnull"
)
_INVOKE = re.compile(rb"POST /2015-03-31/functions/([^/ ?]+)/invocations")
_COUNTED = re.compile(rb'"SequenceNumber": ?"')
_OTHERS: tuple[tuple[re.Pattern[bytes], dict[str, Any]], ...] = (
    (
        re.compile(rb"GET /2015-03-31/functions/[^/ ]+/configuration"),
        {
            "FunctionName": "null",
            "FunctionArn": FUNCTION_ARN,
            "Version": "$LATEST",
            "State": "Active",
            "Timeout": 30,
        },
    ),
    (re.compile(rb"GET /2019-09-30/functions/[^/ ]+/concurrency"), {}),
    (re.compile(rb"GET /2015-03-31/event-source-mappings"), {"EventSourceMappings": []}),
)
"""Answers to the other requests to Lambda: there is no event source mapping and no reserved concurrency."""


@dataclass(frozen=True, slots=True)
class Pages:
    """The stream's text. Images have `attributes` texts; all records are of one size."""

    attributes: int
    created_at: int

    def record(self, number: int) -> dict[str, Any]:
        """A record of a page: an item whose marker was counted up."""
        place = f"{_PAGE_MARK}{number:04d}"
        key = {"pk": {"S": f"customer-{place}"}}
        width = (ITEM_BYTES - 60) // self.attributes - 24
        texts = {f"attribute_{n:02d}": {"S": "x" * width} for n in range(self.attributes)}
        return {
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": self.created_at,
                "Keys": key,
                "NewImage": {**key, "revision": {"N": "8"}, **texts},
                "OldImage": {**key, "revision": {"N": "7"}, **texts},
                "SequenceNumber": f"1000000000{place}",
                "SizeBytes": 2 * ITEM_BYTES,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventID": f"0123456789abcdef01234{place}",
            "eventName": "MODIFY",
            "eventSource": "aws:dynamodb",
            "eventVersion": "1.1",
        }

    @property
    def size(self) -> int:
        """Records of a full page: as many as 1 MB holds, with their commas."""
        return min(1_000, (_PAGE_BYTES - 200) // (len(orjson.dumps(self.record(0))) + 1))

    def text(self, count: int, page: int) -> bytes:
        """The records of a page, with commas between them."""
        return _template(self, count).replace(_PAGE_MARK.encode(), b"%07d" % page)


@cache
def _template(pages: Pages, count: int) -> bytes:
    return b",".join(orjson.dumps(pages.record(number)) for number in range(count))


def shard_name(number: int) -> str:
    """As the service names shards: time and a number."""
    return f"shardId-00000001700000000000-{number:08x}"


class StreamBackend(NullBackend):
    """Answers requests to DynamoDB, its streams, and Lambda."""

    def __init__(self, shards: int, attributes: int) -> None:
        super().__init__()
        self._shards = shards
        self._pages = Pages(attributes, NOW - AGE_S)
        self._page_size = self._pages.size

    def invoked(self, body: bytes) -> None:
        """Count the records of an event."""
        self._count(body.count(b'"SequenceNumber":"') or len(_COUNTED.findall(body)))

    def answer(self, operation: bytes, body: bytes) -> bytes:
        """See `NullBackend`. An iterator names table, shard and page."""
        if operation != b"GetRecords":
            return super().answer(operation, body)
        self._count(0)
        table, shard, page = orjson.loads(body)["ShardIterator"].split(":")
        number = int(page)
        start = number * self._page_size
        left = len(self._records_of(table, int(shard))) - start
        count = min(self._page_size, left)
        text = self._pages.text(count, int(shard) * _PAGES + number)
        following = b""
        if left > count:
            following = b',"NextShardIterator":"%b:%b:%d"' % (table.encode(), shard.encode(), number + 1)
        return render(b'{"Records":[%b]%b}' % (text, following))

    def _records_of(self, table: str, shard: int) -> range:
        return segment_range(parse_table(table).count, shard, self._shards)

    def _DescribeStream(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        shards = [
            {
                "ShardId": shard_name(number),
                "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "9" * 21},
            }
            for number in range(self._shards)
        ]
        described = {"StreamArn": request["StreamArn"], "StreamStatus": "ENABLED", "Shards": shards}
        return {"StreamDescription": described}

    def _GetShardIterator(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        table = request["StreamArn"].removeprefix(ARN).partition("/")[0]
        shard = int(request["ShardId"][-8:], 16)
        return {"ShardIterator": f"{table}:{shard}:0"}


class _Connection(Connection):
    """Also takes requests to Lambda."""

    def __init__(self, backend: StreamBackend) -> None:
        super().__init__(backend)
        self._stream = backend

    def take(self, data: bytes, end: int, after: int) -> None:
        """See `Connection`."""
        invocation = _INVOKE.match(data)
        if invocation is not None:
            self._stream.invoked(data[end + 4 : after])
            latency_ms = int(invocation[1].rpartition(b"-")[2])
            self._after(latency_ms / 1e3, partial(self.send, _ANSWER))
            return
        for pattern, answer in _OTHERS:
            if pattern.match(data):
                self.send(render(orjson.dumps(answer)))
                return
        super().take(data, end, after)

    @staticmethod
    def _after(seconds: float, send: Callable[[], None]) -> None:
        if seconds:
            asyncio.get_running_loop().call_later(seconds, send)
        else:
            send()


if __name__ == "__main__":
    serve(partial(_Connection, StreamBackend(*map(int, sys.argv[1:]))))

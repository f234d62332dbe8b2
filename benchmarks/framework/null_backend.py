"""A DynamoDB that answers at once and does nothing: what is left is the client's own cost.

Scan pages are slices of text made beforehand, answers to writes are made once per batch size, requests are looked at
only as far as needed to answer them. It does not check signatures or conditions. A table's name says what is
in it: ``hash-present-200000`` has 200,000 items with a hash key and a marker, see `parse_table`.

It counts written items and the read units that it charges and, when a count is reached that was asked for, notes the
CPU clock of the client: so all clients are measured by one instrument, from outside, between the same two moments of
their work.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any, cast
from zlib import crc32

import orjson

from benchmarks.framework.process import tree_cpu_seconds

ITEM_BYTES = 1024
"""What the items would weigh in a real table: pages end at 1 MB of these, and reads are charged for them."""

_PAGE_ITEMS = (1 << 20) // ITEM_BYTES
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_OPERATION = re.compile(rb"(?i)\r\nx-amz-target: *DynamoDB(?:Streams)?_20120810\.(\w+)")
_TABLE = re.compile(r"(hash|composite)-(present|missing)-(\d+)")
_DIGITS = 10
_BLOCK = 100_000
_BLOCK_MARK = "~~~~~"
"""What stands in prepared text for the number of the block, five digits; no item holds it."""

_END_BYTES = 256

_KEYS = re.compile(rb'"Keys": ?\[(.*?)\]', re.DOTALL)
_BETWEEN_KEYS = re.compile(rb"\}\}, ?\{")

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"
TABLE_ID = "00000000-0000-4000-8000-000000000000"
"""What tables of this backend are called, with their name after the first, and known by."""


@dataclass(frozen=True, slots=True)
class NullTable:
    """Items of one form. `shape`: "hash" (one key) or "composite" (two); `marker`: "present" or "missing"."""

    shape: str
    marker: str
    count: int

    @property
    def name(self) -> str:
        """The name that `parse_table` understands."""
        return f"{self.shape}-{self.marker}-{self.count}"

    def key(self, number: int) -> dict[str, dict[str, str]]:
        """The key of an item."""
        key = {"pk": {"S": f"customer-{number:0{_DIGITS}d}"}}
        if self.shape == "composite":
            key["sk"] = {"S": f"order-{number:0{_DIGITS}d}"}
        return key

    def item(self, number: int) -> dict[str, dict[str, str]]:
        """Key and marker of an item, as Scan gives them."""
        item = self.key(number)
        if self.marker == "present":
            item["revision"] = {"N": "7"}
        return item


def parse_table(name: str) -> NullTable:
    """The table of that name. Raises ValueError."""
    found = _TABLE.fullmatch(name)
    if found is None:
        raise ValueError(f"table {name}: must be named like hash-present-200000")
    return NullTable(found[1], found[2], int(found[3]))


def segment_range(count: int, segment: int, total: int) -> range:
    """The numbers of the items of one Scan segment."""
    return range(segment * count // total, (segment + 1) * count // total)


NOW = 1_795_413_600
"""The time of this backend, in seconds since the epoch: the Date of all its answers."""


def render(body: bytes) -> bytes:
    """A whole answer of status 200, with the headers that the service sends."""
    head = (
        "HTTP/1.1 200 OK\r\nServer: Server\r\nDate: Mon, 23 Nov 2026 06:00:00 GMT\r\n"
        f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\nConnection: keep-alive\r\n"
        "x-amzn-RequestId: 0A1B2C3D4E5F6G7H8I9J0K1L2M3N4O5P6Q7R8S9T0U1V2W3X4Y5Z\r\n"
        f"x-amz-crc32: {crc32(body)}\r\n\r\n"
    )
    return head.encode() + body


@cache
def _block(shape: str, marker: str) -> tuple[bytes, int]:
    """A block of items as JSON, each followed by a comma, and the bytes that each takes: all take the same."""
    table = NullTable(shape, marker, _BLOCK)
    first = f"{0:0{_DIGITS}d}"
    template = orjson.dumps(table.item(0)).decode() + ","
    parts = [template.replace(first, f"{_BLOCK_MARK}{number:05d}") for number in range(_BLOCK)]
    return "".join(parts).encode(), len(template)


def items_text(table: NullTable, start: int, end: int) -> bytes:
    """Items `start` to `end` (exclusive) as JSON, with commas between them: slices of blocks, little work per item."""
    text, step = _block(table.shape, table.marker)
    parts = []
    while start < end:
        block, low = divmod(start, _BLOCK)
        stop = min(end, (block + 1) * _BLOCK)
        part = text[low * step : (stop - block * _BLOCK) * step]
        parts.append(part.replace(_BLOCK_MARK.encode(), b"%05d" % block))
        start = stop
    return b"".join(parts)[:-1]


@cache
def _write_answer(table: str, members: int, detail: str) -> bytes:
    """The answer to a batch of this size; `detail` as in ReturnConsumedCapacity."""
    body: dict[str, Any] = {"Responses": [{"TableName": table}] * members}
    if detail != "NONE":
        body["ConsumedCapacity"] = [_consumed(table, members, detail)]
    return render(orjson.dumps(body))


@cache
def _update_answer(table: str, detail: str) -> bytes:
    return render(orjson.dumps({} if detail == "NONE" else {"ConsumedCapacity": _consumed(table, 1, detail)}))


def _consumed(table: str, units: float, detail: str) -> dict[str, Any]:
    consumed: dict[str, Any] = {"TableName": table, "CapacityUnits": float(units)}
    if detail == "INDEXES":
        consumed["Table"] = {"CapacityUnits": float(units)}
    return consumed


@dataclass(frozen=True, slots=True)
class Mark:
    """The moment when `items` had been written: client CPU, own CPU and wall clock, in seconds.

    `processes` are the ids of the client's processes that lived then: those whose CPU is in the sum.
    """

    items: int
    client_cpu_s: float
    server_cpu_s: float
    wall_s: float
    processes: tuple[int, ...] = ()


class NullBackend:
    """Answers requests and counts what is written and what reads are charged."""

    def __init__(self) -> None:
        self.written = 0
        self.rcu = 0.0
        self._pid = 0
        self._wanted: list[int] = []
        self._next = sys.maxsize
        self._marks: list[Mark] = []

    def watch(self, pid: int, counts: list[int]) -> None:
        """Count from 0 again, and note the clocks of process `pid` when each of `counts` is reached."""
        self.written = 0
        self.rcu = 0.0
        self._pid = pid
        self._wanted = sorted(counts)
        self._marks = []
        self._turn()

    def report(self) -> dict[str, Any]:
        """Items written and read units charged since `watch`, and its marks."""
        marks = [asdict(mark) for mark in self._marks]
        return {"written": self.written, "rcu": self.rcu, "marks": marks}

    def _turn(self) -> None:
        self._next = self._wanted.pop(0) if self._wanted else sys.maxsize

    def _count(self, items: int) -> None:
        self.written += items
        if self.written >= self._next:
            client = tree_cpu_seconds(self._pid)
            clocks = sum(client.values()), time.process_time(), time.perf_counter()
            self._marks.append(Mark(self.written, *clocks, tuple(sorted(client))))
            self._turn()

    def answer(self, operation: bytes, body: bytes) -> bytes:
        """The bytes of the answer to one DynamoDB request."""
        if operation == b"BatchExecuteStatement":
            members = body.count(b'{"Statement"')
            self._count(members)
            return _write_answer(_table_of_statement(body), members, _detail(body))
        if operation == b"UpdateItem":
            self._count(1)
            return _update_answer(_table_of_request(body), _detail(body))
        if operation == b"BatchGetItem":
            answer, units = given_items(body)
            self.rcu += units
            return render(answer)
        request = orjson.loads(body)
        if operation == b"Scan":
            page, units = scan_page(request)
            self.rcu += units
            return render(page)
        known = getattr(self, f"_{operation.decode()}", None)
        if known is None:
            raise ValueError(f"the null backend does not know {operation.decode()}")
        return render(orjson.dumps(known(request)))

    def _DescribeTable(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        table = parse_table(request["TableName"])
        names = list(table.key(0))
        arn = f"{ARN}{table.name}"
        description = {
            "TableName": table.name,
            "TableStatus": "ACTIVE",
            "TableArn": arn,
            "TableId": TABLE_ID,
            "CreationDateTime": 1.7e9,
            "ItemCount": table.count,
            "TableSizeBytes": table.count * ITEM_BYTES,
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names],
            "KeySchema": [
                {"AttributeName": name, "KeyType": role}
                for name, role in zip(names, ("HASH", "RANGE"), strict=False)
            ],
            "ProvisionedThroughput": {"ReadCapacityUnits": 10_000_000, "WriteCapacityUnits": 10_000_000},
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            "LatestStreamLabel": "2026-11-23T06:00:00.000",
            "LatestStreamArn": f"{arn}/stream/2026-11-23T06:00:00.000",
        }
        return {"Table": description}

    def _DescribeTimeToLive(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802, ARG002
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}

    def _DescribeContinuousBackups(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802, ARG002
        return {"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "DISABLED"}}

    def _DescribeKinesisStreamingDestination(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"TableName": request["TableName"], "KinesisDataStreamDestinations": []}


def given_items(body: bytes) -> tuple[bytes, float]:
    """The body of a BatchGetItem's answer, and its units: every key that is asked for is there.

    The keys' own text is given back with the marker in it, so that this costs no more than a page of a Scan.
    """
    found = _KEYS.search(body)
    if found is None:
        raise ValueError("the null backend sees no keys in BatchGetItem")
    request = orjson.loads(body[: found.start(1)] + body[found.end(1) :])
    ((name, wanted),) = request["RequestItems"].items()
    keys = found[1]
    count = keys.count(b'"pk"')
    if parse_table(name).marker == "present":
        keys = _BETWEEN_KEYS.sub(b'},"revision":{"N":"7"}},{', keys)[:-1] + b',"revision":{"N":"7"}}'
    units = count * (1.0 if wanted.get("ConsistentRead") else 0.5)
    tail: dict[str, Any] = {"UnprocessedKeys": {}}
    if request.get("ReturnConsumedCapacity", "NONE") != "NONE":
        tail["ConsumedCapacity"] = [{"TableName": name, "CapacityUnits": units}]
    return b'{"Responses":{"%s":[%s]},' % (name.encode(), keys) + orjson.dumps(tail)[1:], units


def scan_page(request: dict[str, Any]) -> tuple[bytes, float]:
    """The body of a Scan's answer: a slice of the text of all items, whatever is projected; and its units."""
    table = parse_table(request["TableName"])
    part = segment_range(table.count, request.get("Segment", 0), request.get("TotalSegments", 1))
    start_key = request.get("ExclusiveStartKey")
    start = part.start if start_key is None else _number(start_key) + 1
    limit = min(request.get("Limit", _PAGE_ITEMS), _PAGE_ITEMS)
    end = min(start + limit, part.stop)
    count = end - start
    units = math.ceil(count * ITEM_BYTES / 4096) / 2 or 0.5
    tail: dict[str, Any] = {"Count": count, "ScannedCount": count}
    # A page that its limit has filled has a key even if nothing follows, as the service has it.
    if end < part.stop or count == limit:
        tail["LastEvaluatedKey"] = table.key(end - 1)
    if request.get("ReturnConsumedCapacity", "NONE") != "NONE":
        tail["ConsumedCapacity"] = {"TableName": table.name, "CapacityUnits": units}
    return b'{"Items":[' + items_text(table, start, end) + b"]," + orjson.dumps(tail)[1:], units


def _number(key: dict[str, dict[str, str]]) -> int:
    return int(key["pk"]["S"][-_DIGITS:])


@cache
def _known(name: bytes) -> str:
    return parse_table(name.decode()).name


def _table_of_statement(body: bytes) -> str:
    start = body.index(b'UPDATE \\"') + 9
    return _known(body[start : body.index(b"\\", start)])


def _table_of_request(body: bytes) -> str:
    start = body.index(b'"', body.index(b":", body.index(b'"TableName"'))) + 1
    return _known(body[start : body.index(b'"', start)])


def _detail(body: bytes) -> str:
    """What ReturnConsumedCapacity asks for; it stands at one of the ends of what clients send."""
    ends = body if len(body) < 2 * _END_BYTES else body[:_END_BYTES] + body[-_END_BYTES:]
    for detail in ("INDEXES", "TOTAL"):
        if detail.encode() in ends:
            return detail
    return "NONE"


class Connection(asyncio.Protocol):
    """Takes requests that are whole and well formed, as the measured clients send them."""

    def __init__(self, backend: NullBackend) -> None:
        self._backend = backend
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        while data:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                break
            length = _LENGTH.search(data, 0, end + 2)
            after = end + 4 + (int(length[1]) if length else 0)
            if len(data) < after:
                break
            self.take(data, end, after)
            data = data[after:]
        self._rest = data

    def take(self, data: bytes, end: int, after: int) -> None:
        """Answer the request at the beginning of `data`: its head ends at `end`, its body before `after`."""
        self.send(self._answer(data, end, after))

    def send(self, answer: bytes) -> None:
        """Send a whole answer."""
        self._transport.write(answer)

    def _answer(self, data: bytes, end: int, after: int) -> bytes:
        operation = _OPERATION.search(data, 0, end + 2)
        body = data[end + 4 : after]
        if operation is not None:
            return self._backend.answer(operation[1], body)
        if data.startswith(b"PUT /watch "):
            self._backend.watch(**orjson.loads(body))
            return render(b"{}")
        return render(orjson.dumps(self._backend.report()))


async def _serve(connection: Callable[[], Connection]) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", 0, backlog=512)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    gc.freeze()
    # Its parent closes standard input when it is no longer needed, or dies.
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


def serve(connection: Callable[[], Connection]) -> None:
    """Serve until standard input ends; the first line of standard output is the URL."""
    factory = None
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - optional

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(connection))


if __name__ == "__main__":
    serve(partial(Connection, NullBackend()))

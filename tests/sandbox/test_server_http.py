"""HTTP as no client sends it, and headers that clients look at. Raw sockets."""

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import Iterator

import pytest

from refire_async.sandbox.connections import Connections
from refire_async.sandbox.http import Ending, Request, Response, listen
from refire_async.sandbox.process import SandboxProcess
from tests.sandbox.server_support import AUTHORIZATION, Wire, client, config, request_bytes, schema

LIST = request_bytes("ListTables", b"{}")


def alive(url: str) -> bool:
    """Whether the server still answers another client."""
    with Wire(url) as wire:
        wire.send(LIST)
        answer = wire.answer()
        return answer is not None and answer.status == 200


def test_answers_carry_what_clients_check(sandbox_url: str) -> None:
    """Content type, request id and the CRC-32 of the body, on success and on failure."""
    with Wire(sandbox_url) as wire:
        for request, status in ((LIST, 200), (request_bytes("DescribeTable", b"{}"), 400)):
            wire.send(request)
            answer = wire.answer()
            assert answer is not None
            assert answer.status == status
            assert answer.headers["content-type"] == "application/x-amz-json-1.0"
            assert int(answer.headers["x-amz-crc32"]) == zlib.crc32(answer.body)
            assert len(answer.headers["x-amzn-requestid"]) == 52


@pytest.mark.parametrize("pieces", [1, 7, 400])
def test_requests_arrive_in_any_pieces(sandbox_url: str, pieces: int) -> None:
    """Three pipelined requests, cut anywhere, are answered in order on one connection."""
    body = b'{"Limit": %d}'
    whole = b"".join(request_bytes("ListTables", body % limit) for limit in (1, 0, 2))
    size = -(-len(whole) // pieces)
    with Wire(sandbox_url) as wire:
        for start in range(0, len(whole), size):
            wire.send(whole[start : start + size])
        statuses = [answer.status for answer in (wire.answer(), wire.answer(), wire.answer()) if answer]
    assert statuses == [200, 400, 200]


def test_many_pipelined_requests_are_all_answered(sandbox_url: str) -> None:
    """More than the server keeps waiting at once."""
    with Wire(sandbox_url) as wire:
        wire.send(LIST * 500)
        assert all(
            answer is not None and answer.status == 200 for answer in (wire.answer() for _ in range(500))
        )


def test_expect_continue(sandbox_url: str) -> None:
    """A client that sends `Expect: 100-continue` receives 100 before it sends the body."""
    head, _, body = request_bytes("ListTables", b"{}", headers="Expect: 100-continue\r\n").partition(
        b"\r\n\r\n"
    )
    with Wire(sandbox_url) as wire:
        wire.send(head + b"\r\n\r\n")
        go_on, answer = wire.answer(), None
        wire.send(body)
        answer = wire.answer()
    assert go_on is not None
    assert answer is not None
    assert (go_on.status, answer.status) == (100, 200)


def test_chunked_bodies_and_connection_close(sandbox_url: str) -> None:
    """A body without a length is read; Connection: close is honoured."""
    head = (
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\nConnection: close\r\n"
        f"Authorization: {AUTHORIZATION}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with Wire(sandbox_url) as wire:
        wire.send(head.encode() + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")
        answer = wire.answer()
        assert answer is not None
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert wire.is_closed()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: ten\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nbad header line\r\n\r\n",
        b"POST / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n{}",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_and_closed(sandbox_url: str, garbage: bytes) -> None:
    """A broken message gets an error and the connection closes; the server goes on."""
    with Wire(sandbox_url) as wire:
        wire.send(garbage)
        answer = wire.answer()
        assert answer is not None
        assert answer.status in (400, 413)
        assert answer.headers["connection"] == "close"
        assert wire.is_closed()
    assert alive(sandbox_url)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST / HTTP/1.1\r\nX: " + "x" * 100_000, 431),
        ("POST /" + "x" * 100_000, 431),
        ("POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
    ],
)
def test_absurd_sizes_are_refused_before_they_are_kept(sandbox_url: str, head: str, status: int) -> None:
    """Endless heads and announced giants end the connection."""
    with Wire(sandbox_url) as wire:
        wire.send(head.encode())
        answer = wire.answer()
        assert answer is not None
        assert answer.status == status
    assert alive(sandbox_url)


def test_an_endless_chunked_body_is_refused(sandbox_url: str) -> None:
    """17 MB without a length are enough."""
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
    with Wire(sandbox_url) as wire:
        answer = None
        with contextlib.suppress(OSError):  # closed while we were still sending
            wire.send(head + chunk * 20)
            answer = wire.answer()
    assert answer is None or answer.status == 413
    assert alive(sandbox_url)


CHUNKED = (
    LIST.partition(b"\r\n\r\n")[0].replace(b"Content-Length: 2", b"Transfer-Encoding: chunked") + b"\r\n\r\n"
)


def refused(url: str, start: bytes, again: bytes) -> bool:
    """Whether a body that goes on and on ends its connection before it has grown to 40 MB."""
    with Wire(url) as wire:
        wire.send(CHUNKED + start)
        try:
            for _ in range((40 << 20) // len(again)):
                wire.send(again)
        except OSError:  # closed while we were still sending
            return True
    return False


@pytest.mark.parametrize(
    ("start", "again"),
    [
        (b"", b"1\r\nx\r\n" * 10_000),
        (b"", b"1;" + b"e" * 50_000 + b"\r\nx\r\n"),
        (b"0\r\n", b"X-Trailer: " + b"t" * 10_000 + b"\r\n"),
        (b"0\r\n", b"".join(b"X-%d: t\r\n" % number for number in range(5_000))),
    ],
    ids=["tiny chunks", "extensions", "large trailers", "many trailers"],
)
def test_what_stands_around_chunks_is_bounded(sandbox_url: str, start: bytes, again: bytes) -> None:
    """A megabyte of it is too much, whatever it is; the server goes on."""
    assert refused(sandbox_url, start, again)
    assert alive(sandbox_url)


def test_trailers_are_no_headers(sandbox_url: str) -> None:
    """They come too late to say what is asked for."""
    trailers = b"X-Amz-Target: DynamoDB_20120810.NoSuchOperation\r\nHost: example.com\r\n"
    with Wire(sandbox_url) as wire:
        wire.send(CHUNKED + b"1\r\n{\r\n1\r\n}\r\n0\r\n" + trailers + b"\r\n" + LIST)
        statuses = [answer.status for answer in (wire.answer(), wire.answer()) if answer]
    assert statuses == [200, 200]


def test_a_body_of_many_chunks_is_whole(sandbox_url: str) -> None:
    """4 KB in chunks of one byte."""
    body = b'{"Limit": 1, "Nothing": "' + b"x" * 4096 + b'"}'
    with Wire(sandbox_url) as wire:
        wire.send(CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
        answer = wire.answer()
    assert answer is not None
    assert answer.status == 200


def test_idle_connections_give_way() -> None:
    """More of them than a server keeps: those that were quiet for longest are closed, and new clients are served."""

    async def crowd() -> None:
        def handler(request: Request) -> Response:
            return Response(
                200, request.body, ending=Ending.SILENT if request.target == "/wait" else Ending.WHOLE
            )

        server = await listen(handler, "127.0.0.1", 0, most=20)
        host, _, port = server.url.removeprefix("http://").rpartition(":")

        async def connect(request: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request)
            return reader, writer

        async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi")
            return (await reader.readuntil(b"\r\n\r\n")) + await reader.readexactly(2)

        waiting = await connect(b"POST /wait HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        used = await connect()
        idle = []
        for _ in range(100):
            idle.append(await connect(b"POST / HT"))
            assert b"200" in await ask(*used)
        idle.append(await connect())
        assert b"200" in await ask(*idle[-1])
        closed = [await asyncio.wait_for(reader.read(), 20) for reader, _ in idle[:80]]
        assert closed == [b""] * 80
        waiting[1].write(b"x")  # it is still open
        assert not waiting[0].at_eof()
        for _, writer in (waiting, used, *idle):
            writer.close()
        await server.close()

    asyncio.run(crowd())


def test_where_clients_wait_on_all_connections_a_new_one_is_closed() -> None:
    """A connection that waits for an answer is not closed."""

    class One:
        def __init__(self, *, waited_for: bool) -> None:
            self.is_waited_for = waited_for
            self.closed = False

        def close(self) -> None:
            self.closed = True

    connections: Connections[One] = Connections(3)
    old = [One(waited_for=True) for _ in range(3)]
    for one in old:
        connections.add(one)
    new = One(waited_for=False)
    connections.add(new)
    assert (new.closed, [one.closed for one in old]) == (True, [False] * 3)
    assert connections.all() == old
    old[1].is_waited_for = False
    connections.add(One(waited_for=False))
    assert old[1].closed
    assert len(connections) == 3


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (request_bytes("NoSuchOperation", b"{}"), "UnknownOperationException"),
        (request_bytes("ListStreams", b"{}"), "UnknownOperationException"),
        (b"GET /favicon.ico HTTP/1.1\r\n\r\n", "UnknownOperationException"),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "UnknownOperationException"),
        (request_bytes("ListTables", b""), "SerializationException"),
        (request_bytes("ListTables", b"{"), "SerializationException"),
        (request_bytes("ListTables", b"[]"), "SerializationException"),
        (request_bytes("ListTables", b"null"), "SerializationException"),
        (request_bytes("ListTables", b'{"Limit": "1"}'), "SerializationException"),
        (request_bytes("ListTables", b'{"Limit": 1.5}'), "SerializationException"),
        (request_bytes("ListTables", b'\xff\xfe{"Limit": 1}'), "SerializationException"),
        (request_bytes("PutItem", b"[" * 100_000), "SerializationException"),
        (request_bytes("DescribeTable", b'{"TableName": {"S": "x"}}'), "SerializationException"),
        (request_bytes("DescribeTable", b'{"TableName": ["x"]}'), "SerializationException"),
        (request_bytes("DescribeTable", b'{"TableName": true}'), "SerializationException"),
        (request_bytes("DescribeTable", b'{"TableName": null}'), "ValidationException"),
        (
            LIST.replace(b"Authorization", b"X-Other"),
            "MissingAuthenticationTokenException",
        ),
        (
            LIST.replace(b"Credential=", b"Nothing="),
            "IncompleteSignatureException",
        ),
    ],
)
def test_wrong_requests_get_the_error_of_the_service(sandbox_url: str, request_: bytes, error: str) -> None:
    """Operation, authentication header, JSON and JSON types are checked in this order; the connection lives on."""
    with Wire(sandbox_url) as wire:
        wire.send(request_ + LIST)
        answer, next_answer = wire.answer(), wire.answer()
    assert answer is not None
    assert (answer.status, answer.error) == (400, error)
    assert next_answer is not None
    assert next_answer.status == 200


def test_unknown_members_are_ignored(sandbox_url: str) -> None:
    """As the service does."""
    with Wire(sandbox_url) as wire:
        wire.send(request_bytes("ListTables", b'{"Nonsense": [1, {"a": 2}], "Limit": 1}'))
        answer = wire.answer()
    assert answer is not None
    assert answer.status == 200


@pytest.fixture(scope="module")
def gzip_url() -> Iterator[str]:
    with SandboxProcess(config(gzip=True)) as sandbox:
        yield sandbox.url


def test_gzip_only_for_those_who_ask_and_where_it_pays(gzip_url: str) -> None:
    """With the option on: large answers for clients that accept it, with the CRC of what is sent."""
    dynamodb = client(gzip_url)
    dynamodb.create_table(TableName="zipped", **schema(pk="S"), BillingMode="PAY_PER_REQUEST")
    dynamodb.put_item(TableName="zipped", Item={"pk": {"S": "a"}, "x": {"S": "x" * 5000}})
    scan = b'{"TableName": "zipped"}'
    with Wire(gzip_url) as wire:
        for request, zipped in (
            (request_bytes("Scan", scan, headers="Accept-Encoding: gzip, deflate\r\n"), True),
            (request_bytes("Scan", scan, headers="Accept-Encoding: identity\r\n"), False),
            (request_bytes("ListTables", b"{}", headers="Accept-Encoding: gzip\r\n"), False),
        ):
            wire.send(request)
            answer = wire.answer()
            assert answer is not None
            assert (answer.headers.get("content-encoding") == "gzip") is zipped
            assert int(answer.headers["x-amz-crc32"]) == zlib.crc32(answer.body)
            if zipped:
                assert b'"Count":1' in gzip.decompress(answer.body)
    assert dynamodb.scan(TableName="zipped")["Count"] == 1

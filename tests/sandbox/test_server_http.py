"""HTTP as no client sends it, and headers that clients look at. Raw sockets."""

import contextlib
import gzip
import zlib
from collections.abc import Iterator

import pytest

from refire_async.sandbox.process import SandboxProcess
from tests.sandbox.server_support import AUTHORIZATION, Wire, client, config, request_bytes, schema

LIST = request_bytes("ListTables", b"{}")


def alive(url: str) -> bool:
    """Whether the server still answers somebody else."""
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
    """A client that asks before it sends the body is told to go on."""
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

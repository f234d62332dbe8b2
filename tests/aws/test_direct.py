"""Direct connections: tests beyond the common contract of the backends."""

import asyncio
import socket
from itertools import pairwise

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws import http_direct
from refire_async.aws.endpoint import parse_endpoint
from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.http_backend import Timeouts
from refire_async.aws.http_connection import Http1Connection
from refire_async.aws.http_direct import DirectBackend
from refire_async.aws.types import Response
from tests.aws.raw_server import OK, RawServer, Talk, answer


class Wire(asyncio.Transport):
    """A transport without a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False
        self.unsent = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


def connected() -> tuple[Http1Connection, "asyncio.Future[Response]"]:
    """A connection with a request in progress."""
    connection = Http1Connection("host", lambda _: None)
    connection.connection_made(Wire())
    return connection, connection.request(b"request")


def feed(connection: Http1Connection, data: bytes) -> None:
    """Deliver `data` as asyncio does."""
    while data:
        buffer = connection.get_buffer(-1)
        size = min(len(data), len(buffer))
        buffer[:size] = data[:size]
        connection.buffer_updated(size)
        data = data[size:]


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data, cut at these positions."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


def run(scenario: object) -> None:
    """Hypothesis does not work with fixtures of event loops."""
    with asyncio.Runner() as runner:
        runner.run(scenario)  # type: ignore[arg-type]


@given(body=st.binary(max_size=200), status=st.sampled_from([200, 400, 500]), cuts=st.lists(st.integers(0)))
def test_any_fragmentation(body: bytes, status: int, cuts: list[int]) -> None:
    """TCP keeps bytes, not messages: any fragmentation yields the same answer, and the connection stays usable."""

    async def scenario() -> None:
        connection, future = connected()
        for piece in pieces(answer(body, status, X_Amzn_RequestId="R"), cuts):
            assert not future.done()
            feed(connection, piece)
        response = future.result()
        assert (response.status, response.body) == (status, body)
        assert response.headers["X-Amzn-RequestId"] == "R"
        assert connection.usable

    run(scenario())


@given(
    data=st.binary(max_size=300)
    | st.binary(max_size=99).map(lambda noise: answer()[:60] + noise + answer()[60:]),
    cuts=st.lists(st.integers(0), max_size=5),
)
def test_any_bytes(data: bytes, cuts: list[int]) -> None:
    """Random bytes never raise, and never leave a request waiting on a closed connection."""

    async def scenario() -> None:
        connection, future = connected()
        for piece in pieces(data, cuts):
            feed(connection, piece)
        assert connection.usable or future.done()
        connection.connection_lost(None)
        assert not connection.usable
        assert future.done()
        if (error := future.exception()) is not None:
            assert isinstance(error, AwsError)
            assert error.disposition is Disposition.UNKNOWN

    run(scenario())


async def test_answer_before_the_request_is_sent() -> None:
    """A service may reject a request by its head; the rest of the request must not affect the next answer."""
    connection, future = connected()
    connection._transport.unsent = 1
    feed(connection, answer(b"{}", 400))
    assert future.result().status == 400
    assert not connection.usable


async def test_unsolicited_answer(server: RawServer) -> None:
    """Bytes that arrive on an idle connection never count as the answer to the next request."""
    may_stray = anyio.Event()

    async def act(talk: Talk) -> None:
        await talk.read()
        talk.writer.write(answer())
        await may_stray.wait()
        talk.writer.write(answer(b"stray"))

    server.plays(act)
    async with DirectBackend(parse_endpoint(server.url), 1, None) as exchange:
        assert (await exchange.post({}, b"")).body == OK
        may_stray.set()
        await server.gone.wait()  # given up by our side
        assert (await exchange.post({}, b"")).body == OK
    assert server.connections == 2


async def test_endless_head_and_body_are_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory that a server can make the client use is limited."""
    monkeypatch.setattr("refire_async.aws.http_connection.ANSWER_LIMIT", 1000)
    monkeypatch.setattr("refire_async.aws.http_connection._HEAD_LIMIT", 500)
    for start in (b"HTTP/1.1 200 OK\r\nA: ", b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"):
        connection, future = connected()
        feed(connection, start)
        for _ in range(11):
            feed(connection, b"x" * 100)
        error = future.exception()
        assert isinstance(error, AwsError)
        assert error.code == "OversizedAnswer"


async def test_old_connections_are_not_used(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service may be closing such a connection."""
    async with DirectBackend(parse_endpoint(server.url), 1, None) as exchange:
        await exchange.post({}, b"")
        monkeypatch.setattr(http_direct, "_IDLE_S", -1.0)
        await exchange.post({}, b"")
    assert server.connections == 2


async def test_one_unreachable_address_of_several(server: RawServer) -> None:
    """One address may drop all packets: the next one gets its share of the time."""
    with socket.socket() as full:
        full.bind(("127.0.0.3", server.port))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.3", server.port))
        timeouts = Timeouts(connect_s=2)
        async with DirectBackend(parse_endpoint(server.url), 1, None, timeouts) as exchange:
            exchange._addresses = ("127.0.0.3", "127.0.0.1")
            exchange._addresses_until_s = float("inf")
            assert (await exchange.post({}, b"")).body == OK
        for filler in fillers:
            filler.close()


async def test_name_is_looked_up_again_after_a_failure() -> None:
    """A host may return at another address."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with DirectBackend(parse_endpoint(url), 1, None) as exchange:
            for _ in range(2):
                with pytest.raises(AwsError):
                    await exchange.post({}, b"")
                assert exchange._addresses_until_s == 0.0


async def test_connection_that_is_lost_at_once_is_not_written_to(
    server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No byte was sent over it, so the request was certainly not applied."""
    made = Http1Connection.connection_made

    def made_and_lost(connection: Http1Connection, transport: asyncio.BaseTransport) -> None:
        made(connection, transport)
        connection._transport.abort()

    monkeypatch.setattr(Http1Connection, "connection_made", made_and_lost)
    async with DirectBackend(parse_endpoint(server.url), 1, None) as exchange:
        with pytest.raises(AwsError) as caught:
            await exchange.post({}, b"")
    assert (caught.value.code, caught.value.disposition) == ("ConnectError", Disposition.RETRY)
    assert not server.received


async def test_idle_connection_keeps_no_answer() -> None:
    """Pages of 1 MB on idle connections would add up."""
    connection, future = connected()
    feed(connection, answer(bytes(200_000)))
    assert len(future.result().body) == 200_000
    assert not connection._body


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_while_connecting_does_not_delay_the_end(server: RawServer, turns: int) -> None:
    """At any time: uvloop does not report the loss of a connection that was cancelled while connecting."""
    with anyio.fail_after(20):
        async with DirectBackend(parse_endpoint(server.url), 4, None) as exchange:
            calls = [asyncio.create_task(exchange.post({}, b"")) for _ in range(4)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
    assert not exchange._open

"""HTTP/1.1 for one handler that answers at once: keep-alive, pipelining; heads, bodies and connections are bounded.

``Request`` and ``Response`` are the whole contract. The handler is a plain function and is called for one
request of the process at a time. The ``Response`` specifies delays and broken answers, so that faults are
decided elsewhere and only applied here.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum
from http import HTTPStatus
from typing import cast
from zlib import crc32

import httptools

from refire_async.sandbox.config import is_loopback
from refire_async.sandbox.connections import Connections, most_connections

# DynamoDB takes requests of up to 16 MB (Developer Guide: Quotas); some room for JSON around it.
MAX_BODY_BYTES = 17 * 1024 * 1024
MAX_HEAD_BYTES = 64 * 1024
# What a chunked body may have around its chunks: their sizes, extensions and trailers.
MAX_FRAMING_BYTES = 1024 * 1024
# Requests of one connection, and their bytes, that may wait behind a delayed answer before reading stops.
_MAX_WAITING = 64
_MAX_WAITING_BYTES = MAX_BODY_BYTES
# Pause between two writes when an answer is to drip.
_DRIP_PAUSE_S = 0.02


class Ending(Enum):
    """What happens to a response during transmission."""

    WHOLE = "whole"
    DRIP = "drip"  # ``bytes_per_s``
    TRUNCATED = "truncated"  # the first ``keep_bytes`` of the body, then the connection closes
    RESET = "reset"  # nothing, and the connection is reset
    SILENT = "silent"  # nothing, and the connection stays open


@dataclass(slots=True)
class Request:
    """One parsed request; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    from_loopback: bool = True


@dataclass(slots=True)
class Response:
    """A response; ``delay_s`` counts from the arrival of the request."""

    status: int
    body: bytes
    content_type: str = "application/x-amz-json-1.0"
    delay_s: float = 0.0
    ending: Ending = Ending.WHOLE
    keep_bytes: int = 0
    bytes_per_s: float = 0.0
    wrong_crc: bool = False
    gzip: bool = False


Handler = Callable[[Request], Response]

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_request_ids = (f"{number:012d}" for number in itertools.count(1))
_REQUEST_ID_HEAD = os.urandom(20).hex().upper()


class _Date:
    """The Date header, formatted once a second; clients compare it with their own clock."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def text(self) -> str:
        """The present time in the format of RFC 9110."""
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True)
        return self._text


_date = _Date()


def render(response: Response, *, keep_alive: bool) -> bytes:
    """The bytes of a response, with the headers that clients of DynamoDB use."""
    body = response.body
    extra = ""
    if response.gzip:
        body = gzip.compress(body, 1)
        extra = "Content-Encoding: gzip\r\n"
    crc = crc32(body) ^ (1 if response.wrong_crc else 0)
    head = (
        f"HTTP/1.1 {response.status} {_REASONS.get(response.status, '')}\r\n"
        "Server: Server\r\n"
        f"Date: {_date.text()}\r\n"
        f"Content-Type: {response.content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n"
        f"x-amzn-RequestId: {_REQUEST_ID_HEAD}{next(_request_ids)}\r\n"
        f"{extra}x-amz-crc32: {crc}\r\n\r\n"
    )
    return head.encode("ascii") + body


class HttpProtocol(asyncio.Protocol):
    """One connection. Requests are answered in the order of their arrival."""

    def __init__(self, handler: Handler, connections: Connections[HttpProtocol]) -> None:
        self._handler = handler
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._reset_message()
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._waiting_bytes = 0
        # A late answer is on its way (or, if silent, never comes); its timer.
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._from_loopback = True
        self._writable = True
        self._reading = True
        self._closing = False

    # Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = transport.get_extra_info("peername")
        self._from_loopback = isinstance(peer, tuple) and is_loopback(peer[0])
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - part of the protocol
        self._connections.discard(self)
        self._closing = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    @property
    def is_waited_for(self) -> bool:
        """Whether a client waits for an answer, or has not received all of one."""
        return self._busy or bool(self._waiting) or not self._writable

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._answer_waiting()

    def close(self) -> None:
        """Close the connection after sending what was written."""
        self._closing = True
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._closing = True
        self._transport.abort()

    # Parsing

    def _reset_message(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: bytes | bytearray = b""
        self._received = 0
        self._in_head = True

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._connections.heard(self)
        # What is left of this read after the end of a message counts for no message.
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(400, "the request is not HTTP/1.1")
        else:
            if self._in_head:
                if self._received > MAX_HEAD_BYTES:
                    self._refuse(431, "the request head is too large")
            elif self._received - len(self._body) > MAX_FRAMING_BYTES:
                self._refuse(413, "the request body has too much around its chunks")

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # not a trailer
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._in_head = False
        length = self._headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self._refuse(413, "the request body is too large")
        elif self._parser.should_upgrade():
            self._refuse(400, "this server speaks HTTP/1.1 only")
        elif self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if len(self._body) + len(body) > MAX_BODY_BYTES:
            self._refuse(413, "the request body is too large")
        elif not self._body:
            self._body = body
        else:
            # Pieces are joined as they come: a million of them would take far more memory than what is in them.
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += body

    def on_message_complete(self) -> None:
        if self._closing:
            return
        method, url = self._parser.get_method().decode("latin-1"), self._url.decode("latin-1")
        request = Request(method, url, self._headers, bytes(self._body), self._from_loopback)
        keep_alive = self._parser.should_keep_alive()
        self._reset_message()
        if not self._busy and self._writable and not self._waiting:
            self._answer(request, keep_alive)
            return
        self._waiting.append((request, keep_alive))
        self._waiting_bytes += len(request.body)
        if self._reading and not self._has_room(1):
            self._reading = False
            self._transport.pause_reading()

    def _has_room(self, share: float) -> bool:
        """Whether the send buffer is filled to less than this share."""
        requests, sizes = len(self._waiting), self._waiting_bytes
        return requests < _MAX_WAITING * share and sizes < _MAX_WAITING_BYTES * share

    # Answering

    def _refuse(self, status: int, message: str) -> None:
        """Report an error on the connection, once, and close it."""
        if self._closing:
            return
        self._closing = True
        body = f'{{"__type":"com.amazon.coral.service#SerializationException","message":"{message}"}}'
        self._transport.write(render(Response(status, body.encode()), keep_alive=False))
        self._transport.close()

    def _answer(self, request: Request, keep_alive: bool) -> None:  # noqa: FBT001 - called once, per request
        response = self._handler(request)
        if response.delay_s <= 0 and response.ending is Ending.WHOLE:
            self._transport.write(render(response, keep_alive=keep_alive))
            if not keep_alive:
                self.close()
            return
        self._busy = True
        self._timer = self._loop.call_later(response.delay_s, self._send_late, response, keep_alive)

    def _answer_waiting(self) -> None:
        while self._waiting and not self._busy and self._writable and not self._closing:
            request, keep_alive = self._waiting.popleft()
            self._waiting_bytes -= len(request.body)
            self._answer(request, keep_alive)
        if not self._reading and not self._closing and self._has_room(0.5):
            self._reading = True
            self._transport.resume_reading()

    def _send_late(self, response: Response, keep_alive: bool) -> None:  # noqa: FBT001
        if self._transport.is_closing() or response.ending is Ending.SILENT:
            return
        if response.ending is Ending.RESET:
            _reset(self._transport)
            return
        data = render(response, keep_alive=keep_alive)
        if response.ending is Ending.DRIP:
            step = max(1, int(response.bytes_per_s * _DRIP_PAUSE_S))
            self._drip(memoryview(data), step, max(_DRIP_PAUSE_S, 1 / response.bytes_per_s), keep_alive)
        elif response.ending is Ending.TRUNCATED:
            head_bytes = data.index(b"\r\n\r\n") + 4
            self._transport.write(data[: head_bytes + response.keep_bytes])
            self.close()
        else:
            self._transport.write(data)
            self._finish(keep_alive)

    def _drip(self, rest: memoryview, step: int, pause_s: float, keep_alive: bool) -> None:  # noqa: FBT001
        if self._transport.is_closing():
            return
        self._transport.write(bytes(rest[:step]))
        if len(rest) > step:
            self._timer = self._loop.call_later(pause_s, self._drip, rest[step:], step, pause_s, keep_alive)
        else:
            self._finish(keep_alive)

    def _finish(self, keep_alive: bool) -> None:  # noqa: FBT001
        """A delayed answer was sent: continue with the data that arrived meanwhile."""
        self._busy = False
        if keep_alive:
            self._answer_waiting()
        else:
            self.close()


def _reset(transport: asyncio.Transport) -> None:
    """Close with RST instead of FIN, so that the peer sees "connection reset"."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        linger_at_once = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # struct linger: on, 0 s
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_at_once)
    transport.abort()


class HttpServer:
    """A listening server; ``url`` is where it answers."""

    def __init__(self, server: asyncio.Server, connections: Connections[HttpProtocol]) -> None:
        self._server = server
        self._connections = connections
        host, port = server.sockets[0].getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        self._server.close()
        for connection in self._connections.all():
            connection.abort()
        await self._server.wait_closed()


async def listen(handler: Handler, host: str, port: int, most: int | None = None) -> HttpServer:
    """Serve ``handler`` on an address, with ``most`` connections at once; raises ``OSError`` if the address is not
    available."""
    connections: Connections[HttpProtocol] = Connections(most or most_connections())
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HttpProtocol(handler, connections), host, port, backlog=512)
    return HttpServer(server, connections)

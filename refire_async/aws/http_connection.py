"""One HTTP/1.1 connection: one request at a time, its answer parsed as it comes in."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from refire_async import failpoints
from refire_async.aws.encoding import ANSWER_LIMIT
from refire_async.aws.transport_errors import failure, is_tls
from refire_async.aws.types import Response

_BUFFER_BYTES = 64 * 1024
_HEAD_LIMIT = 64 * 1024


class Headers(Mapping[str, str]):
    """Headers of an answer, looked up without regard to case and decoded only then."""

    __slots__ = ("_raw",)

    def __init__(self, raw: dict[bytes, bytes]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        return self._raw[name.lower().encode("latin-1")].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)


class Http1Connection(asyncio.BufferedProtocol):
    """A client's end.

    Once it is not `usable` it never is again: whatever was unclear about an answer ends with the connection, so
    that no answer can ever be taken for that of another request.
    """

    def __init__(
        self, host: str, closed: Callable[["Http1Connection"], None], answer_limit: int | None = None
    ) -> None:
        """`closed` is called when the connection is gone, once, if it ever was there.

        `answer_limit` bounds the bytes of an answer; None stands for `ANSWER_LIMIT`.
        """
        self._host = host
        self._answer_limit = ANSWER_LIMIT if answer_limit is None else answer_limit
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._parser = HttpResponseParser(self)
        # Of our own: asyncio and uvloop otherwise allocate 256 KiB for every read, however little there is.
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._answer: asyncio.Future[Response] | None = None
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._in_body = False
        self._received = 0
        self._usable = False
        self.deadline_s = 0.0
        self.idle_since_s = 0.0

    @property
    def usable(self) -> bool:
        """Whether the next request may go over it, as far as can be known here."""
        return self._usable and not self._transport.is_closing()

    def request(self, *parts: bytes) -> "asyncio.Future[Response]":
        """Send a request that is given in one or more parts.

        The future gives the answer, or a WireError of disposition UNKNOWN.
        """
        self._received = 0
        self._answer = answer = self._loop.create_future()
        if len(parts) == 1:
            self._transport.write(parts[0])
        else:
            self._transport.writelines(parts)
        if failpoints.reached is not None:
            failpoints.reached("request-sent")
        return answer

    def fail(self, code: str) -> None:
        """Give the request under way up, if there is one, and the connection with it."""
        self._usable = False
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(failure(code, self._host))
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: ready."""
        self._transport = cast("asyncio.Transport", transport)
        self._usable = True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended tells nothing more
        """asyncio: gone."""
        self.fail("TruncatedAnswer" if self._received else "ConnectionLost")
        self._closed(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - of the interface
        """asyncio: where to put what comes in."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """asyncio: something came in."""
        self._received += nbytes
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except (HttpParserError, HttpParserUpgrade):
            first = self._received == nbytes
            self.fail("NotPlain" if first and is_tls(self._buffer[:2].tobytes()) else "GarbledAnswer")
            return
        if (
            self._received > (self._answer_limit if self._in_body else _HEAD_LIMIT)
            and self._answer is not None
        ):
            self.fail("OversizedAnswer")

    def on_message_begin(self) -> None:
        """Parser: an answer begins. One that nobody asked for makes the connection useless."""
        self._headers, self._body, self._in_body = {}, [], False
        if self._answer is None:
            self.fail("GarbledAnswer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser: a header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Parser: the head is whole."""
        self._in_body = True

    def on_body(self, body: bytes) -> None:
        """Parser: a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Parser: the answer is whole."""
        status = self._parser.get_status_code()
        answer = self._answer
        if answer is None:
            return
        if status < 200:  # an interim answer; the real one follows
            return
        self._answer = None
        # An answer before the whole request was sent, or with "Connection: close", is the last one.
        keep = self._parser.should_keep_alive() and not self._transport.get_write_buffer_size()
        if not keep:
            self._usable = False
            self._transport.close()
        if not answer.done():
            answer.set_result(Response(status, Headers(self._headers), b"".join(self._body)))
        self._body = []  # an idle connection must not hold a page

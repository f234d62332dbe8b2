"""One HTTP/1.1 connection: one request at a time, with an incremental parser for its answer."""

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
    """Headers of an answer. Look-ups ignore case and decode only the value found."""

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
    """The client side of a connection.

    A connection that is not `usable` never becomes usable again: any irregularity in an answer closes the connection,
    so that an answer can never be attributed to another request.
    """

    def __init__(
        self, host: str, closed: Callable[["Http1Connection"], None], answer_limit: int | None = None
    ) -> None:
        """`closed` is called once when an established connection is closed.

        `answer_limit` limits the bytes of an answer (None: `ANSWER_LIMIT`).
        """
        self._host = host
        self._answer_limit = ANSWER_LIMIT if answer_limit is None else answer_limit
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._parser = HttpResponseParser(self)
        # Without our own buffer, asyncio and uvloop allocate 256 KiB for every read of any size.
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
        """Whether the connection may be used for the next request."""
        return self._usable and not self._transport.is_closing()

    def request(self, *parts: bytes) -> "asyncio.Future[Response]":
        """Send a request in one or more parts.

        The future returns the answer, or raises an AwsError with disposition UNKNOWN.
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
        """Fail the request in progress, if any, with `code`, and close the connection."""
        self._usable = False
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(failure(code, self._host))
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: ready."""
        self._transport = cast("asyncio.Transport", transport)
        self._usable = True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the cause does not matter
        """asyncio: gone."""
        self.fail("TruncatedAnswer" if self._received else "ConnectionLost")
        self._closed(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - of the interface
        """asyncio: the buffer for received bytes."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """asyncio: bytes have arrived."""
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
        """Parser: an answer begins. An answer without a request closes the connection."""
        self._headers, self._body, self._in_body = {}, [], False
        if self._answer is None:
            self.fail("GarbledAnswer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser: a header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Parser: the head is complete."""
        self._in_body = True

    def on_body(self, body: bytes) -> None:
        """Parser: a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Parser: the answer is complete."""
        status = self._parser.get_status_code()
        answer = self._answer
        if answer is None:
            return
        if status < 200:  # an interim answer; the final one follows
            return
        self._answer = None
        # An answer before the whole request was sent, or with "Connection: close", is the last one.
        keep = self._parser.should_keep_alive() and not self._transport.get_write_buffer_size()
        if not keep:
            self._usable = False
            self._transport.close()
        if not answer.done():
            answer.set_result(Response(status, Headers(self._headers), b"".join(self._body)))
        self._body = []  # an idle connection must not keep a page in memory

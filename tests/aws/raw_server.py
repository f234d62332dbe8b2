"""A TCP server with minimal HTTP for faults: each connection or request gets the next act of a script.

It runs in the loop of the test, so nothing has to be waited for by the clock.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import zlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeAlias

TLS = Path(__file__).parent / "tls"
"""A test authority and its certificates, one for the loopback interface and one for elsewhere.example."""

OK = b'{"ok":true}'


@dataclass(frozen=True)
class Received:
    """A received request. Header names are in lower case."""

    line: str
    headers: Mapping[str, str]
    body: bytes


Act: TypeAlias = Callable[["Talk"], Awaitable[None]]
"""The behaviour of the server on a connection, from its start or from the end of the previous act."""


@dataclass
class Talk:
    """One connection."""

    server: "RawServer"
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read(self) -> Received:
        """Read and record the next whole request."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        line, *rest = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (entry.partition(": ") for entry in rest)}
        received = Received(
            line, headers, await self.reader.readexactly(int(headers.get("content-length", "0")))
        )
        self.server.received.append(received)
        return received

    def reset(self) -> None:
        """End the connection with RST rather than FIN."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def raw(answer: bytes, *, then: str = "go on") -> Act:
    """Read a request and send these bytes; then "go on", "close" or "reset"."""

    async def act(talk: Talk) -> None:
        await talk.read()
        talk.writer.write(answer)
        await talk.writer.drain()
        if then == "close":
            talk.writer.close()
        elif then == "reset":
            talk.reset()

    return act


def reply(body: bytes = OK, status: int = 200, **headers: str) -> Act:
    """Answer as DynamoDB does, checksum included. Underscores in header names stand for dashes."""
    return raw(answer(body, status, **headers))


def answer(body: bytes = OK, status: int = 200, **headers: str) -> bytes:
    """The bytes of an answer whose default headers are replaced by these; an empty value removes one."""
    usual = {
        "Content-Type": "application/x-amz-json-1.0",
        "Content-Length": str(len(body)),
        "x-amz-crc32": str(zlib.crc32(body)),
    }
    usual |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in usual.items() if value)
    return f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode() + body


async def reset_before_reading(talk: Talk) -> None:
    """Close the connection when bytes arrive, without reading them."""
    await talk.reader.read(1)
    talk.reset()


async def reset_after_reading(talk: Talk) -> None:
    """Read the whole request, and reset the connection."""
    await talk.read()
    talk.reset()


async def close_after_reading(talk: Talk) -> None:
    """Read the whole request, and close the connection in order."""
    await talk.read()
    talk.writer.close()


async def say_nothing(talk: Talk) -> None:
    """Read the whole request and let the client wait until it disconnects."""
    await talk.read()
    talk.server.silent.set()
    await talk.reader.read()


async def drip(talk: Talk) -> None:
    """Answer one byte at a time without end: no single read is late, but the total is."""
    await talk.read()
    while not talk.writer.is_closing():
        talk.writer.write(b"H" if talk.writer.transport.get_write_buffer_size() == 0 else b"")
        await asyncio.sleep(0.01)


def tunnel_to(target: "RawServer") -> Act:
    """Act as a proxy that connects every CONNECT request to this server."""

    async def act(talk: Talk) -> None:
        await talk.read()
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        talk.writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        back = asyncio.create_task(_pipe(reader, talk.writer))
        try:
            await _pipe(talk.reader, writer)
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            writer.close()

    return act


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def serving(name: str) -> ssl.SSLContext:
    """A TLS context of the server with one of the certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / f"{name}.pem")
    return context


@dataclass
class RawServer:
    """Plays `script`, one act per request; after its end it answers every request with 200."""

    tls: ssl.SSLContext | None = None
    script: deque[Act] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port: int = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.wait_closed()

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def plays(self, *acts: Act) -> None:
        """Add acts to the script."""
        self.script.extend(acts)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        talk = Talk(self, reader, writer)
        try:
            while not writer.is_closing():
                await self._wait_for_more(reader)
                await (self.script.popleft() if self.script else reply())(talk)
        except (asyncio.IncompleteReadError, ConnectionError, EOFError):
            pass  # the client went away, which is its right
        finally:
            self.open_now -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self.gone.set()

    @staticmethod
    async def _wait_for_more(reader: asyncio.StreamReader) -> None:
        """Wait until there are bytes for the act to read. Raises EOFError at the end."""
        while not reader._buffer:  # type: ignore[attr-defined] # there is no public way to peek
            if reader.at_eof():
                raise EOFError
            await reader._wait_for_data("peek")  # type: ignore[attr-defined]

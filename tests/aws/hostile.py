"""Faults of a server or a proxy that any call of any client may meet: one list for all clients."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tests.aws.raw_server import Act, Talk, answer, raw, reply

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"


def endless(head: bytes, piece: bytes) -> Act:
    """Begin an answer and continue it as fast as the client reads it."""

    async def act(talk: Talk) -> None:
        await talk.read()
        talk.writer.write(head)
        while not talk.writer.is_closing():
            talk.writer.write(piece)
            await talk.writer.drain()

    return act


def dripping(head: bytes) -> Act:
    """Begin an answer and continue it one byte at a time: no single wait is long, but the total is."""

    async def act(talk: Talk) -> None:
        await talk.read()
        talk.writer.write(head)
        while not talk.writer.is_closing():
            talk.writer.write(b" ")
            await talk.writer.drain()
            await asyncio.sleep(0.02)

    return act


async def silence(talk: Talk) -> None:
    """Read the request and send no answer."""
    await talk.read()
    await talk.reader.read()


BOMB = gzip.compress(bytes(4 << 20))

REDIRECTED_TO = "/redirected"


@dataclass(frozen=True)
class Hostility:
    """`play` is the act of the server at every request; the message contains at least one of the words in `says`."""

    play: Callable[[str], Act]
    says: tuple[str, ...]
    about_content: bool = False
    """Whether an object in S3 may have this content, because it may contain anything."""


def _always(act: Act) -> Callable[[str], Act]:
    return lambda _url: act


def _redirect(status: int) -> Callable[[str], Act]:
    return lambda url: reply(b"<html>moved</html>", status, Location=url + REDIRECTED_TO, x_amz_crc32="")


ENDS = {
    "silence": Hostility(_always(silence), ("no answer", "not answer")),
    "head that drips": Hostility(_always(dripping(b"HTTP/1.1 200 OK\r\nA: ")), ("no answer", "not answer")),
    "body that drips": Hostility(
        _always(dripping(HEAD + b"Content-Length: 1000000\r\n\r\n")), ("no answer", "not answer")
    ),
    "chunks that drip": Hostility(
        _always(dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0000001")),
        ("no answer", "not answer", "not HTTP"),
    ),
    "endless head": Hostility(
        _always(endless(b"HTTP/1.1 200 OK\r\n", b"A: " + b"b" * 1000 + b"\r\n")),
        ("not HTTP", "too large"),
    ),
    "endless interim answers": Hostility(
        _always(endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 100)),
        ("no answer", "not answer", "too large"),
    ),
    "endless body": Hostility(
        _always(endless(HEAD + b"Content-Length: 99999999999\r\n\r\n", bytes(100_000))),
        ("too large",),
    ),
    "endless chunks": Hostility(
        _always(
            endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"186a0\r\n" + bytes(100_000) + b"\r\n")
        ),
        ("too large",),
    ),
    "endless body of an error": Hostility(
        _always(endless(b"HTTP/1.1 400 Bad\r\nContent-Length: 99999999999\r\n\r\n", bytes(100_000))),
        ("too large",),
    ),
    "bomb": Hostility(_always(reply(BOMB, Content_Encoding="gzip", x_amz_crc32="")), ("too large",)),
    "bomb in an error": Hostility(
        _always(reply(BOMB, 400, Content_Encoding="gzip", x_amz_crc32="")), ("too large",)
    ),
    "no gzip": Hostility(
        _always(reply(b"{}", Content_Encoding="gzip", x_amz_crc32="")), ("compression",), True
    ),
    "unknown encoding": Hostility(
        _always(reply(b"{}", Content_Encoding="br", x_amz_crc32="")), ("compression",), True
    ),
    "many encodings": Hostility(
        _always(reply(b"{}", Content_Encoding=", ".join(["gzip"] * 50), x_amz_crc32="")),
        ("compression",),
        True,
    ),
    "not HTTP": Hostility(_always(raw(b"220 smtp.example\r\n\r\n", then="close")), ("not HTTP",)),
    "TLS": Hostility(
        _always(raw(b"\x15\x03\x01\x00\x02\x02\x50", then="close")), ("expects TLS", "not HTTP")
    ),
    "reset": Hostility(_always(raw(b"", then="reset")), ("lost",)),
    "closed": Hostility(_always(raw(b"", then="close")), ("lost",)),
    "broken off": Hostility(_always(raw(answer()[:-3], then="close")), ("cut off", "lost")),
    "page": Hostility(
        _always(reply(b"<html>log in</html>", Content_Type="text/html", x_amz_crc32="")),
        ("does not answer", "not what", "not JSON", "not a JSON object"),
        True,
    ),
} | {
    f"redirect {status}": Hostility(_redirect(status), (f"HTTP {status}", "refused", "answer"))
    for status in (301, 302, 303, 307, 308)
}
"""Each of these ends a call with one line, within the limits of time and size."""

NONSENSE: tuple[bytes, ...] = (
    b"null",
    b"[]",
    b"7",
    b'"text"',
    b"{}",
    b"\xff\xfe",
    b'{"a":',
    b"[" * 5_000,
)
"""Bodies with status 200 that are not an answer to any call."""


def compressed(body: bytes, how: str) -> Act:
    """This answer, compressed without a request for it, with the checksum of the plain body, as behind a proxy."""
    raw_deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = {
        "gzip": gzip.compress(body),
        "x-gzip": gzip.compress(body),
        "gzip in two members": gzip.compress(body[:5]) + gzip.compress(body[5:]),
        "deflate": zlib.compress(body),
        "raw deflate": raw_deflate.compress(body) + raw_deflate.flush(),
        "gzip, gzip": gzip.compress(gzip.compress(body)),
        "identity": body,
    }[how]
    named = {"gzip in two members": "gzip", "raw deflate": "deflate"}.get(how, how)
    return reply(packed, Content_Encoding=named, x_amz_crc32=str(zlib.crc32(body)))


COMPRESSIONS = ("gzip", "x-gzip", "gzip in two members", "deflate", "raw deflate", "gzip, gzip", "identity")

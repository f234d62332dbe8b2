"""Decode compressed answers. Some proxies send them without a request for compression."""

import zlib
from collections.abc import Mapping

from refire_async.aws.transport_errors import failure

ANSWER_LIMIT = 64 * 1024 * 1024
"""Most bytes of an answer, compressed or not. Far above the 16 MB of the largest DynamoDB answer; limits the memory
that a server can make this program use.
"""

_MAX_LAYERS = 3
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS


def decoded(body: bytes, headers: Mapping[str, str], host: str) -> bytes:
    """The body of an answer of `host` without its Content-Encoding (RFC 9110, 8.4): gzip or deflate.

    Raises AwsError: another encoding, damaged, or more than `ANSWER_LIMIT` bytes.
    """
    named = headers.get("Content-Encoding")
    if not named:
        return body
    layers = [layer for name in named.lower().split(",") if (layer := name.strip()) not in ("", "identity")]
    if len(layers) > _MAX_LAYERS:
        raise failure("UndecodableAnswer", host, f"{len(layers)} times")
    for layer in reversed(layers):
        body = _without(layer, body, host)
    return body


def _without(layer: str, body: bytes, host: str) -> bytes:
    match layer:
        case "gzip" | "x-gzip":
            formats = [_GZIP]
        case "deflate":
            formats = [_ZLIB, _RAW]  # the standard says zlib, some servers leave its frame out
        case _:
            raise failure("UndecodableAnswer", host, layer if layer.isalnum() else "unknown")
    for number, wbits in enumerate(formats, 1):
        try:
            return _inflated(body, wbits, host)
        except zlib.error as error:
            if number == len(formats):
                raise failure("UndecodableAnswer", host, f"damaged {layer}") from error
    raise AssertionError("the last format returns or raises")


def _inflated(body: bytes, wbits: int, host: str) -> bytes:
    """All members of a compressed body. Raises zlib.error if it is damaged or ends early."""
    chunks: list[bytes] = []
    size = 0
    while body or not chunks:
        inflater = zlib.decompressobj(wbits)
        chunk = inflater.decompress(body, ANSWER_LIMIT - size + 1)
        size += len(chunk)
        if size > ANSWER_LIMIT:
            raise failure("OversizedAnswer", host)
        if not inflater.eof:
            raise zlib.error("ends early")
        chunks.append(chunk)
        body = inflater.unused_data
    return b"".join(chunks)

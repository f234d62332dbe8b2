"""NextToken of ExecuteStatement: which of the statement's Queries comes next, and after which order key."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from decimal import Decimal
from typing import Any
from zlib import crc32

import orjson

from refire_async.sandbox.errors import validation
from refire_async.sandbox.store.keys import HASH_SPACE, OrderKey


def encode_token(statement: str, place: int, start: OrderKey | None) -> str:
    """A token that only fits this statement."""
    parts = None if start is None else _write(start)
    return b64encode(orjson.dumps([_checksum(statement, place, parts), place, parts])).decode()


def decode_token(token: str | None, statement: str) -> tuple[int, OrderKey | None]:
    """(place, start) of a token, the beginning if there is none. Raises ValidationException."""
    if token is None:
        return 0, None
    try:
        checksum, place, parts = orjson.loads(b64decode(token, validate=True))
    except (Base64Error, ValueError, TypeError):
        raise validation("Invalid NextToken") from None
    if checksum != _checksum(statement, place, parts):
        raise validation("Invalid NextToken")
    return place, None if parts is None else _read(parts)


def _checksum(statement: str, place: Any, parts: Any) -> int:
    return crc32(orjson.dumps([statement, place, parts]))


def _write(key: OrderKey) -> list[Any]:
    parts: list[Any] = []
    for part in key:
        if isinstance(part, tuple):
            parts.append(_write(part))
        elif isinstance(part, bytes):
            parts.append({"B": b64encode(part).decode()})
        else:
            parts.append({"S" if isinstance(part, str) else "N": str(part)})
    return parts


def _read(parts: list[Any]) -> OrderKey:
    key: list[Any] = []
    for part in parts:
        if isinstance(part, list):
            key.append(_read(part))
            continue
        ((type_, text),) = part.items()
        if type_ == "B":
            key.append(b64decode(text))
        elif type_ == "N":
            number = Decimal(text)
            key.append(
                int(text) if number == number.to_integral_value() and abs(number) < HASH_SPACE else number
            )
        else:
            key.append(str(text))
    return tuple(key)

"""Answers that are not what a service sends: every part of a genuine one in other shapes, by list or at random."""

import json
import random
from collections.abc import Iterator
from typing import Any

import orjson

SHAPES: tuple[Any, ...] = ([], {}, "x", -1.5, [None], {"x": "y"}, [[]], None, True, 1e308, 10**30)
"""Stand-ins for any part of an answer."""

BODIES: tuple[bytes, ...] = (
    b"",
    b"null",
    b"\xff\xfe{}",
    b'{"Items":[{"pk":{"S":"\xff"}}]}',
    b'{"Responses":NaN}',
    b'{"Count":1e999}',
    b"[" * 5_000,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    b'{"Items":[{"pk":{"L":' + b"[" * 900 + b"]" * 900 + b"}}]}",
    b"<html>log in</html>",
)
"""Bodies that are no answer as a whole."""


def misshapen(value: Any, shapes: tuple[Any, ...] = SHAPES) -> Iterator[Any]:
    """`value` in every shape but its own: the whole, and each part of it in turn, in place of it or left out."""
    for other in shapes:
        if type(other) is not type(value) or other != value:
            yield other
    match value:
        case dict():
            for name, one in value.items():
                yield {key: kept for key, kept in value.items() if key != name}
                for other in misshapen(one, shapes):
                    yield {**value, name: other}
        case list():
            for position, one in enumerate(value):
                for other in misshapen(one, shapes):
                    yield [*value[:position], other, *value[position + 1 :]]


def damaged(body: bytes, draw: random.Random) -> bytes:
    """One or a few random changes to a JSON answer: to its bytes, or to parts of it."""
    if draw.random() < 0.1:
        return draw.choice(BODIES)
    if draw.random() < 0.1 and body:
        place = draw.randrange(len(body))
        return (
            body[:place] + draw.choice((b"", b"\xff", b'"', b"{", b"[", b"0", b"\\u0000")) + body[place + 1 :]
        )
    value = orjson.loads(body)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        value = _change(value, draw)
    return dumps(value)


def dumps(value: Any) -> bytes:
    """As JSON, which has numbers beyond 64 bits too."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def _change(value: Any, draw: random.Random) -> Any:
    """`value` with one part of it changed, at any depth."""
    parts: list[Any] = []
    if isinstance(value, dict | list):
        parts = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not parts or draw.random() < 0.15:
        return draw.choice(SHAPES)
    name = draw.choice(parts)
    copy = value.copy()
    match draw.randrange(8):
        case 0:
            del copy[name]
        case 1 if isinstance(copy, list):
            copy.append(copy[name])
        case 1:
            copy[f"{name}x"] = copy[name]
        case 2:
            copy[name] = draw.choice(SHAPES)
        case _:
            copy[name] = _change(copy[name], draw)
    return copy

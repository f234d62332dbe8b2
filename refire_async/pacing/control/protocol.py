"""Questions and answers of the control socket: one line of JSON each. Pure.

Request: `{"refire": 1, "verb": "rate", "value": "3000"}`. Answer: `{"refire": 1, ...}` with what the verb
answers, or `{"refire": 1, "error": "one line"}`. The number is that of the protocol.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

VERSION = 1
LONGEST = 4_096
"""Bytes of a request or an answer at most, its line end included."""


class ProtocolError(Exception):
    """The other side does not speak this protocol. The text is one line."""


class RefusedVerbError(Exception):
    """The run understood the request and does not do it. The text is one line."""


@dataclass(frozen=True, slots=True)
class Request:
    """A verb and what it is given."""

    verb: str
    members: Mapping[str, Any]


def encode_request(verb: str, members: Mapping[str, Any]) -> bytes:
    """A line to send."""
    return orjson.dumps({"refire": VERSION, "verb": verb, **members}) + b"\n"


def decode_request(line: bytes) -> Request:
    """What was asked. Raises ProtocolError."""
    members = _decode(line)
    verb = members.pop("verb", None)
    if not isinstance(verb, str):
        raise ProtocolError("the request has no verb")
    return Request(verb, members)


def encode_answer(members: Mapping[str, Any]) -> bytes:
    """A line to send."""
    return orjson.dumps({"refire": VERSION, **members}) + b"\n"


def encode_error(error: str) -> bytes:
    """A line to send."""
    return encode_answer({"error": error[:1_000]})


def decode_answer(line: bytes) -> dict[str, Any]:
    """What was answered. Raises ProtocolError, or RefusedVerbError with the text of a refusal."""
    members = _decode(line)
    error = members.get("error")
    if error is not None:
        raise RefusedVerbError(" ".join(str(error).split()))
    return members


def _decode(line: bytes) -> dict[str, Any]:
    try:
        members = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise ProtocolError("what came is not a line of JSON") from None
    if not isinstance(members, dict):
        raise ProtocolError("what came is not a JSON object")
    version = members.pop("refire", None)
    if type(version) is not int or version != VERSION:
        raise ProtocolError(f"this side speaks version {VERSION} of the protocol, the other one does not")
    return members

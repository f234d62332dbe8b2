"""Requests and answers of the control socket: one line of JSON each. Pure.

Request: `{"refire": 1, "verb": "rate", "value": "3000"}`. Answer: `{"refire": 1, ...}` with the members that the verb
returns, or `{"refire": 1, "error": "one line"}`. The number is the version of the protocol.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

VERSION = 1
MAX_BYTES = 4_096
"""Most bytes of a request or an answer, with its line end."""


class ProtocolError(Exception):
    """The other side does not use this protocol. The text is one line."""


class RefusedVerbError(Exception):
    """The run rejects the request. The text is one line."""


@dataclass(frozen=True, slots=True)
class Request:
    """A verb and the other members of its request."""

    verb: str
    members: Mapping[str, Any]


def encode_request(verb: str, members: Mapping[str, Any]) -> bytes:
    """The line of a request."""
    return orjson.dumps({"refire": VERSION, "verb": verb, **members}) + b"\n"


def decode_request(line: bytes) -> Request:
    """Parse a request. Raises ProtocolError."""
    members = _decode(line)
    verb = members.pop("verb", None)
    if not isinstance(verb, str):
        raise ProtocolError("the request has no verb")
    return Request(verb, members)


def encode_answer(members: Mapping[str, Any]) -> bytes:
    """The line of an answer."""
    return orjson.dumps({"refire": VERSION, **members}) + b"\n"


def encode_error(error: str) -> bytes:
    """The line of an answer that reports an error."""
    return encode_answer({"error": error[:1_000]})


def decode_answer(line: bytes) -> dict[str, Any]:
    """Parse an answer. Raises ProtocolError, or RefusedVerbError with the text of its error."""
    members = _decode(line)
    error = members.get("error")
    if error is not None:
        raise RefusedVerbError(" ".join(str(error).split()))
    return members


def _decode(line: bytes) -> dict[str, Any]:
    try:
        members = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise ProtocolError("the message is not a line of JSON") from None
    if not isinstance(members, dict):
        raise ProtocolError("the message is not a JSON object")
    version = members.pop("refire", None)
    if type(version) is not int or version != VERSION:
        raise ProtocolError(f"the other side does not use version {VERSION} of the protocol")
    return members

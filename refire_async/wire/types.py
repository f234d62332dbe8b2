"""The transport's whole contract: one callable over two frozen records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

TARGET_PREFIX = "DynamoDB_20120810."
"""Stands before the operation in the `x-amz-target` header (DynamoDB low-level API)."""

CONTENT_TYPE = "application/x-amz-json-1.0"


@dataclass(frozen=True, slots=True)
class Request:
    """One call: `operation` such as "Scan", `body` its JSON."""

    operation: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What the service answered, whatever the status. Header names are matched without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Sends a request once and gives the whole answer.

    Raises WireError if there is no answer or it is damaged. An answer with an error status is an answer.
    """

    async def __call__(self, request: Request) -> Response: ...

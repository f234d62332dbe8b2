"""The transport's whole contract: one callable over two frozen records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

TABLES_API = "DynamoDB_20120810"
STREAMS_API = "DynamoDBStreams_20120810"
"""What stands before the operation in the `x-amz-target` header (DynamoDB low-level API)."""

CONTENT_TYPE = "application/x-amz-json-1.0"


@dataclass(frozen=True, slots=True)
class Request:
    """One call: `operation` such as "Scan", `body` its JSON, which holds keys: not in the repr."""

    operation: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What the service answered, whatever the status. Header names are matched without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Transport(Protocol):
    """Sends a request once and gives the whole answer.

    Raises WireError if there is no answer or it is damaged. An answer with an error status is an answer.
    """

    async def __call__(self, request: Request) -> Response: ...

"""The interface of a transport: one callable over two frozen records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Api:
    """What all requests of an AWS API have in common.

    `service` is its name in the scope of a signature. `target` stands before the operation in the `X-Amz-Target`
    header; None where the path names the operation. `headers` are the same in every request.
    """

    service: str
    target: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def headers_of(self, operation: str) -> dict[str, str]:
        """The headers of a call of `operation` that belong to the API."""
        named = {} if self.target is None else {"X-Amz-Target": f"{self.target}.{operation}"}
        return dict(self.headers) | named


_AMZ_JSON = (("Content-Type", "application/x-amz-json-1.0"),)

TABLES_API = Api("dynamodb", "DynamoDB_20120810", _AMZ_JSON)
STREAMS_API = Api("dynamodb", "DynamoDBStreams_20120810", _AMZ_JSON)
"""DynamoDB low-level API."""

INVOKE_API = Api(
    "lambda",
    headers=(
        ("Content-Type", "application/json"),
        ("X-Amz-Invocation-Type", "RequestResponse"),
        ("X-Amz-Log-Type", "Tail"),
    ),
)
"""Synchronous invocations with the end of their log (Lambda API reference: Invoke)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call: `operation` such as "Scan", `body` its JSON, which holds keys: not in the repr.

    `path` is the path and query, percent-encoded; DynamoDB has only one.
    """

    operation: str
    body: bytes = field(repr=False)
    path: str = "/"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of the service, with any status. Look-ups of header names ignore case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Transport(Protocol):
    """Sends a request once and returns the whole answer, with any status.

    Raises:
        AwsError: there is no answer, or it is damaged.
    """

    async def __call__(self, request: Request) -> Response: ...

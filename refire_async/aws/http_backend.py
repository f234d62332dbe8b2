"""Below the transport: getting one HTTP request to the endpoint and its answer back, nothing of AWS.

Two ways: straight there (`direct`), which is as cheap as Python allows, and through the proxies that the
environment names (`proxied`).
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from refire_async.aws.types import Response


@dataclass(frozen=True, slots=True)
class Timeouts:
    """`connect_s` bounds the way to a ready connection, `answer_s` what comes after it."""

    connect_s: float = 5.0
    answer_s: float = 30.0


DEFAULT_TIMEOUTS = Timeouts()

CALL_S = 30.0
"""Seconds after which a call over botocore is given up, and any call that is tried again by itself is not any more."""


class HttpBackend(Protocol):
    """Connections to one endpoint, kept open between requests; to be used as `async with`."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def post(self, headers: dict[str, str], body: bytes) -> Response:
        """POST / once. Raises WireError with one of the codes of `failures` if there is no whole answer."""
        ...

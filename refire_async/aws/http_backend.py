"""Below the transport: getting one HTTP request to the endpoint and its answer back, nothing of AWS.

Two ways: straight there (`direct`), which is as cheap as Python allows, and through the proxies that the
environment names (`proxied`).
"""

import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from refire_async.aws.types import Response


@dataclass(frozen=True, slots=True)
class Timeouts:
    """`connect_s` bounds the way to a ready connection, `answer_s` what comes after it.

    With `keep_alive_s` the system probes a connection that has been silent for so many seconds: for answers that take
    minutes, during which a router may drop the connection or its peer may die.
    """

    connect_s: float = 5.0
    answer_s: float = 30.0
    keep_alive_s: float | None = None


DEFAULT_TIMEOUTS = Timeouts()

CALL_S = 30.0
"""Seconds after which a call over botocore is given up, and any call that is tried again by itself is not any more."""


_PROBES = 4
"""Unanswered probes after which a connection is lost. They are as far apart as the first is from the last data."""


def keep_alive(connection: Any, keep_alive_s: float) -> None:
    """Turn TCP keep-alive on for a socket, or what asyncio shows of one."""
    seconds = max(1, round(keep_alive_s))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # macOS has another name for the first one. What a system lacks stays at its default.
    for names, value in (
        (("TCP_KEEPIDLE", "TCP_KEEPALIVE"), seconds),
        (("TCP_KEEPINTVL",), seconds),
        (("TCP_KEEPCNT",), _PROBES),
    ):
        option = next((getattr(socket, name) for name in names if hasattr(socket, name)), None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


class HttpBackend(Protocol):
    """Connections to one endpoint, kept open between requests; to be used as `async with`."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def post(self, headers: dict[str, str], body: bytes, path: str = "/") -> Response:
        """POST once to `path`, which includes the query and is percent-encoded.

        Raises WireError with one of the codes of `transport_errors` if there is no whole answer.
        """
        ...

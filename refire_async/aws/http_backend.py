"""Below the transport: send one HTTP request to the endpoint and receive its answer, independent of AWS.

There are two backends: a direct connection (`http_direct`), which needs as little CPU time as Python allows, and a
connection through the proxy that the environment names (`http_proxied`).
"""

import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from refire_async.aws.types import Response


@dataclass(frozen=True, slots=True)
class Timeouts:
    """`connect_s` limits the time until a connection is ready, `answer_s` the time from then to the whole answer.

    With `keep_alive_s` the system probes a connection that has been silent for this many seconds: for answers that take
    minutes, during which a router may drop the connection or the peer may fail.
    """

    connect_s: float = 5.0
    answer_s: float = 30.0
    keep_alive_s: float | None = None


DEFAULT_TIMEOUTS = Timeouts()

CALL_S = 30.0
"""Seconds after which a call over botocore times out, and after which no automatic retry begins."""


_PROBES = 4
"""Unanswered probes after which a connection counts as lost. Their interval equals the time to the first probe."""


def keep_alive(connection: Any, keep_alive_s: float) -> None:
    """Enable TCP keep-alive for a socket, or for a socket wrapper of asyncio."""
    seconds = max(1, round(keep_alive_s))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # macOS has another name for the first option. Options that a system lacks keep their default.
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

        Raises:
            AwsError: there is no complete answer; its code is one of `transport_errors`.
        """
        ...

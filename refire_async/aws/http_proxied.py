"""To the endpoint through a proxy, which aiohttp knows all about."""

import ssl
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from refire_async.aws.endpoint import Endpoint, tls_context
from refire_async.aws.http_backend import DEFAULT_TIMEOUTS, Timeouts
from refire_async.aws.http_client import open_client, translate, whole_body
from refire_async.aws.types import Response


class ProxiedBackend:
    """An Exchange of at most `concurrency` connections over aiohttp, through `proxy` if it is not None.

    One thing that `direct` sees and aiohttp does not: an answer that arrives unasked on an idle connection is
    taken for that of the next request.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        concurrency: int,
        tls: ssl.SSLContext | None,
        proxy: str | None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        """`tls` verifies the endpoint, and the proxy where that is https; None stands for the usual way."""
        self._host = endpoint.host
        self._url = URL(endpoint.url, encoded=True)
        self._concurrency = concurrency
        self._tls = tls or tls_context(None)
        self._proxy = proxy
        self._timeouts = timeouts

    async def __aenter__(self) -> Self:
        # The total covers both parts, so that when it runs out the connection was ready.
        total_s = self._timeouts.connect_s + self._timeouts.answer_s
        timeout = aiohttp.ClientTimeout(total=total_s, connect=self._timeouts.connect_s)
        self._session = open_client(self._concurrency, self._tls, timeout, self._proxy)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def post(self, headers: dict[str, str], body: bytes) -> Response:
        """See Exchange."""
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return Response(answer.status, answer.headers, await whole_body(answer, self._host))
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise translate(error, self._host, self._proxy) from error

"""Connections to the endpoint through a proxy, with aiohttp."""

import io
import ssl
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from refire_async.aws.endpoint import Endpoint, tls_context
from refire_async.aws.http_backend import DEFAULT_TIMEOUTS, Timeouts
from refire_async.aws.http_client import open_client, translate, whole_body
from refire_async.aws.types import Response

_ONE_PIECE = 1 << 20


class ProxiedBackend:
    """An HttpBackend of at most `concurrency` connections over aiohttp, through `proxy` if it is not None.

    Unlike `http_direct`, aiohttp does not detect an unsolicited answer on an idle connection: it attributes it to the
    next request.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        concurrency: int,
        tls: ssl.SSLContext | None,
        proxy: str | None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        *,
        answer_limit: int | None = None,
    ) -> None:
        """`tls` verifies the endpoint, and the proxy if that is https; None stands for the default verification.

        `answer_limit` limits the bytes of an answer (None: `ANSWER_LIMIT`).
        """
        self._host = endpoint.host
        self._base = endpoint.url.rstrip("/")
        self._url = URL(endpoint.url, encoded=True)
        self._concurrency = concurrency
        self._tls = tls or tls_context(None)
        self._proxy = proxy
        self._timeouts = timeouts
        self._answer_limit = answer_limit

    async def __aenter__(self) -> Self:
        # The total covers both parts: when it ends, the connection had been ready.
        total_s = self._timeouts.connect_s + self._timeouts.answer_s
        timeout = aiohttp.ClientTimeout(total=total_s, connect=self._timeouts.connect_s)
        self._session = open_client(
            self._concurrency, self._tls, timeout, self._proxy, self._timeouts.keep_alive_s
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def post(self, headers: dict[str, str], body: bytes, path: str = "/") -> Response:
        """See HttpBackend."""
        # aiohttp warns about large bytes, because it sends them in one piece.
        data = body if len(body) <= _ONE_PIECE else io.BytesIO(body)
        url = self._url if path == "/" else URL(self._base + path, encoded=True)
        try:
            async with self._session.post(url, data=data, headers=headers, allow_redirects=False) as answer:
                return Response(
                    answer.status, answer.headers, await whole_body(answer, self._host, self._answer_limit)
                )
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise translate(error, self._host, self._proxy) from error

"""To the endpoint through a proxy, which aiohttp knows all about."""

import ssl
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from refire_async.wire.endpoint import Endpoint
from refire_async.wire.errors import WireError
from refire_async.wire.exchange import DEFAULT_TIMEOUTS, Timeouts
from refire_async.wire.failures import failure, reason
from refire_async.wire.types import Response

# In order: the first class that fits.
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ConnectionTimeoutError, "ConnectTimeout"),
    (aiohttp.ClientConnectorCertificateError, "UntrustedCertificate"),
    (aiohttp.ClientHttpProxyError, "ProxyError"),
    (aiohttp.ClientProxyConnectionError, "ProxyError"),
    (aiohttp.ClientConnectorError, "ConnectError"),
    (TimeoutError, "Timeout"),
    (aiohttp.ClientPayloadError, "TruncatedAnswer"),
    (aiohttp.ClientResponseError, "GarbledAnswer"),
    (Exception, "ConnectionLost"),
)


class ProxiedExchange:
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
        """`tls` verifies the endpoint, and the proxy where that is https."""
        self._host = endpoint.host
        self._url = URL(endpoint.url, encoded=True)
        self._concurrency = concurrency
        self._tls = tls
        self._proxy = proxy
        self._timeouts = timeouts

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._concurrency, ssl=self._tls if self._tls is not None else True
            ),
            # The total covers both parts, so that when it runs out the connection was ready.
            timeout=aiohttp.ClientTimeout(
                total=self._timeouts.connect_s + self._timeouts.answer_s, connect=self._timeouts.connect_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # Not trust_env: it looks into a netrc file, in a thread, for every request.
            proxy=self._proxy,
        )
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
                return Response(answer.status, answer.headers, await answer.read())
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> WireError:
        code = next(code for kind, code in _CODES if isinstance(error, kind))
        return failure(code, self._host, why(error))


def why(error: Exception) -> str:
    """Why a request failed, without the words that aiohttp puts around the reason."""
    match error:
        case aiohttp.ClientHttpProxyError():
            return f"HTTP {error.status}"
        case aiohttp.ClientConnectorCertificateError():
            return reason(error.certificate_error)
        case aiohttp.ClientConnectorError():
            return reason(error.os_error)
        case _:
            return reason(error)

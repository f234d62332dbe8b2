"""HTTP for every botocore client of this program, with the same rules as for the data plane.

The HTTP session of aiobotocore (2.25) does not compare host names, verifies no certificate behind a proxy, follows
redirects, also from https to http, and limits neither the size of an answer nor its total time.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from zlib import crc32

import aiohttp
from aiobotocore.awsrequest import AioAWSResponse
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from multidict import CIMultiDict
from yarl import URL

from refire_async.aws.encoding import decoded
from refire_async.aws.endpoint import forbid_plain, tls_context
from refire_async.aws.errors import AwsError
from refire_async.aws.http_client import open_client, translate, whole_body
from refire_async.aws.proxies import choose_proxy, host_and_port

_KINDS: dict[str, type[BotoCoreError]] = {
    "ConnectTimeout": ConnectTimeoutError,
    "ConnectError": EndpointConnectionError,
    "ProxyError": ProxyConnectionError,
    "ProxyUnreachable": ProxyConnectionError,
    "UntrustedCertificate": SSLError,
    "UntrustedProxy": SSLError,
    "NotTls": SSLError,
    "Timeout": ReadTimeoutError,
    "ConnectionLost": ConnectionClosedError,
    "TruncatedAnswer": ConnectionClosedError,
}
"""By code of an AwsError; HTTPClientError for all others."""


class BoundedHttp:
    """The interface of aiobotocore's `http_session_cls`: keyword arguments, `send`, `close`, `async with`.

    A request and its whole answer have `timeout[1]` seconds, of which `timeout[0]` to connect. Only the body of a
    stream, such as an object in S3, has no total time here: its reader sets one, and `timeout[1]` limits each wait.
    """

    def __init__(
        self,
        *,
        verify: bool | str | None = True,
        proxies: Mapping[str, str] | None = None,
        timeout: tuple[float, float],
        max_pool_connections: int = 10,
        **_unused: Any,
    ) -> None:
        """`verify` may be a file of trusted certificates. It never turns verification off."""
        self._bundle = verify if isinstance(verify, str) else None
        self._proxies = proxies or {}
        self._connect_s, self._answer_s = timeout
        self._connections = max_pool_connections
        self._clients: dict[tuple[str | None, bool], aiohttp.ClientSession] = {}
        self._streams: list[aiohttp.ClientResponse] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, with the streams that did not reach a reader: botocore drops some answers unread."""
        for stream in self._streams:
            stream.close()
        self._streams.clear()
        while self._clients:
            _, client = self._clients.popitem()
            await client.close()

    async def send(self, request: Any) -> AioAWSResponse:
        """Send an AWSPreparedRequest once, and read the content of the answer unless it is a stream.

        Raises:
            UsageError: a request without encryption to AWS, or an invalid proxy.
            HTTPClientError: of the kinds that botocore retries, with an AwsError as `kwargs["error"]`.
        """
        forbid_plain(request.url)
        host = urlsplit(request.url).netloc.rpartition("@")[2]
        proxy = choose_proxy(self._proxies, request.url)
        try:
            return await self._exchange(request, host, proxy)
        except AwsError as error:
            raise _as_botocore(error, request, proxy) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _as_botocore(translate(error, host, proxy), request, proxy) from error

    async def _exchange(self, request: Any, host: str, proxy: str | None) -> AioAWSResponse:
        client = self._client(proxy, secure=request.url.startswith("https:"))
        async with asyncio.timeout(self._answer_s):
            answer = await client.request(
                request.method,
                URL(request.url, encoded=True),
                headers=_headers(request.headers),
                data=request.body,
                allow_redirects=False,
            )
            try:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                content = None
                if request.stream_output and answer.status < 300:
                    self._streams = [*(stream for stream in self._streams if not stream.closed), answer]
                else:
                    content = _plain(await whole_body(answer, host), headers, host)
            except BaseException:
                answer.close()
                raise
        response = AioAWSResponse(str(answer.url), answer.status, headers, answer)
        response._content = content  # noqa: SLF001 - where botocore keeps what was read
        return response

    def _client(self, proxy: str | None, *, secure: bool) -> aiohttp.ClientSession:
        client = self._clients.get((proxy, secure))
        if client is None:
            # `_exchange` limits the total time, because the body of a stream has no total.
            timeout = aiohttp.ClientTimeout(total=None, connect=self._connect_s, sock_read=self._answer_s)
            # Reading the certificates takes about 30 ms.
            trust = tls_context(self._bundle) if secure or proxy is not None else None
            client = open_client(self._connections, trust, timeout, proxy)
            self._clients[proxy, secure] = client
        return client


def _headers(headers: Mapping[str, Any]) -> CIMultiDict[str]:
    """Headers of a request for an uncompressed answer, because the checksum covers the bytes that are sent."""
    texts = CIMultiDict(
        (name, value.decode() if isinstance(value, bytes) else str(value)) for name, value in headers.items()
    )
    texts["Accept-Encoding"] = "identity"
    return texts


def _plain(body: bytes, headers: dict[str, str], host: str) -> bytes:
    """The body without compression. Removes the encoding from `headers` and adapts the checksum."""
    plain = decoded(body, CIMultiDict(headers), host)
    if plain is not body:
        del headers["content-encoding"]
        if headers.get("x-amz-crc32") == str(crc32(body)):
            headers["x-amz-crc32"] = str(crc32(plain))
    return plain


def _as_botocore(error: AwsError, request: Any, proxy: str | None) -> BotoCoreError:
    """The error of botocore that its retries and callers expect for this failure."""
    kind = _KINDS.get(error.code, HTTPClientError)
    where = {
        "endpoint_url": request.url,
        "proxy_url": host_and_port(proxy) if proxy else "",
        "request": request,
    }
    translated: BotoCoreError = kind(**where, error=error)
    return translated

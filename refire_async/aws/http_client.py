"""aiohttp without redirects and cookies, with limited answer sizes and verified certificates."""

import socket
import ssl

import aiohttp

from refire_async.aws.encoding import ANSWER_LIMIT
from refire_async.aws.errors import AwsError
from refire_async.aws.http_backend import keep_alive
from refire_async.aws.proxies import host_and_port, is_proxy
from refire_async.aws.transport_errors import connecting, failure, reason

_TLS_LINE = r"b'\x15\x03"
"""The beginning of a TLS alert as aiohttp quotes it in place of a status line."""


def open_client(
    connections: int,
    tls: ssl.SSLContext | None,
    timeout: aiohttp.ClientTimeout,
    proxy: str | None,
    keep_alive_s: float | None = None,
) -> aiohttp.ClientSession:
    """A client with at most `connections` connections. `tls` verifies hosts, and the proxy if that is https.

    `keep_alive_s` as in `Timeouts`.
    """

    def probed(address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)  # noqa: FBT003 - its only form
        keep_alive(made, keep_alive_s or 0)
        return made

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=connections,
            ssl=tls if tls is not None else True,
            socket_factory=None if keep_alive_s is None else probed,
        ),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers={"Content-Type"},
        auto_decompress=False,
        # Not trust_env, which reads a netrc file in a thread for every request.
        proxy=proxy,
    )


async def whole_body(answer: aiohttp.ClientResponse, host: str, limit: int | None = None) -> bytes:
    """Read the whole body, not decoded.

    Raises:
        AwsError: it has more than `limit` (None: `ANSWER_LIMIT`) bytes.
        aiohttp.ClientError, TimeoutError: the connection failed.
    """
    limit = ANSWER_LIMIT if limit is None else limit
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
        if size > limit:
            answer.close()
            raise failure("OversizedAnswer", host)
        chunks.append(chunk)
    return b"".join(chunks)


def translate(error: Exception, host: str, proxy: str | None) -> AwsError:
    """The AwsError for a ClientError or OSError of a request to `host`."""
    why = ""
    match error:
        case aiohttp.ConnectionTimeoutError():
            code = "ConnectTimeout"
        case aiohttp.ClientHttpProxyError():
            code, why = "ProxyError", f"HTTP {error.status}"
        case aiohttp.ClientConnectorCertificateError() if is_proxy(proxy, error.host, error.port):
            code, why = "UntrustedProxy", f"{host_and_port(proxy or '')}: {reason(error.certificate_error)}"
        case aiohttp.ClientConnectorCertificateError():
            code, why = "UntrustedCertificate", reason(error.certificate_error)
        case aiohttp.ClientConnectorError() if is_proxy(proxy, error.host, error.port):
            code, why = "ProxyUnreachable", f"{host_and_port(proxy or '')}: {reason(error.os_error)}"
        case aiohttp.ClientConnectorError():
            code, why = connecting(error.os_error), reason(error.os_error)
        case TimeoutError():
            code = "Timeout"
        case aiohttp.ClientPayloadError():
            code = "TruncatedAnswer"
        case aiohttp.ClientResponseError():
            code = "NotPlain" if _TLS_LINE in error.message else "GarbledAnswer"
        case _:
            code = "ConnectionLost"
    return failure(code, host, why)

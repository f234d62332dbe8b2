"""Transports over each of the HTTP backends, for tests of both."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from ssl import SSLContext

import pytest

from refire_async.aws.endpoint import Endpoint
from refire_async.aws.errors import AwsError
from refire_async.aws.http_backend import HttpBackend, Timeouts
from refire_async.aws.http_direct import DirectBackend
from refire_async.aws.http_proxied import ProxiedBackend
from refire_async.aws.proxies import proxy_for
from refire_async.aws.signing import Credentials
from refire_async.aws.transport import SignedTransport
from refire_async.aws.types import Request

REGION = "eu-west-1"
SCAN = Request("Scan", b'{"TableName":"t"}')


class Keys:
    """A CredentialSource with a list of credentials: each renewal uses the next."""

    owner = " of profile default from a test"

    def __init__(self, *credentials: Credentials) -> None:
        self.left = list(credentials)
        self.renewals = 0

    async def get(self) -> Credentials:
        return self.left[0]

    async def renew(self, stale: Credentials) -> bool:
        self.renewals += 1
        if self.left[0] == stale and len(self.left) > 1:
            del self.left[0]
        return self.left[0] != stale


def keys() -> Keys:
    return Keys(Credentials("AKIDEXAMPLE", "a secret"))


Connect = Callable[..., AbstractAsyncContextManager[SignedTransport]]


def direct(
    endpoint: Endpoint,
    concurrency: int,
    tls: SSLContext | None,
    timeouts: Timeouts,
    answer_limit: int | None = None,
) -> HttpBackend:
    return DirectBackend(endpoint, concurrency, tls, timeouts, answer_limit=answer_limit)


def proxied(
    endpoint: Endpoint,
    concurrency: int,
    tls: SSLContext | None,
    timeouts: Timeouts,
    answer_limit: int | None = None,
) -> HttpBackend:
    proxy = proxy_for(endpoint.url)
    return ProxiedBackend(endpoint, concurrency, tls, proxy, timeouts, answer_limit=answer_limit)


async def failure(transport: SignedTransport, request: Request = SCAN) -> AwsError:
    """The error of this request."""
    with pytest.raises(AwsError) as caught:
        await transport(request)
    return caught.value

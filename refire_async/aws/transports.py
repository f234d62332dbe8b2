"""Opens transports that sign with a session's credentials and trust what it trusts."""

from contextlib import AsyncExitStack

from refire_async.aws.clock import ServiceClock
from refire_async.aws.config import AwsSession
from refire_async.aws.endpoint import tls_context
from refire_async.aws.http_backend import DEFAULT_TIMEOUTS, HttpBackend, Timeouts
from refire_async.aws.http_direct import DirectBackend
from refire_async.aws.http_proxied import ProxiedBackend
from refire_async.aws.proxies import proxy_for
from refire_async.aws.route import Route
from refire_async.aws.transport import SignedTransport
from refire_async.aws.types import Api, Transport


class Transports:
    """Makes the transports of one session: they share its credentials and what it has learnt of the time."""

    def __init__(self, aws: AwsSession, clock: ServiceClock) -> None:
        self._aws = aws
        self._clock = clock

    async def open(
        self,
        stack: AsyncExitStack,
        route: Route,
        limit: int,
        api: Api,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        answer_limit: int | None = None,
    ) -> Transport:
        """A transport of at most `limit` calls at once, through a proxy where the environment names one.

        It lives as long as `stack`. `answer_limit` bounds the bytes of an answer. Raises UsageError.
        """
        where = route.endpoint
        proxy = proxy_for(where.url)
        trust = tls_context(self._aws.ca_bundle) if where.secure or proxy is not None else None
        backend: HttpBackend = (
            DirectBackend(where, limit, trust, timeouts, answer_limit=answer_limit)
            if proxy is None
            else ProxiedBackend(where, limit, trust, proxy, timeouts, answer_limit=answer_limit)
        )
        await stack.enter_async_context(backend)
        return SignedTransport(
            backend, where.host, route.region, self._aws.credentials, api=api, service_clock=self._clock
        )

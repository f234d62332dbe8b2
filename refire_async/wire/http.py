"""The transport over aiohttp: one signed POST per call, on connections that stay open.

What an error means for the write behind the request depends on one thing: could the service have seen it?
Everything up to a ready connection says no (RETRY), everything after says maybe (UNKNOWN). A reset on a
connection that was idle before is after: the service may have read the request and died.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from ssl import SSLContext
from types import TracebackType
from typing import Self
from zlib import crc32

import aiohttp
from yarl import URL

from refire_async import __version__
from refire_async.wire.credentials import CredentialSource
from refire_async.wire.endpoint import Endpoint
from refire_async.wire.errors import Disposition, WireError, error_of, lost_answer
from refire_async.wire.foreign import LOG_IN, from_http
from refire_async.wire.signing import Signer, SigningMoment
from refire_async.wire.types import TABLES_API, Request, Response

_STALE_S = 60.0
"""A signature that differs by less from the service's clock was not refused for its time (the limit is 5 minutes)."""

# What the service's checksum is about are the bytes on the wire: no compression.
_FIXED_HEADERS = {"Accept-Encoding": "identity", "User-Agent": f"refire-async/{__version__}"}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """`connect_s` bounds the way to a ready connection, `answer_s` what comes after it."""

    connect_s: float = 5.0
    answer_s: float = 30.0


DEFAULT_TIMEOUTS = Timeouts()


class AiohttpTransport:
    """A Transport and its connections, at most `concurrency`; to be used as `async with`."""

    def __init__(
        self,
        endpoint: Endpoint,
        region: str,
        credentials: CredentialSource,
        concurrency: int,
        *,
        tls: SSLContext | None = None,
        api: str = TABLES_API,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = endpoint
        self._url = URL(endpoint.url, encoded=True)
        self._signer = Signer(endpoint.host, region, api)
        self._credentials = credentials
        self._concurrency = concurrency
        self._tls = tls
        self._timeouts = timeouts
        self._clock = clock
        self._clock_offset_s = 0.0
        self._moment: SigningMoment | None = None

    async def __aenter__(self) -> Self:
        proxy = self._endpoint.proxy()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._concurrency,
                ssl=self._tls if self._tls is not None else True,
                ttl_dns_cache=30,
            ),
            # The total covers both parts, so that when it runs out the connection was ready.
            timeout=aiohttp.ClientTimeout(
                total=self._timeouts.connect_s + self._timeouts.answer_s, connect=self._timeouts.connect_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # Not trust_env: it looks into a netrc file, in a thread, for every request.
            proxy=proxy,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def __call__(self, request: Request) -> Response:
        """See Transport."""
        moment = await self._signing_moment()
        headers = moment.headers(request.operation, request.body)
        headers |= _FIXED_HEADERS
        try:
            async with self._session.post(
                self._url, data=request.body, headers=headers, allow_redirects=False
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise from_http(error, self._endpoint.host) from error
        checksum = answer.headers.get("x-amz-crc32")
        if checksum is not None and checksum != str(crc32(body)):
            raise lost_answer("DamagedAnswer", f"answer to {request.operation} does not match its checksum")
        response = Response(answer.status, answer.headers, body)
        if answer.status != 200:
            await self._learn_from(error_of(response, request.operation), response, moment)
        return response

    async def _signing_moment(self) -> SigningMoment:
        now_s = int(self._clock() + self._clock_offset_s)
        moment = self._moment
        if moment is None or moment.epoch_s != now_s:
            moment = self._moment = self._signer.at(await self._credentials.get(), now_s)
        return moment

    async def _learn_from(self, error: WireError, response: Response, moment: SigningMoment) -> None:
        """Before the caller tries again: other credentials or a better clock, where the answer calls for it.

        Raises WireError (FATAL) where there is none to be had.
        """
        if error.is_expired_token:
            self._moment = None
            if not await self._credentials.renew(moment.credentials):
                raise WireError(
                    error.code, "the AWS session token has expired", Disposition.FATAL, action=LOG_IN
                )
        elif error.is_clock_skew:
            service_s = _date_of(response)
            if service_s is None or abs(service_s - moment.epoch_s) < _STALE_S:
                raise WireError(
                    error.code,
                    "the service refuses the time of the signature",
                    Disposition.FATAL,
                    action="set this machine's clock",
                )
            self._clock_offset_s = service_s - self._clock()


def _date_of(response: Response) -> float | None:
    """The service's clock (Unix time), None if the answer does not tell."""
    try:
        return parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return None

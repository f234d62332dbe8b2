"""The transport: what all requests have in common, above the bytes on the wire.

Each is signed with the credentials of the moment, each answer is checked against its checksum, and an answer that
says that credentials or clock are stale is learnt from, so that the next attempt can go through.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from zlib import crc32

from refire_async import __version__
from refire_async.aws.botocore_errors import expired_token, refused_time
from refire_async.aws.clock import ServiceClock
from refire_async.aws.credentials import CredentialSource
from refire_async.aws.encoding import decoded
from refire_async.aws.errors import AwsError, error_of
from refire_async.aws.http_backend import HttpBackend
from refire_async.aws.service_time import STALE_S
from refire_async.aws.signing import Signer, SigningMoment
from refire_async.aws.transport_errors import failure
from refire_async.aws.types import TABLES_API, Api, Request, Response

# What the service's checksum is about are the bytes on the wire: no compression.
_FIXED_HEADERS = {"Accept-Encoding": "identity", "User-Agent": f"refire-async/{__version__}"}


class SignedTransport:
    """A Transport over an exchange, which whoever opened it closes."""

    def __init__(
        self,
        exchange: HttpBackend,
        host: str,
        region: str,
        credentials: CredentialSource,
        *,
        api: Api = TABLES_API,
        clock: Callable[[], float] = time.time,
        service_clock: ServiceClock | None = None,
    ) -> None:
        """`host` is the endpoint's Host header; `clock` Unix time, corrected by what answers say; a
        `service_clock` in its place learns from several transports."""
        self._exchange = exchange
        self._host = host
        self._signer = Signer(host, region, api)
        self._credentials = credentials
        self._clock = service_clock or ServiceClock(clock)
        self._moment: SigningMoment | None = None

    async def __call__(self, request: Request) -> Response:
        """See Transport."""
        sent_s = self._clock.wall()
        moment = await self._signing_moment(sent_s)
        headers = moment.headers(request.operation, request.body, request.path)
        headers |= _FIXED_HEADERS
        response = await self._exchange.post(headers, request.body, request.path)
        body = decoded(response.body, response.headers, self._host)
        checksum = response.headers.get("x-amz-crc32")
        # What the service compresses has the checksum of that, what a proxy does the one of what it got.
        if checksum is not None and checksum not in (str(crc32(body)), str(crc32(response.body))):
            raise failure("DamagedAnswer", self._host)
        self._clock.learn(response.headers.get("Date"), sent_s)
        if body is not response.body:
            response = replace(response, body=body)
        if response.status != 200:
            await self._learn_from(error_of(response, request.operation), moment)
        return response

    async def _signing_moment(self, wall_s: float) -> SigningMoment:
        now_s = int(wall_s + self._clock.offset_s)
        moment = self._moment
        if moment is None or moment.epoch_s != now_s:
            moment = self._moment = self._signer.at(await self._credentials.get(), now_s)
        return moment

    async def _learn_from(self, error: AwsError, moment: SigningMoment) -> None:
        """Before the caller tries again: other credentials or a better clock, where the answer calls for it.

        Raises WireError (FATAL) where there is none to be had.
        """
        if error.is_expired_token:
            self._moment = None
            if not await self._credentials.renew(moment.credentials):
                raise expired_token(error.code, self._credentials.owner)
        elif error.is_clock_skew and not self._knows_better_than(moment):
            raise refused_time(error.code)

    def _knows_better_than(self, moment: SigningMoment) -> bool:
        """Whether the next signature will have another time, since the service's clock is known."""
        return self._clock.known and abs(self._clock.now() - moment.epoch_s) >= STALE_S

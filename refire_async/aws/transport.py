"""The transport: signing, checksums and clock, common to all requests of the hot path.

It signs each request with the current credentials and checks the checksum of each answer. If an answer reports expired
credentials or a wrong time, it replaces them, so that the next try can succeed.
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
from refire_async.aws.signing import SecondSigner, Signer
from refire_async.aws.transport_errors import failure
from refire_async.aws.types import TABLES_API, Api, Request, Response

# What the service's checksum is about are the bytes on the wire: no compression.
_FIXED_HEADERS = {"Accept-Encoding": "identity", "User-Agent": f"refire-async/{__version__}"}


class SignedTransport:
    """A Transport over an HttpBackend, which the caller opens and closes."""

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
        self._signing: SecondSigner | None = None

    async def __call__(self, request: Request) -> Response:
        """See Transport."""
        sent_s = self._clock.wall()
        signer = await self._current_signer(sent_s)
        headers = signer.headers(request.operation, request.body, request.path)
        headers |= _FIXED_HEADERS
        response = await self._exchange.post(headers, request.body, request.path)
        body = decoded(response.body, response.headers, self._host)
        checksum = response.headers.get("x-amz-crc32")
        # The checksum covers the compressed body if the service compressed it, the plain body if a proxy did.
        if (
            checksum is not None
            and checksum != str(crc32(body))
            and (body is response.body or checksum != str(crc32(response.body)))
        ):
            raise failure("DamagedAnswer", self._host)
        self._clock.learn(response.headers.get("Date"), sent_s)
        if body is not response.body:
            response = replace(response, body=body)
        if response.status != 200:
            await self._learn_from(error_of(response, request.operation), signer)
        return response

    async def _current_signer(self, wall_s: float) -> SecondSigner:
        now_s = int(wall_s + self._clock.offset_s)
        signer = self._signing
        if signer is None or signer.epoch_s != now_s:
            signer = self._signing = self._signer.at(await self._credentials.get(), now_s)
        return signer

    async def _learn_from(self, error: AwsError, signer: SecondSigner) -> None:
        """Replace credentials or time before the caller retries, if the answer requires it.

        Raises:
            AwsError: FATAL; there are no other credentials, or the service's time is unknown.
        """
        if error.is_expired_token:
            self._signing = None
            if not await self._credentials.renew(signer.credentials):
                raise expired_token(error.code, self._credentials.owner)
        elif error.is_clock_skew and not self._has_better_time_than(signer):
            raise refused_time(error.code)

    def _has_better_time_than(self, signer: SecondSigner) -> bool:
        """Whether the next signature will have another time, because the service's clock is known."""
        return self._clock.known and abs(self._clock.now() - signer.epoch_s) >= STALE_S

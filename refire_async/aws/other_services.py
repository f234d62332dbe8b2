"""The other AWS services that know something about a table and its consumers, over aioboto3.

Their answers are advice, never relied upon: a call ends with an answer or an UnansweredError within a bound.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Literal, Protocol, TypeAlias

import anyio
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from refire_async.aws.botocore_errors import failed_request
from refire_async.aws.endpoint import Endpoint, forbid_plain, parse_endpoint
from refire_async.aws.providers import RefusedCredentialsError
from refire_async.aws.route import Route, route_of
from refire_async.errors import UsageError

ServiceName: TypeAlias = Literal[
    "application-autoscaling", "cloudwatch", "kinesis", "lambda", "pipes", "s3", "sns", "sqs"
]

TIMEOUT_S = 3.0
"""Default timeout (s) of an answer, with connecting and retries."""


class UnansweredError(Exception):
    """No answer of a service. The text is one line with the reason, without secrets."""


@contextmanager
def reading(service: ServiceName) -> Iterator[None]:
    """Translate a missing member of an answer to UnansweredError, within the block that reads the answer.

    `parsing` has checked the types against the service's model.
    """
    try:
        yield
    except LookupError as error:
        raise UnansweredError(f"{service} left {error} out of its answer") from error


@asynccontextmanager
async def asking(service: ServiceName, timeout_s: float | None) -> AsyncIterator[None]:
    """Around calls of a client of `service`: what they raise, also for time, becomes UnansweredError.

    The whole block has `timeout_s` seconds (None: no bound).
    """
    try:
        with anyio.fail_after(timeout_s):
            yield
    except TimeoutError:
        bound = "in time" if timeout_s is None else f"within {timeout_s:g} s"
        raise UnansweredError(f"{service} did not answer {bound}") from None
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an unknown error")
        raise UnansweredError(f"{service} refused to answer: {code}") from error
    except RefusedCredentialsError as error:
        raise UnansweredError(f"{service} cannot be called: {error.refusal.message}") from error
    except ResponseParserError as error:
        raise UnansweredError(f"{service} does not answer as that service does") from error
    except (BotoCoreError, OSError) as error:
        failed = failed_request(error)
        why = type(error).__name__ if failed is None else failed.message
        raise UnansweredError(f"{service} cannot be called ({why})") from error


class Client(Protocol):
    """The part of an AWS session that `Services` needs: clients of other services."""

    def client(self, service: str) -> Any:
        """A client for `async with`, with the configured endpoint or AWS's."""
        ...

    def configured_endpoint(self, service: str) -> str | None:
        """The endpoint that environment or profile set for this service. Fast: creates no client."""
        ...


class Services:
    """Other services of the table's account and region."""

    def __init__(self, aws: Client, table_endpoint: Endpoint) -> None:
        self._aws = aws
        self._table_endpoint = table_endpoint

    @asynccontextmanager
    async def open(self, service: ServiceName, timeout_s: float | None = TIMEOUT_S) -> AsyncIterator[Any]:
        """Open an aioboto3 client of `service`. Errors of its calls, and timeouts, become UnansweredError.

        The whole block has `timeout_s` seconds (None: no limit). If the table is in an emulator (--endpoint-url), no
        request goes to AWS, whose answers would belong to other resources; only a service with its own configured
        endpoint (for example AWS_ENDPOINT_URL_LAMBDA, or in the profile) is used.

        Raises:
            UnansweredError: the request was not sent, not permitted, or had no answer in time.
        """
        self._refuse_elsewhere(service, self._aws.configured_endpoint(service))
        async with asking(service, timeout_s), AsyncExitStack() as stack:
            yield await self._enter(stack, service)

    @asynccontextmanager
    async def connect(self, service: ServiceName) -> AsyncIterator[Any]:
        """As `open`, for calls that are each in an `asking` of their own: what else the block raises stays as it is."""
        self._refuse_elsewhere(service, self._aws.configured_endpoint(service))
        async with AsyncExitStack() as stack:
            async with asking(service, None):
                client = await self._enter(stack, service)
            yield client

    async def route(self, service: ServiceName, method: str, **parameters: Any) -> Route:
        """Where this call goes, for clients of our own. Nothing is sent.

        Raises:
            UnansweredError: it would go to another world than the table's, as in `open`.
            UsageError: the configured endpoint is malformed.
        """
        async with self.open(service, None) as client:
            route = await route_of(client, method, **parameters)
        self._refuse_elsewhere(service, route.endpoint.url)
        return route

    async def _enter(self, stack: AsyncExitStack, service: ServiceName) -> Any:
        try:
            client = await stack.enter_async_context(self._aws.client(service))
        except ValueError as error:  # botocore raises it for a malformed endpoint or region
            raise UnansweredError(f"{service} cannot be called: {' '.join(str(error).split())}") from error
        self._refuse_elsewhere(service, client.meta.endpoint_url)
        try:
            forbid_plain(client.meta.endpoint_url)
        except UsageError as error:
            raise UnansweredError(f"{service} was not asked: {error.message}") from None
        return client

    def _refuse_elsewhere(self, service: ServiceName, url: str | None) -> None:
        """Raise UnansweredError if `url` (None: AWS's own) is at AWS and the table is not."""
        if self._table_endpoint.is_aws:
            return
        try:
            is_aws = url is None or parse_endpoint(url).is_aws
        except UsageError as error:
            raise UnansweredError(f"{service} cannot be called: {error.message}") from None
        if is_aws:
            raise UnansweredError(f"{service} was not asked: --endpoint-url names an emulator")

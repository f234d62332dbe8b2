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
"""How long an answer is waited for where nothing else is said, connecting and tries included."""


class UnansweredError(Exception):
    """A service could not be asked or did not answer. The text is one line that says why, without secrets."""


@contextmanager
def reading(service: ServiceName) -> Iterator[None]:
    """Around the reading of an answer: one without a member that it must have becomes UnansweredError.

    Types are no concern here: they are those of the service's model (`parsing`).
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
        raise UnansweredError(f"{service} cannot be asked: {error.refusal.message}") from error
    except ResponseParserError as error:
        raise UnansweredError(f"{service} does not answer as that service does") from error
    except (BotoCoreError, OSError) as error:
        failed = failed_request(error)
        why = type(error).__name__ if failed is None else failed.message
        raise UnansweredError(f"{service} cannot be asked ({why})") from error


class Client(Protocol):
    """Makes clients of other services: what `Services` needs of an AWS session."""

    def client(self, service: str) -> Any:
        """A client, to be used as `async with`, to where configuration or AWS has the service."""
        ...

    def configured_endpoint(self, service: str) -> str | None:
        """The endpoint that environment or profile set for this service. Quick: no client is made."""
        ...


class Services:
    """Other services of the table's account and region."""

    def __init__(self, aws: Client, table_endpoint: Endpoint) -> None:
        self._aws = aws
        self._table_endpoint = table_endpoint

    @asynccontextmanager
    async def open(self, service: ServiceName, timeout_s: float | None = TIMEOUT_S) -> AsyncIterator[Any]:
        """An aioboto3 client of `service`. What its calls raise, also for time, becomes UnansweredError.

        The whole block has `timeout_s` seconds (None: no bound). Beside a table in an emulator (--endpoint-url)
        no service of the real AWS is asked: its answers would be about something else. Then only a service with
        an endpoint of its own (AWS_ENDPOINT_URL_LAMBDA and the like, or in the profile) is.

        Raises:
            UnansweredError: not asked, not reached, not allowed, or no answer in time.
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
        except ValueError as error:  # botocore's word for a malformed endpoint or region
            raise UnansweredError(f"{service} cannot be asked: {' '.join(str(error).split())}") from error
        self._refuse_elsewhere(service, client.meta.endpoint_url)
        try:
            forbid_plain(client.meta.endpoint_url)
        except UsageError as error:
            raise UnansweredError(f"{service} was not asked: {error.message}") from None
        return client

    def _refuse_elsewhere(self, service: ServiceName, url: str | None) -> None:
        """Raises UnansweredError where `url` (None: AWS's own) is not of the world that the table is in."""
        if self._table_endpoint.is_aws:
            return
        try:
            is_aws = url is None or parse_endpoint(url).is_aws
        except UsageError as error:
            raise UnansweredError(f"{service} cannot be asked: {error.message}") from None
        if is_aws:
            raise UnansweredError(f"{service} was not asked: --endpoint-url names an emulator")

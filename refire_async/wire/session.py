"""One session with DynamoDB: who we are, where the table is, and both planes to it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError

from refire_async.errors import RefusedError
from refire_async.settings import Connection
from refire_async.wire.aws import AwsSession, bad_configuration
from refire_async.wire.control import ControlPlane
from refire_async.wire.credentials import AwsCredentials
from refire_async.wire.dataplane import DataPlane
from refire_async.wire.direct import DirectExchange
from refire_async.wire.endpoint import Endpoint, parse_endpoint, tls_context
from refire_async.wire.errors import WireError
from refire_async.wire.exchange import DEFAULT_TIMEOUTS, Exchange, Timeouts
from refire_async.wire.proxied import ProxiedExchange
from refire_async.wire.services import Services
from refire_async.wire.streams import StreamReader
from refire_async.wire.transport import SignedTransport
from refire_async.wire.types import STREAMS_API, TABLES_API, Transport

_STREAM_READERS = 8


@dataclass(frozen=True, slots=True)
class Session:
    """Both planes to one endpoint, and the services beside it. Lives as long as `open_session`'s block."""

    data: DataPlane
    control: ControlPlane
    streams: StreamReader
    services: Services
    region: str
    endpoint: str


@asynccontextmanager
async def open_session(
    connection: Connection, concurrency: int, timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> AsyncIterator[Session]:
    """Find credentials, region and endpoint as the AWS command line does, and connect both planes to them.

    `concurrency` is the number of data-plane calls that may be under way at once. Nothing is sent to DynamoDB yet:
    an endpoint that cannot be reached shows itself on the first call, within a few seconds.

    Raises:
        RefusedError: no credentials, unknown profile, no region.
        UsageError: malformed region, endpoint URL or AWS configuration.
    """
    async with AsyncExitStack() as stack:
        yield await _open(stack, connection, concurrency, timeouts)


async def _open(
    stack: AsyncExitStack, connection: Connection, concurrency: int, timeouts: Timeouts
) -> Session:
    if connection.endpoint_url is not None:
        parse_endpoint(connection.endpoint_url)
    try:
        aws = AwsSession(connection)
        client = await stack.enter_async_context(aws.client("dynamodb"))
    except (BotoCoreError, ValueError) as error:
        raise bad_configuration(error) from error
    region: str = client.meta.region_name
    endpoint = parse_endpoint(client.meta.endpoint_url)
    trust = tls_context(aws.ca_bundle) if endpoint.secure else None
    credentials = AwsCredentials(aws.credentials)
    try:
        await credentials.get()
    except WireError as error:
        raise RefusedError(error.message, error.action) from error

    async def transport(where: Endpoint, limit: int, api: str) -> Transport:
        proxy = where.proxy()
        exchange: Exchange = (
            DirectExchange(where, limit, trust, timeouts)
            if proxy is None
            else ProxiedExchange(where, limit, trust, proxy, timeouts)
        )
        await stack.enter_async_context(exchange)
        return SignedTransport(exchange, where.host, region, credentials, api=api)

    async def streams_transport() -> Transport:
        async with aws.client("dynamodbstreams") as known:
            resolved = parse_endpoint(known.meta.endpoint_url)
        # One that is set for DynamoDB alone is an emulator's, which has the streams on the same port.
        where = endpoint if resolved.is_aws and not endpoint.is_aws else resolved
        return await transport(where, _STREAM_READERS, STREAMS_API)

    return Session(
        data=DataPlane(await transport(endpoint, concurrency, TABLES_API)),
        control=ControlPlane(client, endpoint.host),
        streams=StreamReader(streams_transport),
        services=Services(aws, endpoint),
        region=region,
        endpoint=endpoint.url.rstrip("/"),
    )

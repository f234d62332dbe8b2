"""A session with DynamoDB: credentials, endpoint, data plane and control plane."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError

from refire_async.aws.clock import ServiceClock
from refire_async.aws.config import AwsSession, bad_configuration
from refire_async.aws.control_plane import ControlPlane
from refire_async.aws.credentials import CredentialSource
from refire_async.aws.data_plane import DataPlane
from refire_async.aws.endpoint import parse_endpoint
from refire_async.aws.errors import AwsError
from refire_async.aws.http_backend import DEFAULT_TIMEOUTS, Timeouts
from refire_async.aws.other_services import Services
from refire_async.aws.route import Route, route_of
from refire_async.aws.signing import Credentials
from refire_async.aws.streams import StreamReader
from refire_async.aws.transports import Transports
from refire_async.aws.types import STREAMS_API, TABLES_API, Transport
from refire_async.errors import RefusedError
from refire_async.model.table import Table
from refire_async.settings import Connection

_STREAM_READERS = 8
_STREAMS = "dynamodbstreams"
_ANY_TABLE = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Data plane and control plane of one endpoint, and other services. Valid within `open_session`'s block."""

    data: DataPlane
    control: ControlPlane
    streams: StreamReader
    services: Services
    region: str
    route: Route
    clock: ServiceClock = field(default_factory=ServiceClock)
    """The service's clock, estimated from the answers to all clients."""
    handed_over: CredentialSource | None = field(default=None, repr=False)
    """Credentials for child processes, if an MFA code was typed for them. Else child processes look up their own."""
    transports: Transports | None = field(default=None, repr=False)
    """Opens transports to other services. None without a session of AWS behind it."""

    @property
    def endpoint(self) -> str:
        """The URL of the table's endpoint."""
        return self.route.endpoint.url.rstrip("/")


@asynccontextmanager
async def open_session(
    connection: Connection, concurrency: int, timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> AsyncIterator[Session]:
    """Find credentials, region and endpoint as the AWS CLI does, and open both planes.

    `concurrency` is the largest number of concurrent data-plane calls. No request is sent to DynamoDB yet: the first
    call fails within a few seconds if the endpoint cannot be reached.

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
    clock = ServiceClock()
    try:
        aws = AwsSession(connection, clock)
        stack.push_async_callback(aws.credentials.close)
        await aws.credentials.get()
        client = await stack.enter_async_context(aws.client("dynamodb", connection.endpoint_url))
        # All calls with a table's name have the same endpoint (those with an ARN have that of its account).
        route = await route_of(client, "describe_table", TableName=_ANY_TABLE)
    except AwsError as error:
        raise RefusedError(error.message, error.action) from error
    except (BotoCoreError, ValueError) as error:
        raise bad_configuration(error) from error
    transports = Transports(aws, clock)

    async def streams_transport() -> Transport:
        where = await _streams_route(aws, connection, route)
        return await transports.open(stack, where, _STREAM_READERS, STREAMS_API, timeouts=timeouts)

    return Session(
        data=DataPlane(await transports.open(stack, route, concurrency, TABLES_API, timeouts=timeouts)),
        control=ControlPlane(client, route.endpoint.host, aws.credentials),
        streams=StreamReader(streams_transport),
        services=Services(aws, route.endpoint),
        region=client.meta.region_name,
        route=route,
        clock=clock,
        handed_over=aws.credentials if aws.asked_for_code else None,
        transports=transports,
    )


async def _streams_route(aws: AwsSession, connection: Connection, tables: Route) -> Route:
    """The route to DynamoDB Streams. Raises RefireError.

    An endpoint that is set for Streams by name has precedence: with PrivateLink it differs from the table's.
    --endpoint-url is for the table; an emulator serves streams on the same port, AWS never does.
    """
    url = aws.configured_endpoint(_STREAMS, alone=True)
    if url is None and connection.endpoint_url is not None and not tables.endpoint.is_aws:
        return tables
    try:
        async with aws.client(_STREAMS, url) as client:
            route = await route_of(client, "list_streams")
    except (BotoCoreError, ValueError) as error:
        raise bad_configuration(error) from error
    # If only the table's endpoint is set, and it is an emulator's, its streams are not at AWS.
    return tables if route.endpoint.is_aws and not tables.endpoint.is_aws else route


@asynccontextmanager
async def open_data_plane(
    connection: Connection,
    route: Route,
    concurrency: int,
    *,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    clock: ServiceClock | None = None,
    credentials: Credentials | None = None,
) -> AsyncIterator[DataPlane]:
    """Open only the data plane, with the route of a session that another process has opened.

    `clock` learns the service's time from its answers. `credentials` are those of the process that opened
    the session. Without them, credentials are not looked up yet: if there are none, the first call fails, as it would
    during a run.

    Raises:
        UsageError: malformed AWS configuration.
    """
    clock = clock or ServiceClock()
    async with AsyncExitStack() as stack:
        try:
            aws = AwsSession(connection, clock, credentials)
        except (BotoCoreError, ValueError) as error:
            raise bad_configuration(error) from error
        stack.push_async_callback(aws.credentials.close)
        transports = Transports(aws, clock)
        yield DataPlane(await transports.open(stack, route, concurrency, TABLES_API, timeouts=timeouts))


async def describe(session: Session, table: str) -> Table:
    """Describe the table of this name or ARN.

    Every other call uses the table's name, which belongs to the account and region of the credentials. Therefore an ARN
    is looked up by its name, and refused if the table found is another one.

    Raises:
        RefusedError: there is no such table, or the ARN is that of a table in another account or region.
        AwsError: the table cannot be described.
    """
    name = table.rpartition("/")[2]
    try:
        found = await session.control.describe_table(name)
    except AwsError as error:
        if not error.code.startswith("ResourceNotFound"):
            raise
        raise RefusedError(
            f"there is no table {table} in {session.region} ({session.endpoint})",
            "check --table, --region, --profile and --endpoint-url",
        ) from error
    if table not in (name, found.arn):
        raise RefusedError(
            f"{table} is not the table that these credentials reach in {session.region}: that is {found.arn}",
            "give the --profile and --region of its account, or --table by name",
        )
    return found

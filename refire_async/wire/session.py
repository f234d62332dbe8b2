"""One session with DynamoDB: who we are, where the table is, and both planes to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from refire_async.settings import Connection
from refire_async.wire.control import ControlPlane
from refire_async.wire.dataplane import DataPlane
from refire_async.wire.streams import StreamReader


@dataclass(frozen=True, slots=True)
class Session:
    """Both planes to one endpoint. Lives as long as `open_session`'s block."""

    data: DataPlane
    control: ControlPlane
    streams: StreamReader
    region: str
    endpoint: str


@asynccontextmanager
async def open_session(connection: Connection, concurrency: int) -> AsyncIterator[Session]:
    """Find credentials, region and endpoint as the AWS command line does, and connect both planes to them.

    `concurrency` is the number of data-plane calls that may be under way at once. Nothing is sent yet: an
    endpoint that cannot be reached shows itself on the first call, within a few seconds.

    Raises:
        RefusedError: no credentials, unknown profile, no region.
        UsageError: malformed region or endpoint URL.
    """
    raise NotImplementedError
    yield  # type: ignore[unreachable]

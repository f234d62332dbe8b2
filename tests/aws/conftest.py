"""Fixtures for tests that use the network."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from refire_async.aws.endpoint import parse_endpoint
from refire_async.aws.http_backend import DEFAULT_TIMEOUTS, Timeouts
from refire_async.aws.transport import SignedTransport
from tests.aws.exchanges import REGION, Connect, direct, keys, proxied
from tests.aws.raw_server import RawServer

LOOPS = {"asyncio": False, "uvloop": True}


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Every test with a loop runs on asyncio's own and on uvloop: they report lost connections differently."""
    return "asyncio", {"use_uvloop": LOOPS[request.param]}


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    """A scripted server on a free port of the loopback interface."""
    async with RawServer() as running:
        yield running


@pytest.fixture(autouse=True)
def no_aws_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hides the machine's AWS configuration, proxies and instance role from the tests."""
    for name in os.environ:
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(params=[direct, proxied])
def to(request: pytest.FixtureRequest) -> Connect:
    """Returns a function that opens a transport to a URL over each of the backends, which must not differ."""

    @asynccontextmanager
    async def open_transport(
        url: str,
        concurrency: int = 4,
        tls: SSLContext | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        answer_limit: int | None = None,
        **options: Any,
    ) -> AsyncIterator[SignedTransport]:
        endpoint = parse_endpoint(url)
        options.setdefault("credentials", keys())
        exchange = request.param(endpoint, concurrency, tls, timeouts, answer_limit)
        async with exchange:
            yield SignedTransport(exchange, endpoint.host, REGION, **options)

    return open_transport


@pytest.fixture
async def nothing_blocks(anyio_backend: object) -> AsyncIterator[None]:
    """A call that blocks the loop fails the test, other than the one that reads botocore's partitions, once."""
    parse_endpoint("http://localhost")
    with blockbuster_ctx():
        yield


@pytest.fixture
async def transport(server: RawServer, to: Connect) -> AsyncIterator[SignedTransport]:
    async with to(server.url) as opened:
        yield opened

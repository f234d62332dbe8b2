"""Fixtures for everything that talks over a wire."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.wire.raw_server import RawServer

LOOPS = {"asyncio": False, "uvloop": True}


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Every test with a loop runs on asyncio's own and on uvloop: they report lost connections differently."""
    return "asyncio", {"use_uvloop": LOOPS[request.param]}


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    """A server on a free port of the loopback interface that does what a test scripts."""
    async with RawServer() as running:
        yield running


@pytest.fixture(autouse=True)
def no_aws_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's AWS configuration, proxies or instance role reaches a test."""
    for name in os.environ:
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

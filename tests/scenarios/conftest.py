"""Fixtures of the scenarios: the real command line with every backend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.cli import Cli
from tests.support.proxy import Proxy, proxy_before
from tests.support.web_hook import hook

__all__ = ["hook"]


@pytest.fixture
def proxy(backend: Backend) -> Iterator[Proxy]:
    """A proxy in front of the backend."""
    with proxy_before(backend.url) as running:
        yield running


@pytest.fixture
def cli(tmp_path: Path, backend: Backend) -> Iterator[Cli]:
    """The command line with the backend as its endpoint. Ends with a search for secrets in all output."""
    yield from pointed_at(tmp_path, backend.url, backend)


@pytest.fixture
def proxied_cli(tmp_path: Path, proxy: Proxy, backend: Backend) -> Iterator[Cli]:
    """The command line with the proxy as its endpoint."""
    yield from pointed_at(tmp_path, proxy.url, backend)


def pointed_at(folder: Path, url: str, backend: Backend) -> Iterator[Cli]:
    """A command line with its home in `folder`."""
    home = folder / "home"
    home.mkdir()
    commands = Cli(home, url or None, backend.access_key, backend.profile)
    yield commands
    commands.close()

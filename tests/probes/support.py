"""`python -m tests.probes` as a child process, for the tests of the probes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

from tests.support.backends import REGION, Backend

ROOT = Path(__file__).parents[2]


class Server(Protocol):
    """What the program needs to know of a server."""

    @property
    def url(self) -> str: ...
    @property
    def access_key(self) -> str: ...


def probes(backend: Server, *arguments: str, url: str | None = None) -> subprocess.CompletedProcess[str]:
    """The program against a backend, or a proxy before it, without a terminal."""
    return subprocess.run(
        command(url or backend.url, *arguments),
        **settings(backend),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def command(url: str, *arguments: str) -> list[str]:
    """Its command line."""
    return [sys.executable, "-m", "tests.probes", "--endpoint-url", url, *arguments]


def settings(backend: Server) -> dict[str, Any]:
    """How the child is started: folder, credentials, no input."""
    credentials = {"AWS_ACCESS_KEY_ID": backend.access_key, "AWS_SECRET_ACCESS_KEY": "secret"}
    return {
        "cwd": ROOT,
        "env": {**os.environ, **credentials, "AWS_REGION": REGION},
        "stdin": subprocess.DEVNULL,
    }


def tables(backend: Backend) -> set[str]:
    """The names of all tables."""
    return set(backend.dynamodb.list_tables()["TableNames"])

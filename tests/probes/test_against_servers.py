"""The probes against the sandbox: what is assumed holds there, and nothing is left behind. DynamoDB Local is known to
differ in three facts about writes, which the matrix of results is to show."""

import os
import subprocess
import sys
from pathlib import Path

import boto3
import orjson

from tests.support.backends import REGION, Backend, on_one_backend


def probes(backend: Backend, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m tests.probes` against a backend, without a terminal."""
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": backend.access_key,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": REGION,
    }
    return subprocess.run(
        [sys.executable, "-m", "tests.probes", "--endpoint-url", backend.url, *arguments],
        cwd=Path(__file__).parents[2],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def tables(backend: Backend) -> set[str]:
    client = boto3.client(
        "dynamodb",
        endpoint_url=backend.url,
        region_name=REGION,
        aws_access_key_id=backend.access_key,
        aws_secret_access_key="secret",
    )
    return set(client.list_tables()["TableNames"])


@on_one_backend
def test_every_fact_that_is_tried_agrees(backend: Backend, tmp_path: Path) -> None:
    """Exit code 0, a result for each fact, and no table more than before."""
    before = tables(backend)
    file = tmp_path / "results.json"
    done = probes(backend, "--yes", "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "25 agree, 0 differ" in done.stdout
    assert orjson.loads(file.read_bytes())
    assert tables(backend) == before


def test_nothing_is_made_without_yes(backend: Backend) -> None:
    """There is no terminal that could confirm it."""
    before = tables(backend)
    done = probes(backend)
    assert done.returncode != 0
    assert tables(backend) == before

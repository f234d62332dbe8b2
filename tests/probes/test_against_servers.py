"""The probes against the sandbox, which agrees, and DynamoDB Local, whose differences are known and judged."""

import os
import subprocess
import sys
from pathlib import Path

import boto3
import orjson

from tests.probes.catalogue import facts
from tests.support.backends import REGION, Backend, on_one_backend

_ROOT = Path(__file__).parents[2]


def probes(backend: Backend, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m tests.probes` against a backend, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "tests.probes", "--endpoint-url", backend.url, *arguments],
        cwd=_ROOT,
        env=environment(backend),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def environment(backend: Backend) -> dict[str, str]:
    """Credentials and region of a backend."""
    return {
        **os.environ,
        "AWS_ACCESS_KEY_ID": backend.access_key,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": REGION,
    }


def tables(backend: Backend) -> set[str]:
    client = boto3.client(
        "dynamodb",
        endpoint_url=backend.url,
        region_name=REGION,
        aws_access_key_id=backend.access_key,
        aws_secret_access_key="secret",
    )
    return set(client.list_tables()["TableNames"])


def test_each_difference_is_judged(backend: Backend, tmp_path: Path) -> None:
    """What differs is what has `believed` for the server: nothing on the sandbox. No table is left."""
    before = tables(backend)
    file = tmp_path / "results.json"
    done = probes(backend, "--yes", "--json", str(file))
    judged = {fact.id for fact in facts() if backend.name in fact.believed}
    assert done.returncode == (1 if judged else 0), done.stdout + done.stderr
    outcomes = {name: found["outcome"] for name, found in orjson.loads(file.read_bytes())["facts"].items()}
    assert outcomes.keys() == {fact.id for fact in facts()}
    assert {name for name, outcome in outcomes.items() if outcome == "differs"} == judged, done.stdout
    assert sum(outcome == "agrees" for outcome in outcomes.values()) >= 100
    assert tables(backend) == before


@on_one_backend
def test_nothing_is_made_without_yes(backend: Backend) -> None:
    """There is no terminal that could confirm it: exit code 2."""
    before = tables(backend)
    done = probes(backend)
    assert done.returncode == 2
    assert tables(backend) == before

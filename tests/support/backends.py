"""The backends of the scenarios: a server of DynamoDB's API at a URL."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import boto3
import pytest
from botocore.config import Config

REGION = "eu-west-1"

_SESSION = boto3.Session()  # reads the service models once; a client costs milliseconds then
_NUMBERS = itertools.count(1)

BackendName = Literal["dynamodb-local", "sandbox", "account"]


on_one_backend = pytest.mark.parametrize("backend_name", ["sandbox"], scope="session")
"""Marks a scenario that does not depend on DynamoDB (files, options, output): one backend is enough."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A running DynamoDB. `dynamodb` and `streams` are boto3 clients of the test itself, safe in threads.

    DynamoDB Local has a separate database for each access key; all clients with `access_key` share one. On an account
    `profile` says where it is, in place of `url` and `access_key`. A stream that has been silent for `quiet_s` seconds
    counts as read to its end.
    """

    name: BackendName
    url: str
    access_key: str
    dynamodb: Any
    streams: Any
    profile: str | None = None
    quiet_s: float = 0.0


@contextlib.contextmanager
def connected(name: BackendName, url: str, access_key: str | None = None) -> Iterator[Backend]:
    """A backend with its clients open during the block; with a new access key if none is given."""
    access_key = access_key or f"SCENARIO{next(_NUMBERS)}"
    with contextlib.ExitStack() as stack:
        dynamodb, streams = (_client(service, url, access_key) for service in ("dynamodb", "dynamodbstreams"))
        stack.callback(dynamodb.close)
        stack.callback(streams.close)
        yield Backend(name, url, access_key, dynamodb, streams)


def _client(service: str, url: str, access_key: str) -> Any:
    return _SESSION.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key="scenario",
        config=Config(max_pool_connections=16, retries={"max_attempts": 2}),
    )

"""What the scenarios run against: something that speaks DynamoDB at a URL."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import boto3
from botocore.config import Config

REGION = "eu-west-1"

BackendName = Literal["dynamodb-local", "sandbox"]


@dataclass(frozen=True, slots=True)
class Backend:
    """A running DynamoDB. `dynamodb` and `streams` are boto3 clients for arranging and judging, safe in threads."""

    name: BackendName
    url: str
    dynamodb: Any
    streams: Any


@contextlib.contextmanager
def connected(name: BackendName, url: str) -> Iterator[Backend]:
    """A backend with its clients open for the length of the block."""
    with contextlib.ExitStack() as stack:
        dynamodb, streams = (_client(service, url) for service in ("dynamodb", "dynamodbstreams"))
        stack.callback(dynamodb.close)
        stack.callback(streams.close)
        yield Backend(name, url, dynamodb, streams)


def _client(service: str, url: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="scenario",
        aws_secret_access_key="scenario",
        config=Config(max_pool_connections=16, retries={"max_attempts": 2}),
    )

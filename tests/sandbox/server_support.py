"""Clients and shorthands for tests of the sandbox server."""

import itertools
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import boto3
import orjson
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from refire_async.sandbox.clock import VirtualClock
from refire_async.sandbox.config import SandboxConfig
from refire_async.sandbox.database import Database, Session
from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.operations import OPERATIONS
from refire_async.sandbox.tables import load_tables

REGION = "eu-central-1"
AUTHORIZATION = (
    f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/{REGION}/dynamodb/aws4_request, "
    "SignedHeaders=host;x-amz-date;x-amz-target, Signature=00"
)
Item = dict[str, dict[str, Any]]

_SESSION = boto3.Session()
_NUMBERS = itertools.count(1)


def client(url: str, service: str = "dynamodb", **config: Any) -> Any:
    """A plain boto3 client that does not retry."""
    return _SESSION.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(**{"retries": {"max_attempts": 0}, **config}),
    )


def new_name() -> str:
    """A table name that no other test has."""
    return f"server-{next(_NUMBERS)}"


def schema(**types: str) -> dict[str, Any]:
    """Key members of CreateTable: ``schema(pk="S", sk="N")``."""
    roles = ("HASH", "RANGE")
    return {
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in types.items()],
        "KeySchema": [
            {"AttributeName": name, "KeyType": role} for name, role in zip(types, roles, strict=False)
        ],
    }


def index(
    name: str, *names: str, projection: str = "ALL", include: tuple[str, ...] = (), hashes: int = 1
) -> dict[str, Any]:
    """A member of an index list of CreateTable; the first ``hashes`` names are HASH attributes, the others RANGE."""
    projected: dict[str, Any] = {"ProjectionType": projection}
    if include:
        projected["NonKeyAttributes"] = list(include)
    roles = ["HASH"] * hashes + ["RANGE"] * (len(names) - hashes)
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": n, "KeyType": r} for n, r in zip(names, roles, strict=True)],
        "Projection": projected,
    }


def with_types(members: dict[str, Any], **types: str) -> dict[str, Any]:
    """CreateTable members with further attribute definitions."""
    more = [{"AttributeName": name, "AttributeType": type_} for name, type_ in types.items()]
    return {**members, "AttributeDefinitions": [*members["AttributeDefinitions"], *more]}


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    """(type, message) of the error that a boto3 call raises."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@dataclass(frozen=True)
class Direct:
    """A database whose operations are called without HTTP, with a clock that stands still."""

    database: Database
    clock: VirtualClock

    def __call__(self, operation: str, **request: Any) -> Any:
        """The parsed response. Raises ServiceError."""
        handler = next(handler for target, handler in OPERATIONS.items() if target.endswith(f".{operation}"))
        parsed = orjson.loads(orjson.dumps(request))
        return orjson.loads(orjson.dumps(handler(Session(self.database, REGION), parsed)))

    def refusal(self, operation: str, **request: Any) -> tuple[str, str]:
        """(type, message) of the error that an operation raises."""
        with pytest.raises(ServiceError) as caught:
            self(operation, **request)
        return caught.value.type, caught.value.message

    def pages(self, operation: str, **request: Any) -> Iterator[dict[str, Any]]:
        """All pages of a Scan or Query."""
        while True:
            page = self(operation, **request)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def items(self, operation: str, **request: Any) -> list[Item]:
        """Items of all pages."""
        return [item for page in self.pages(operation, **request) for item in page["Items"]]

    def records(self, table: str) -> list[dict[str, Any]]:
        """All records of a table's newest stream, shard by shard, parents before children."""
        arn = self("DescribeTable", TableName=table)["Table"]["LatestStreamArn"]
        found: list[dict[str, Any]] = []
        for shard in self("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]:
            iterator = self(
                "GetShardIterator", StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator is not None:
                page = self("GetRecords", ShardIterator=iterator)
                found += page["Records"]
                iterator = page.get("NextShardIterator") if page["Records"] else None
        return found


def direct(*tables: dict[str, Any], **database: Any) -> Direct:
    """A database with tables as a ``--tables`` file has them; on-demand unless they say otherwise."""
    clock = VirtualClock()
    made = Database(clock=clock, **database)
    load_tables(made, [{"BillingMode": "PAY_PER_REQUEST", **table} for table in tables])
    return Direct(made, clock)


def request_bytes(operation: str, body: bytes, *, headers: str = "", service: str = "DynamoDB") -> bytes:
    """A whole HTTP request as a client would send it."""
    head = (
        f"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: {service}_20120810.{operation}\r\n"
        f"Authorization: {AUTHORIZATION}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body


@dataclass(frozen=True)
class Answer:
    """A parsed HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The parsed body."""
        return orjson.loads(self.body)

    @property
    def error(self) -> str:
        """The short name of the error."""
        return str(self.json["__type"]).rpartition("#")[2]


class Wire:
    """A raw connection, for what no client sends."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def end(self) -> None:
        """Send nothing more; answers can still be read."""
        self.socket.shutdown(socket.SHUT_WR)

    def answer(self) -> Answer | None:
        """The next response; None if the connection was closed instead."""
        line = self._file.readline()
        if not line:
            return None
        headers = {}
        while (header := self._file.readline().strip()) != b"":
            name, _, value = header.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = self._file.read(int(headers.get("content-length", 0)))
        return Answer(int(line.split()[1]), headers, body)

    def is_closed(self) -> bool:
        """Whether the server has closed the connection, after everything it sent was read."""
        return self._file.read(1) == b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()


def config(**settings: Any) -> SandboxConfig:
    """A valid configuration."""
    return SandboxConfig(**settings).validate()

"""Faults, latency and admin paths, as a client meets them."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError, ResponseStreamingError

from refire_async.sandbox.http import Request
from refire_async.sandbox.process import SandboxProcess
from refire_async.sandbox.server import build_handler
from tests.sandbox.server_support import (
    Wire,
    client,
    config,
    index,
    refusal,
    request_bytes,
    schema,
    with_types,
)

TABLE = {
    "TableName": "orders",
    **with_types(schema(pk="S"), g="S"),
    "GlobalSecondaryIndexes": [index("by-g", "g")],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with SandboxProcess(config(tables=(TABLE,), seed=5)) as sandbox:
        yield sandbox.url


@pytest.fixture
def faults(url: str) -> Iterator[Callable[..., None]]:
    """Install faults on an empty table; all are gone after the test."""
    dynamodb = client(url)
    for item in dynamodb.scan(TableName="orders")["Items"]:
        dynamodb.delete_item(TableName="orders", Key={"pk": item["pk"]})

    def install(*members: dict[str, Any]) -> None:
        assert admin(url, "PUT", "faults", {"faults": list(members)}) == (200, {"faults": len(members)})

    yield install
    admin(url, "PUT", "faults", {})


def admin(url: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """(status, parsed answer) of an admin request."""
    data = None if body is None else orjson.dumps(body)
    request = urllib.request.Request(f"{url}/_sandbox/{path}", data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, orjson.loads(error.read())


def put(url: str, key: str = "a", **settings: Any) -> Any:
    return client(url, **settings).put_item(TableName="orders", Item={"pk": {"S": key}, "g": {"S": "x"}})


def keys(url: str) -> set[str]:
    return {item["pk"]["S"] for item in client(url).scan(TableName="orders")["Items"]}


@pytest.mark.parametrize(
    ("fault", "error", "applied"),
    [
        ({"kind": "internal_error"}, "InternalServerError", False),
        ({"kind": "internal_error", "when": "after"}, "InternalServerError", True),
        ({"kind": "unavailable"}, "ServiceUnavailable", False),
        ({"kind": "expired_token"}, "ExpiredTokenException", False),
        ({"kind": "access_denied"}, "AccessDeniedException", False),
        (
            {"kind": "throttle", "reason": "TableWriteProvisionedThroughputExceeded"},
            "ProvisionedThroughputExceededException",
            False,
        ),
    ],
)
def test_errors_before_and_after_the_write(
    url: str, faults: Callable[..., None], fault: dict[str, Any], error: str, applied: bool
) -> None:
    """An error in place of the answer; only those that strike after it leave the write applied."""
    faults({**fault, "operations": ["PutItem"]})
    assert refusal(lambda: put(url))[0] == error
    assert keys(url) == ({"a"} if applied else set())


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("kind", "error"), [("reset", ConnectionClosedError), ("timeout", ReadTimeoutError)])
def test_connections_that_end_or_say_nothing(
    url: str, faults: Callable[..., None], kind: str, error: type[Exception], when: str
) -> None:
    """A reset and a silence, before and after the write."""
    faults({"kind": kind, "when": when, "operations": ["PutItem"]})
    with pytest.raises(error):
        put(url, read_timeout=0.2)
    assert keys(url) == ({"a"} if when == "after" else set())


def test_a_reset_is_a_reset(url: str, faults: Callable[..., None]) -> None:
    """The peer sees "connection reset", not an orderly end."""
    faults({"kind": "reset", "operations": ["ListTables"]})
    with Wire(url) as wire:
        wire.send(request_bytes("ListTables", b"{}"))
        with pytest.raises(ConnectionResetError):
            wire.answer()


def test_truncated_bodies(url: str, faults: Callable[..., None]) -> None:
    """The head promises more than comes; the write was applied."""
    faults({"kind": "truncate", "keep_bytes": 3, "operations": ["ListTables"]})
    with Wire(url) as wire:
        wire.send(request_bytes("ListTables", b"{}"))
        answer = wire.answer()
        assert answer is not None
        assert len(answer.body) == 3 < int(answer.headers["content-length"])
        assert wire.is_closed()
    with pytest.raises((ResponseStreamingError, ConnectionClosedError)):
        client(url).list_tables()


def test_a_wrong_checksum_makes_botocore_retry(url: str, faults: Callable[..., None]) -> None:
    """botocore verifies x-amz-crc32; the second answer is right."""
    faults({"kind": "bad_crc", "count": 1, "operations": ["ListTables"]})
    retrying = client(url, retries={"mode": "legacy", "max_attempts": 2})
    assert retrying.list_tables()["ResponseMetadata"]["RetryAttempts"] == 1
    assert admin(url, "GET", "stats")[1]["faults"] == [{"kind": "bad_crc", "struck": 1}]


def test_a_slow_drip_arrives_whole_and_the_connection_goes_on(url: str, faults: Callable[..., None]) -> None:
    """Bytes come slowly; requests that were sent meanwhile are answered afterwards, in order."""
    faults({"kind": "slow_drip", "bytes_per_second": 2000, "count": 1, "operations": ["ListTables"]})
    with Wire(url) as wire:
        start = time.monotonic()
        wire.send(request_bytes("ListTables", b"{}") * 2)
        first, second = wire.answer(), wire.answer()
        elapsed = time.monotonic() - start
    assert first is not None
    assert second is not None
    assert first.json == second.json == {"TableNames": ["orders"]}
    assert elapsed > 0.1


def test_latency_delays_every_request_of_a_connection_in_order(url: str, faults: Callable[..., None]) -> None:
    """Delayed answers keep their order, also when the second request was delayed less."""
    faults({"kind": "latency", "latency": "100ms", "operations": ["ListTables"], "count": 1})
    with Wire(url) as wire:
        start = time.monotonic()
        wire.send(request_bytes("ListTables", b"{}") + request_bytes("DescribeLimits", b"{}"))
        first, second = wire.answer(), wire.answer()
        assert time.monotonic() - start >= 0.1
    assert first is not None
    assert second is not None
    assert ("TableNames" in first.json, "TableMaxReadCapacityUnits" in second.json) == (True, True)


def test_throttled_members_of_batches(url: str, faults: Callable[..., None]) -> None:
    """A member fails alone: with its code in PartiQL, as unprocessed elsewhere, and as the error if all fail."""
    reason = {"reason": "IndexWriteProvisionedThroughputExceeded", "index": "by-g"}
    faults({"kind": "throttle", "scope": "member", "count": 1, **reason})
    dynamodb = client(url)
    inserts = [
        {"Statement": "INSERT INTO orders VALUE {'pk': ?}", "Parameters": [{"S": key}]} for key in "abc"
    ]
    first, *rest = dynamodb.batch_execute_statement(Statements=inserts)["Responses"]
    assert first["Error"]["Code"] == "ProvisionedThroughputExceeded"
    assert rest == [{"TableName": "orders"}] * 2
    faults({"kind": "throttle", "scope": "member", "count": 1, **reason})
    writes = {"orders": [{"PutRequest": {"Item": {"pk": {"S": key}}}} for key in "def"]}
    left = dynamodb.batch_write_item(RequestItems=writes)["UnprocessedItems"]
    assert left == {"orders": writes["orders"][:1]}
    faults({"kind": "throttle", "scope": "member", **reason})
    with pytest.raises(ClientError) as caught:
        dynamodb.batch_write_item(RequestItems=writes)
    assert caught.value.response["Error"]["Code"] == "ProvisionedThroughputExceededException"
    (shown,) = caught.value.response["ThrottlingReasons"]
    assert shown["resource"].endswith(":table/orders/index/by-g")
    assert keys(url) == set("bcef")


def test_members_that_fail_after_they_were_carried_out(url: str, faults: Callable[..., None]) -> None:
    """InternalServerError of a member whose write was applied: its condition fails the next time."""
    faults({"kind": "internal_error", "scope": "member", "when": "after", "count": 1})
    insert = {"Statement": "INSERT INTO orders VALUE {'pk': 'a'}"}
    dynamodb = client(url)
    codes = [
        dynamodb.batch_execute_statement(Statements=[insert])["Responses"][0]["Error"]["Code"]
        for _ in range(2)
    ]
    assert codes == ["InternalServerError", "DuplicateItem"]


def test_capacity_that_is_lowered_and_comes_back(url: str, faults: Callable[..., None]) -> None:
    """A table is resized while faults are in force and restored when they end."""
    faults({"kind": "capacity", "table": "orders", "write": 2})
    dynamodb = client(url)
    codes = set()
    for number in range(8):
        try:
            put(url, str(number))
        except ClientError as error:
            codes.add(error.response["Error"]["Code"])
    assert codes == {"ThrottlingException"}
    assert dynamodb.describe_table(TableName="orders")["Table"]["OnDemandThroughput"] == {
        "MaxWriteRequestUnits": 2
    }
    admin(url, "PUT", "faults", {})
    assert "OnDemandThroughput" not in dynamodb.describe_table(TableName="orders")["Table"]
    for number in range(8):
        put(url, str(number))


def test_faults_at_the_start_and_a_table_that_goes_away() -> None:
    """Faults of the configuration are in force from the first request; latency counts for all of them."""
    deleted = {"faults": [{"kind": "table_deleted", "table": "orders"}]}
    with SandboxProcess(config(tables=(TABLE,), faults=deleted, latency="50ms")) as sandbox:
        start = time.monotonic()
        assert refusal(lambda: put(sandbox.url))[0] == "ResourceNotFoundException"
        assert time.monotonic() - start >= 0.05


def test_the_same_seed_gives_the_same_faults(url: str, faults: Callable[..., None]) -> None:
    """Which of a hundred requests fail depends on the seed alone."""

    def outcomes() -> list[int]:
        faults({"kind": "internal_error", "probability": 0.3, "operations": ["ListTables"]})
        with Wire(url) as wire:
            wire.send(request_bytes("ListTables", b"{}") * 100)
            return [answer.status for answer in (wire.answer() for _ in range(100)) if answer]

    first = outcomes()
    assert 15 <= first.count(500) <= 45
    assert first == outcomes()


def test_statistics_count_accepted_and_throttled_units(url: str, faults: Callable[..., None]) -> None:
    """Per table and index and partition, second by second."""
    put(url)
    status, stats = admin(url, "GET", "stats")
    assert status == 200
    shown = stats["tables"]["orders"]
    assert (shown["items"], shown["bytes"]) == (1, 5)
    table, by_g = shown["arms"]
    assert (table["index"], by_g["index"]) == (None, "by-g")
    assert sum(row[2] for row in table["seconds"]) >= 1
    assert sum(row[2] for row in by_g["seconds"]) >= 1
    assert len(table["partitions"]) == 4


def test_admin_requests_that_are_wrong(url: str) -> None:
    """Mistakes are listed; what was in force stays; unknown paths say what there is."""
    status, answer = admin(url, "PUT", "faults", {"faults": [{"kind": "meteor"}, {"kind": "throttle"}]})
    assert status == 400
    assert len(answer["mistakes"]) == 2
    assert admin(url, "GET", "nothing")[0] == 404
    assert admin(url, "PUT", "stats", {})[0] == 404
    with Wire(url) as wire:
        wire.send(b"PUT /_sandbox/faults HTTP/1.1\r\nContent-Length: 1\r\n\r\n{")
        broken = wire.answer()
    assert broken is not None
    assert broken.status == 400
    assert broken.json["mistakes"][0].startswith("not valid JSON")


def test_admin_paths_answer_this_machine_only() -> None:
    """A request from elsewhere, possible with --host, is refused."""
    handler = build_handler(config())
    for from_loopback, status in ((True, 200), (False, 403)):
        request = Request("GET", "/_sandbox/stats", {}, b"", from_loopback)
        assert handler(request).status == status

"""Malformed requests never crash the server, never hang a connection, and never count as our own bug."""

import contextlib
import copy
import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refire_async.sandbox.config import SandboxConfig
from refire_async.sandbox.http import Request, Response
from refire_async.sandbox.operations import OPERATIONS
from refire_async.sandbox.process import SandboxProcess
from refire_async.sandbox.server import build_handler
from tests.sandbox.server_support import AUTHORIZATION, Wire, index, schema, with_types
from tests.support.examples import examples

KEY = {"pk": {"S": "k1"}, "sk": {"N": "1"}}
TABLE: dict[str, Any] = {
    "TableName": "orders",
    **with_types(schema(pk="S", sk="N"), g="S"),
    "GlobalSecondaryIndexes": [index("by-g", "g", projection="INCLUDE", include=("x",))],
    "LocalSecondaryIndexes": [index("local", "pk", "g", projection="KEYS_ONLY")],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    "BillingMode": "PAY_PER_REQUEST",
    "Items": [{**KEY, "sk": {"N": str(n)}, "g": {"S": "x"}, "l": {"L": [{"N": "1"}]}} for n in range(5)],
}
VALUES = {":v": {"N": "1"}, ":s": {"S": "k1"}}
UPDATE = 'UPDATE "orders" SET "revision"=? WHERE "pk"=? AND "sk"=? AND "revision" IS MISSING'
# A right request of every operation, to be bent.
EXAMPLES: dict[str, dict[str, Any]] = {
    "BatchExecuteStatement": {
        "Statements": [{"Statement": UPDATE, "Parameters": [{"N": "1"}, {"S": "k1"}, {"N": "2"}]}]
    },
    "BatchGetItem": {"RequestItems": {"orders": {"Keys": [KEY], "ProjectionExpression": "pk"}}},
    "BatchWriteItem": {"RequestItems": {"orders": [{"PutRequest": {"Item": KEY}}]}},
    "CreateTable": {**{k: v for k, v in TABLE.items() if k != "Items"}, "TableName": "made"},
    "DeleteItem": {"TableName": "orders", "Key": KEY, "ReturnValues": "ALL_OLD"},
    "DeleteTable": {"TableName": "made"},
    "DescribeContinuousBackups": {"TableName": "orders"},
    "DescribeKinesisStreamingDestination": {"TableName": "orders"},
    "DescribeLimits": {},
    "DescribeStream": {
        "StreamArn": "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2026-01-01T00:00:00.000"
    },
    "DescribeTable": {"TableName": "orders"},
    "DescribeTimeToLive": {"TableName": "orders"},
    "ExecuteStatement": {
        "Statement": "SELECT * FROM orders WHERE pk = 'k1' AND sk > ?",
        "Parameters": [{"N": "1"}],
    },
    "ExecuteTransaction": {
        "TransactStatements": [
            {"Statement": UPDATE, "Parameters": [{"N": "1"}, {"S": "k1"}, {"N": "2"}]},
            {"Statement": "EXISTS(SELECT * FROM orders WHERE pk = 'k1' AND sk = 3 AND g = 'x')"},
        ],
        "ClientRequestToken": "token",
    },
    "GetItem": {
        "TableName": "orders",
        "Key": KEY,
        "ProjectionExpression": "l[0], #x",
        "ExpressionAttributeNames": {"#x": "x"},
    },
    "GetRecords": {
        "ShardIterator": "arn:x/orders/stream/y|shardId-00000000000000000000-00000000|0|1767225600.000"
    },
    "GetShardIterator": {
        "StreamArn": "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2026-01-01T00:00:00.000",
        "ShardId": "shardId-00000000000000000000-00000000",
        "ShardIteratorType": "AT_SEQUENCE_NUMBER",
        "SequenceNumber": "100000000000000000000000",
    },
    "ListStreams": {"TableName": "orders"},
    "ListTables": {"Limit": 10},
    "PutItem": {
        "TableName": "orders",
        "Item": {**KEY, "m": {"M": {"a": {"NS": ["1", "2"]}}}},
        "ConditionExpression": "attribute_not_exists(pk)",
    },
    "Query": {
        "TableName": "orders",
        "KeyConditionExpression": "pk = :s AND sk > :v",
        "ExpressionAttributeValues": VALUES,
        "Limit": 2,
        "ExclusiveStartKey": KEY,
        "Select": "COUNT",
    },
    "Scan": {
        "TableName": "orders",
        "Segment": 0,
        "TotalSegments": 1,
        "IndexName": "by-g",
        "FilterExpression": "sk > :v",
        "ExpressionAttributeValues": {":v": {"N": "1"}},
    },
    "TransactGetItems": {
        "TransactItems": [{"Get": {"TableName": "orders", "Key": KEY, "ProjectionExpression": "g"}}],
    },
    "TransactWriteItems": {
        "TransactItems": [
            {"Put": {"TableName": "orders", "Item": {**KEY, "sk": {"N": "7"}}}},
            {"Delete": {"TableName": "orders", "Key": {**KEY, "sk": {"N": "8"}}}},
            {
                "Update": {
                    "TableName": "orders",
                    "Key": KEY,
                    "UpdateExpression": "SET x = :v",
                    "ExpressionAttributeValues": {":v": {"N": "1"}},
                    "ConditionExpression": "attribute_exists(pk)",
                }
            },
        ],
        "ReturnItemCollectionMetrics": "SIZE",
    },
    "UpdateItem": {
        "TableName": "orders",
        "Key": KEY,
        "UpdateExpression": "SET x = :v ADD #r :v",
        "ExpressionAttributeNames": {"#r": "revision"},
        "ExpressionAttributeValues": {":v": {"N": "1"}},
    },
    "UpdateTable": {
        "TableName": "orders",
        "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "none"}}],
    },
    "UpdateTimeToLive": {
        "TableName": "orders",
        "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "t"},
    },
}

NOT_OUR_BUG = b"InternalServerError"
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(
        ["pk", "orders", "by-g", "k1", "ALL_NEW", "SELECT * FROM orders", "\u0000", "1E400", "#x", ":v"]
    ),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.sampled_from(["S", "N", "B", "M", "L", "SS", "NS", "NULL", "pk", "sk", "a"]),
            children,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def test_there_is_an_example_of_every_operation() -> None:
    """Nothing that the server can do is left out of the fuzzing."""
    assert {target.partition(".")[2] for target in OPERATIONS} == EXAMPLES.keys()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON document."""
    yield path
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, member in members:
        yield from places(member, (*path, name))


def bent(document: Any, path: tuple[Any, ...], action: str, junk: Any) -> Any:
    """The document with one place replaced, removed, or given another member."""
    document = copy.deepcopy(document)
    if not path:
        return junk
    parent = document
    for name in path[:-1]:
        parent = parent[name]
    target = parent[path[-1]]
    if action == "remove":
        del parent[path[-1]]
    elif action == "add" and isinstance(target, dict):
        target["Unknown" if junk is None else str(junk)[:20]] = junk
    elif action == "add" and isinstance(target, list):
        target.append(junk)
    elif action == "cut" and isinstance(target, str):
        parent[path[-1]] = target[: len(target) // 2]
    else:
        parent[path[-1]] = junk
    return document


def target_of(operation: str) -> str:
    return next(target for target in OPERATIONS if target.endswith(f".{operation}"))


def request_for(operation: str, body: bytes) -> Request:
    headers = {"x-amz-target": target_of(operation), "authorization": AUTHORIZATION}
    return Request("POST", "/", headers, body)


def check(response: Response) -> None:
    """Either an answer or an error of the client, in JSON, and never one of ours."""
    assert response.status in (200, 400)
    assert NOT_OUR_BUG not in response.body
    parsed = orjson.loads(response.body)
    assert response.status == 200 or "__type" in parsed


@given(
    operation=st.sampled_from(sorted(EXAMPLES)),
    bends=st.lists(
        st.tuples(st.integers(0, 10**6), st.sampled_from(["replace", "remove", "add", "cut"]), json_values),
        min_size=1,
        max_size=3,
    ),
)
@examples(120, 10_000)
def test_bent_requests_are_refused_or_answered(operation: str, bends: list[tuple[int, str, Any]]) -> None:
    """Any member replaced, removed or added, anywhere: an answer or a client's error, and the table stays whole."""
    document: Any = EXAMPLES[operation]
    for place, action, junk in bends:
        paths = list(places(document))
        document = bent(document, paths[place % len(paths)], action, junk)
    check(HANDLERS[operation](request_for(operation, orjson.dumps(document))))


@given(
    operation=st.sampled_from(sorted(EXAMPLES)), body=st.binary(max_size=60) | json_values.map(orjson.dumps)
)
@examples(50, 2_000)
def test_bodies_of_anything_are_refused_or_answered(operation: str, body: bytes) -> None:
    """Random bytes and random JSON."""
    check(HANDLERS[operation](request_for(operation, body)))


class _Handlers(dict[str, Any]):
    """One server for each operation, so that what one of them breaks is not found by another's test."""

    def __missing__(self, operation: str) -> Any:
        self[operation] = build_handler(SandboxConfig(tables=(TABLE,)))
        return self[operation]


HANDLERS = _Handlers()


def broken(rng: random.Random) -> bytes:
    """An HTTP request with some bytes changed, removed or repeated."""
    operation = rng.choice(sorted(EXAMPLES))
    body = orjson.dumps(EXAMPLES[operation])
    head = (
        f"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: {target_of(operation)}\r\n"
        f"Authorization: {AUTHORIZATION}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    data = bytearray(head.encode() + body)
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(data) or 1)
        match rng.randrange(4):
            case 0 if data:
                data[place] = rng.randrange(256)
            case 1:
                del data[place : place + rng.randint(1, 20)]
            case 2:
                data[place:place] = data[place : place + rng.randint(1, 20)]
            case _:
                data = data[: place + 1]
    return bytes(data)


def fuzz_wire(requests: int, seed: int) -> None:
    """Send broken requests, half of them on connections that go on; every connection ends or answers."""
    rng = random.Random(seed)
    with SandboxProcess(SandboxConfig(tables=(TABLE,))) as sandbox:
        sent = 0
        while sent < requests:
            with Wire(sandbox.url) as wire:
                data = [broken(rng) for _ in range(rng.choice([1, 1, 5]))]
                sent += len(data)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it had seen enough
                    wire.send(b"".join(data))
                    wire.end()
                    while (answer := wire.answer()) is not None:
                        assert answer.status in (100, 200, 400, 403, 413, 431)
                        assert NOT_OUR_BUG not in answer.body
        with Wire(sandbox.url) as wire:
            body = b'{"TableName": "orders"}'
            wire.send(
                f"POST / HTTP/1.1\r\nX-Amz-Target: {target_of('Scan')}\r\nAuthorization: {AUTHORIZATION}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            alive = wire.answer()
        assert alive is not None
        assert alive.status in (200, 400)


def test_broken_http_never_hangs_or_crashes() -> None:
    """Five hundred requests with bytes changed, lost and repeated: every connection is answered or closed."""
    fuzz_wire(500, seed=1)


@pytest.mark.soak
def test_broken_http_never_hangs_or_crashes_for_long() -> None:
    """Twenty thousand of them."""
    fuzz_wire(20_000, seed=2)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@given(
    operation=st.sampled_from(sorted(EXAMPLES)),
    bends=st.lists(
        st.tuples(st.integers(0, 10**6), st.sampled_from(["replace", "remove", "add", "cut"]), json_values),
        min_size=1,
        max_size=3,
    ),
)
@settings(max_examples=20_000)
def test_bent_requests_for_long(operation: str, bends: list[tuple[int, str, Any]]) -> None:
    """Twenty thousand bent requests."""
    document: Any = EXAMPLES[operation]
    for place, action, junk in bends:
        paths = list(places(document))
        document = bent(document, paths[place % len(paths)], action, junk)
    check(HANDLERS[operation](request_for(operation, orjson.dumps(document))))

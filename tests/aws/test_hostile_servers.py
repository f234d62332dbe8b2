"""One contract for every client of this program: no answer of any server does harm.

Every call ends within its time and size, follows no redirect, understands a compressed answer, and what is no answer
becomes an error of ours in one line.
"""

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import anyio
import orjson
import pytest

from refire_async.aws import config
from refire_async.aws.autoscaling import describe_scalable_writes
from refire_async.aws.data_plane import parse_reply
from refire_async.aws.event_source_mappings import ask_mappings
from refire_async.aws.http_backend import Timeouts
from refire_async.aws.objects import ObjectName, object_chunks
from refire_async.aws.other_services import UnansweredError
from refire_async.aws.session import Session, open_session
from refire_async.errors import RefireError
from refire_async.model.capacity import TABLE as TABLE_RESOURCE
from refire_async.preflight import probes
from refire_async.settings import Connection
from tests.aws.hostile import COMPRESSIONS, ENDS, HEAD, NONSENSE, REDIRECTED_TO, compressed
from tests.aws.raw_server import RawServer, raw, reply
from tests.support.misshapen import BODIES, dumps, misshapen

STREAM = "arn:aws:dynamodb:eu-west-1:1:table/t/stream/2026"
TABLE: dict[str, Any] = {
    "TableName": "t",
    "TableArn": "arn:aws:dynamodb:eu-west-1:1:table/t",
    "TableId": "an id",
    "TableStatus": "ACTIVE",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "CreationDateTime": 1.0,
}


async def _scan(session: Session) -> Any:
    return parse_reply(await session.data.call("Scan", b"{}"), "Items")


async def _records(session: Session) -> Any:
    async for records in session.streams.records(STREAM, "s", after="1"):
        return records
    return None


async def _object(session: Session) -> Any:
    async with session.services.open("s3", None) as client:
        return b"".join([piece async for piece in object_chunks(client, ObjectName("bucket", "key"))])


@dataclass(frozen=True)
class Call:
    """A call of the program, and an answer that it accepts."""

    make: Callable[[Session], Awaitable[Any]]
    good: bytes


CALLS = {
    "Scan": Call(_scan, b'{"Items":[]}'),
    "DescribeTable": Call(lambda s: s.control.describe_table("t"), orjson.dumps({"Table": TABLE})),
    "DescribeTimeToLive": Call(
        lambda s: s.control.ttl_attribute("t"), b'{"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}}'
    ),
    "DescribeKinesisStreamingDestination": Call(
        lambda s: s.control.kinesis_destinations("t"), b'{"KinesisDataStreamDestinations":[]}'
    ),
    "DescribeContinuousBackups": Call(
        lambda s: s.control.point_in_time_recovery("t"),
        b'{"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED"}}',
    ),
    "DescribeStream": Call(lambda s: s.streams.shards(STREAM), b'{"StreamDescription":{"Shards":[]}}'),
    "GetShardIterator": Call(_records, b'{"ShardIterator":null}'),
    "ListEventSourceMappings": Call(
        lambda s: ask_mappings(s.services, STREAM), b'{"EventSourceMappings":[]}'
    ),
    "DescribeStreamSummary": Call(
        lambda s: probes.query_kinesis(s.services, "arn:aws:kinesis:eu-west-1:123456789012:stream/k"),
        b'{"StreamDescriptionSummary":{"OpenShardCount":3}}',
    ),
    "GetRecords": Call(_records, b'{"ShardIterator":null,"Records":[]}'),
    "DescribeScalableTargets": Call(
        lambda s: describe_scalable_writes(s.services, "t", [TABLE_RESOURCE]), b'{"ScalableTargets":[]}'
    ),
    "GetObject": Call(_object, b"an object"),
}
FULL = {
    "DescribeTable": orjson.dumps(
        {
            "Table": {
                **TABLE,
                "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
                "ItemCount": 1,
                "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": "i",
                        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]},
                        "OnDemandThroughput": {"MaxReadRequestUnits": 1},
                    }
                ],
                "Replicas": [{"RegionName": "eu-west-2"}],
            }
        }
    ),
    "DescribeStream": orjson.dumps(
        {
            "StreamDescription": {
                "Shards": [
                    {
                        "ShardId": "s",
                        "ParentShardId": "p",
                        "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "2"},
                    }
                ]
            }
        }
    ),
    "GetRecords": orjson.dumps(
        {
            "ShardIterator": "i",
            "Records": [
                {
                    "eventName": "MODIFY",
                    "dynamodb": {
                        "SequenceNumber": "7",
                        "Keys": {"pk": {"S": "a"}},
                        "ApproximateCreationDateTime": 1.0,
                        "OldImage": {"pk": {"S": "a"}, "revision": {"N": "1"}},
                        "NewImage": {"pk": {"S": "a"}, "revision": {"N": "2"}, "l": {"L": [{"SS": ["x"]}]}},
                    },
                }
            ],
            "NextShardIterator": None,
        }
    ),
    "DescribeScalableTargets": orjson.dumps(
        {
            "ScalableTargets": [
                {
                    "ServiceNamespace": "dynamodb",
                    "ResourceId": "table/t",
                    "ScalableDimension": "dynamodb:table:WriteCapacityUnits",
                    "MinCapacity": 1,
                    "MaxCapacity": 9,
                    "RoleARN": "r",
                    "CreationTime": 1767225600.0,
                }
            ]
        }
    ),
    "DescribeKinesisStreamingDestination": orjson.dumps(
        {"KinesisDataStreamDestinations": [{"StreamArn": "a", "DestinationStatus": "ACTIVE"}]}
    ),
    "ListEventSourceMappings": orjson.dumps(
        {
            "EventSourceMappings": [
                {
                    "FunctionArn": "arn:aws:lambda:eu-west-1:1:function:f",
                    "FilterCriteria": {"Filters": [{"Pattern": "{}"}]},
                    "DestinationConfig": {"OnFailure": {"Destination": "d"}},
                    "BatchSize": 5,
                }
            ]
        }
    ),
}
"""Answers with more members."""

ONE_OF_EACH = ("Scan", "DescribeTable", "GetObject")
"""Of each client: all calls of one go through the same code to a proxy."""

MADE_OF_JSON = [name for name in CALLS if name != "GetObject"]
MAY_BE_EMPTY = ("ListEventSourceMappings", "GetShardIterator", "GetRecords", "DescribeScalableTargets")
OURS = (RefireError, UnansweredError)

NEVER_ANSWERED = (
    "silence",
    "head that drips",
    "body that drips",
    "chunks that drip",
    "endless interim answers",
)
"""Cases that only the timeout of a call ends."""


@pytest.fixture
def anyio_backend() -> str:
    """One loop: test_transport has both, for what depends on it."""
    return "asyncio"


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with RawServer() as running:
        yield running


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[aiohttp.ClientResponse]:
    """Every answer that aiohttp has begun to read, of all clients that use it."""
    answers: list[aiohttp.ClientResponse] = []
    start = aiohttp.ClientResponse.start

    def recorded(answer: aiohttp.ClientResponse, *arguments: Any) -> Awaitable[Any]:
        answers.append(answer)
        return start(answer, *arguments)

    monkeypatch.setattr(aiohttp.ClientResponse, "start", recorded)
    return answers


@pytest.fixture(params=["direct", "proxied"])
def way(request: pytest.FixtureRequest) -> str:
    """The connection to the server: direct or through a proxy."""
    return str(request.param)


@pytest.fixture
def answer_s(request: pytest.FixtureRequest) -> float:
    """Timeouts: short if no answer will come, else enough for a busy machine."""
    return 0.3 if request.node.callspec.params.get("case") in NEVER_ANSWERED else 20.0


@pytest.fixture
async def session(
    way: str, answer_s: float, server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Session]:
    """A session with the server for every service; or with a host that does not exist, and the server as proxy."""
    url = server.url
    if way == "proxied":
        monkeypatch.setenv("HTTP_PROXY", server.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        url = "http://dynamodb.invalid:8000"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    for module in ("control_plane", "objects", "streams"):
        monkeypatch.setattr(f"refire_async.aws.{module}.CALL_S", 3 * answer_s)
    monkeypatch.setattr(config, "_READ_S", answer_s)
    monkeypatch.setattr(config, "_CONNECT_S", 10.0)
    monkeypatch.setattr(config, "_ATTEMPTS", 1)
    monkeypatch.setattr("refire_async.aws.streams._ATTEMPTS", 1)
    monkeypatch.setattr("refire_async.aws.objects.MAX_FAILURES", 2)
    for module in ("encoding", "http_connection", "http_client"):
        monkeypatch.setattr(f"refire_async.aws.{module}.ANSWER_LIMIT", 1 << 20)
    # Behind a proxy an answer has the time of both.
    connect_s = 1.0 if answer_s < 1 else 10.0
    connection = Connection(region="eu-west-1", endpoint_url=url)
    async with open_session(connection, 2, Timeouts(connect_s=connect_s, answer_s=answer_s)) as opened:
        gc.freeze()  # so that there is little to search
        yield opened
    gc.collect()  # what is left open is reported here and not in a later test
    gc.unfreeze()


async def test_valid_answers_are_accepted(session: Session, server: RawServer) -> None:
    """If this fails, the other tests prove nothing."""
    for call in CALLS.values():
        server.plays(reply(call.good, ETag='"1"'))
        await call.make(session)
    assert len(server.received) == len(CALLS)


@pytest.mark.parametrize("how", COMPRESSIONS)
async def test_understands_compression(session: Session, server: RawServer, how: str) -> None:
    """Some proxies compress without a request for it."""
    for name in MADE_OF_JSON:
        server.plays(compressed(CALLS[name].good, how))
        await CALLS[name].make(session)
        assert server.received[-1].headers["accept-encoding"] == "identity"
    assert len(server.received) == len(MADE_OF_JSON)


@pytest.mark.parametrize("case", ENDS)
async def test_every_fault_ends_the_call(
    session: Session, server: RawServer, case: str, way: str, begun: list[aiohttp.ClientResponse]
) -> None:
    """With one of our errors, in one line, before much is read; no connection goes elsewhere or stays open."""
    hostility = ENDS[case]
    names = MADE_OF_JSON if hostility.about_content else tuple(CALLS)
    if way == "proxied":
        names = [name for name in names if name in ONE_OF_EACH]
    server.plays(*[hostility.play(server.url)] * 9 * len(names))
    said: dict[str, str] = {}

    async def ask(name: str) -> None:
        with pytest.raises(OURS) as caught:
            await CALLS[name].make(session)
        said[name] = str(caught.value)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(ask, name)
    for name in names:
        assert len(said[name].splitlines()) == 1
        # An object is read in pieces, with other words for what happens on the way.
        assert name == "GetObject" or any(word in said[name] for word in hostility.says), f"{name}: {said}"
    assert [answer.url.path for answer in begun if not answer.closed] == []
    assert not any(REDIRECTED_TO in sent.line for sent in server.received)


@pytest.mark.parametrize("way", ["direct"])
async def test_an_object_whose_body_is_never_read(
    session: Session, server: RawServer, begun: list[aiohttp.ClientResponse]
) -> None:
    """botocore drops an answer that it cannot parse with its body unread: the client closes it at its end."""
    server.plays(raw(HEAD + b'Last-Modified: x\r\nETag: "1"\r\nContent-Length: 9\r\n\r\n'))
    with pytest.raises(OURS):
        await CALLS["GetObject"].make(session)
    assert begun
    assert all(answer.closed for answer in begun)


@pytest.mark.parametrize("way", ["direct"])
@pytest.mark.parametrize("body", NONSENSE, ids=lambda body: repr(body[:10]))
async def test_invalid_bodies_are_not_answers(session: Session, server: RawServer, body: bytes) -> None:
    """Or an empty answer, if all its members are optional."""
    for name in MADE_OF_JSON:
        server.script.clear()
        server.plays(*[reply(body)] * 9)
        if body == b"{}" and name in MAY_BE_EMPTY:
            await CALLS[name].make(session)
            continue
        with pytest.raises(OURS) as caught:
            await CALLS[name].make(session)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("way", ["direct"])
@pytest.mark.parametrize("name", MADE_OF_JSON)
async def test_misshapen_answers(name: str, server: RawServer, session: Session) -> None:
    """Every part of an answer with another type, or missing: accepted, or one of our errors."""
    shapes = misshapen(orjson.loads(FULL.get(name, CALLS[name].good)))
    refused = 0
    for body in (*map(dumps, shapes), *BODIES):
        server.script.clear()
        server.plays(*[reply(body)] * 2)
        try:
            with anyio.fail_after(60):
                await CALLS[name].make(session)
        except OURS:
            refused += 1
    assert refused > 5

"""Both planes against servers of the DynamoDB API, and complete descriptions of tables."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from refire_async.aws.control_plane import parse_table
from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.session import Session, open_session
from refire_async.model.keys import IndexKeys, KeySchema
from refire_async.model.table import Index, Stream, Table, Throughput
from refire_async.settings import Connection
from tests.support.backends import REGION, Backend

Name = Callable[[], str]


@pytest.fixture
async def session(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "scenario")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "scenario")
    async with open_session(Connection(region=REGION, endpoint_url=backend.url), 4) as opened:
        yield opened


@pytest.fixture
async def table(session: Session, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A table with a composite key, both kinds of index and a stream; its name."""
    name = f"planes-{abs(hash(request.node.nodeid))}"
    throughput = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 7}
    await call(
        session,
        "CreateTable",
        TableName=name,
        AttributeDefinitions=[
            {"AttributeName": n, "AttributeType": t} for n, t in (("pk", "S"), ("sk", "B"), ("day", "N"))
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        ProvisionedThroughput=throughput,
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-day",
                "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["revision"]},
                "ProvisionedThroughput": {"ReadCapacityUnits": 2, "WriteCapacityUnits": 3},
            }
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": "local-day",
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "day", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    yield name
    await call(session, "DeleteTable", TableName=name)


async def call(session: Session, operation: str, **parameters: Any) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(await session.data.call(operation, orjson.dumps(parameters)))
    return answer


async def refused(session: Session, operation: str, **parameters: Any) -> AwsError:
    with pytest.raises(AwsError) as caught:
        await call(session, operation, **parameters)
    return caught.value


async def test_describe(session: Session, table: str) -> None:
    """Everything that a run needs of a table's description."""
    described = await session.control.describe_table(table)
    keys = KeySchema("pk", "S", "sk", "B")
    assert (described.name, described.status, described.keys) == (table, "ACTIVE", keys)
    assert described.arn.endswith(f":table/{table}")
    assert described.table_id
    assert described.billing == "PROVISIONED"
    assert (described.throughput.provisioned_read, described.throughput.provisioned_write) == (5.0, 7.0)
    by_day, local_day = described.index("by-day"), described.index("local-day")
    assert by_day is not None
    assert local_day is not None
    assert (by_day.scope, by_day.keys, by_day.status) == ("global", IndexKeys((("day", "N"),)), "ACTIVE")
    assert (by_day.projection, by_day.projected) == ("INCLUDE", frozenset({"revision"}))
    assert (by_day.throughput.provisioned_read, by_day.throughput.provisioned_write) == (2.0, 3.0)
    assert (local_day.scope, local_day.keys) == ("local", IndexKeys((("pk", "S"),), (("day", "N"),)))
    assert local_day.throughput.provisioned_write is None
    assert described.stream.enabled
    assert described.stream.view_type == "NEW_AND_OLD_IMAGES"
    assert described.stream.arn is not None


async def test_table_id_distinguishes_a_table_from_its_successor(session: Session, table: str) -> None:
    """A table that was deleted and recreated under its name is another one."""
    definition = {
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    first = (await session.control.describe_table(table)).table_id
    assert (await session.control.describe_table(table)).table_id == first
    await call(session, "DeleteTable", TableName=table)
    await call(session, "CreateTable", TableName=table, **definition)
    assert (await session.control.describe_table(table)).table_id != first


async def test_time_to_live(session: Session, table: str) -> None:
    """Off, then on."""
    assert await session.control.ttl_attribute(table) is None
    specification = {"Enabled": True, "AttributeName": "expires at"}
    await call(session, "UpdateTimeToLive", TableName=table, TimeToLiveSpecification=specification)
    assert await session.control.ttl_attribute(table) == "expires at"


async def test_kinesis_destinations(session: Session, table: str) -> None:
    """None, also if the server does not know the operation."""
    assert await session.control.kinesis_destinations(table) == ()


async def test_unknown_table(session: Session) -> None:
    """The same error from both planes: fatal, with what to check."""
    with pytest.raises(AwsError) as caught:
        await session.control.describe_table("no-such-table")
    for error in (caught.value, await refused(session, "Scan", TableName="no-such-table")):
        assert (error.name, error.disposition) == ("ResourceNotFound", Disposition.FATAL)
        assert "--table" in error.action


async def test_conditional_update(session: Session, table: str) -> None:
    """A failed condition returns the present item."""
    item = {"pk": {"S": "a"}, "sk": {"B": "AAEC"}, "revision": {"N": "7"}}
    await call(session, "PutItem", TableName=table, Item=item)
    error = await refused(
        session,
        "UpdateItem",
        TableName=table,
        Key={"pk": {"S": "a"}, "sk": {"B": "AAEC"}},
        UpdateExpression="SET revision = :new",
        ConditionExpression="revision = :old",
        ExpressionAttributeValues={":new": {"N": "2"}, ":old": {"N": "1"}},
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert (error.disposition, error.item) == (Disposition.CONDITION, item)


async def test_validation(session: Session, table: str) -> None:
    """For a write the item is the cause, and the message does not quote the service; for a read the user's input is."""
    error = await refused(session, "UpdateItem", TableName=table, Key={"pk": {"S": "a"}})
    assert error.disposition is Disposition.ITEM
    assert error.detail
    assert error.detail not in str(error)
    error = await refused(session, "Scan", TableName=table, FilterExpression="=")
    assert error.disposition is Disposition.FATAL
    assert "FilterExpression" in error.message


async def test_records_of_the_stream(session: Session, table: str) -> None:
    """Every write that changed an item, in order, as JSON; reading can continue after any record."""
    for revision in ("1", "2", "2", "3"):
        item = {"pk": {"S": "a"}, "sk": {"B": "AAEC"}, "revision": {"N": revision}}
        await call(session, "PutItem", TableName=table, Item=item)
    arn = (await session.control.describe_table(table)).stream.arn
    assert arn is not None
    found: list[dict[str, Any]] = []
    for shard in await session.streams.shards(arn):
        async for page in session.streams.records(arn, shard.id):
            found.extend(page)
            if len(found) >= 3:
                break
        async for page in session.streams.records(
            arn, shard.id, after=found[0]["dynamodb"]["SequenceNumber"]
        ):
            assert page[0] == found[1]
            break
    assert [record["eventName"] for record in found] == ["INSERT", "MODIFY", "MODIFY"]
    images = [record["dynamodb"]["NewImage"]["revision"] for record in found]
    assert images == [{"N": "1"}, {"N": "2"}, {"N": "3"}]
    assert found[0]["dynamodb"]["Keys"] == {"pk": {"S": "a"}, "sk": {"B": "AAEC"}}


def described(**more: Any) -> dict[str, Any]:
    """A TableDescription as botocore returns it."""
    return {
        "TableName": "orders",
        "TableArn": "arn:aws:dynamodb:eu-west-1:1:table/orders",
        "TableId": "6a2b",
        "TableStatus": "ACTIVE",
        "CreationDateTime": datetime(2026, 1, 1, tzinfo=UTC),
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "day", "AttributeType": "N"},
        ],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
        "TableSizeBytes": 1000,
        "ItemCount": 10,
        **more,
    }


def test_on_demand_table_in_full() -> None:
    """Members that no emulator returns: limits and warm throughput of table and index, replicas."""
    table = parse_table(
        described(
            BillingModeSummary={"BillingMode": "PAY_PER_REQUEST"},
            OnDemandThroughput={"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": 500},
            WarmThroughput={"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"},
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-day",
                    "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                    "IndexStatus": "CREATING",
                    "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
                    "OnDemandThroughput": {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 20},
                    "WarmThroughput": {"ReadUnitsPerSecond": 30, "WriteUnitsPerSecond": 40},
                }
            ],
            Replicas=[{"RegionName": "us-east-1", "ReplicaStatus": "ACTIVE"}],
            LatestStreamArn="arn:old",
        )
    )
    assert table == Table(
        name="orders",
        arn="arn:aws:dynamodb:eu-west-1:1:table/orders",
        table_id="6a2b",
        status="ACTIVE",
        keys=KeySchema("id", "S"),
        billing="PAY_PER_REQUEST",
        throughput=Throughput(maximum_write=500.0, warm_read=12000.0, warm_write=4000.0),
        indexes=(
            Index(
                name="by-day",
                scope="global",
                keys=IndexKeys((("day", "N"),)),
                projection="ALL",
                status="CREATING",
                throughput=Throughput(maximum_read=10.0, maximum_write=20.0, warm_read=30.0, warm_write=40.0),
            ),
        ),
        stream=Stream(enabled=False, arn="arn:old"),
        item_count=10,
        size_bytes=1000,
        replicas=("us-east-1",),
    )


def test_index_with_keys_of_several_attributes() -> None:
    """All attributes, in the order of the schema, with any order of HASH and RANGE entries."""
    kinds = {"tenant": "HASH", "year": "RANGE", "revision": "HASH", "month": "RANGE", "day": "HASH"}
    definitions = [{"AttributeName": name, "AttributeType": "N"} for name in ("id", *kinds)]
    entry = {
        "IndexName": "wide",
        "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in kinds.items()],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    table = parse_table(described(AttributeDefinitions=definitions, GlobalSecondaryIndexes=[entry]))
    (index,) = table.indexes
    assert index.keys == IndexKeys(
        (("tenant", "N"), ("revision", "N"), ("day", "N")), (("year", "N"), ("month", "N"))
    )
    assert all(index.projects(name, table.keys) for name in ("id", *kinds))
    assert not index.projects("payload", table.keys)


def test_table_that_was_on_demand_once() -> None:
    """The summary contains the present mode; a table that was never on demand has none."""
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 7}
    for summary in ({}, {"BillingModeSummary": {"BillingMode": "PROVISIONED"}}):
        table = parse_table(described(ProvisionedThroughput=units, **summary))
        assert table.billing == "PROVISIONED"
        assert table.throughput == Throughput(provisioned_read=5.0, provisioned_write=7.0)

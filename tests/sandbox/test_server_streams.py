"""Streams: which writes leave a record, what it holds, shards, iterators, retention."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.capacity.settings import CapacitySettings
from tests.sandbox.server_support import Direct, client, direct, new_name, schema
from tests.support.examples import examples

KEY = {"pk": {"S": "a"}}
ITEM = {**KEY, "n": {"N": "1"}, "names": {"SS": ["x", "y"]}}


def with_stream(view: str = "NEW_AND_OLD_IMAGES", **more: Any) -> Direct:
    stream = {"StreamEnabled": True, "StreamViewType": view}
    return direct({"TableName": "orders", **schema(pk="S"), "StreamSpecification": stream}, **more)


def names_and_images(records: list[dict[str, Any]]) -> list[tuple[str, Any, Any]]:
    return [
        (one["eventName"], one["dynamodb"].get("OldImage"), one["dynamodb"].get("NewImage"))
        for one in records
    ]


def test_records_through_boto3(sandbox_url: str) -> None:
    """A plain client reads whole records, binary keys included, in the shape of the API Reference."""
    dynamodb, streams = client(sandbox_url), client(sandbox_url, "dynamodbstreams")
    name = new_name()
    dynamodb.create_table(
        TableName=name,
        **schema(pk="B"),
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    key = {"pk": {"B": b"\x00\xff"}}
    dynamodb.put_item(TableName=name, Item={**key, "n": {"N": "1"}})
    (listed,) = streams.list_streams(TableName=name)["Streams"]
    assert listed["StreamArn"] == dynamodb.describe_table(TableName=name)["Table"]["LatestStreamArn"]
    described = streams.describe_stream(StreamArn=listed["StreamArn"])["StreamDescription"]
    assert described["StreamStatus"] == "ENABLED"
    assert described["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    records = []
    for shard in described["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=listed["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        records += streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    (record,) = records
    change = record.pop("dynamodb")
    assert record.keys() == {"eventID", "eventName", "eventVersion", "eventSource", "awsRegion"}
    assert (record["eventName"], record["eventSource"], record["awsRegion"]) == (
        "INSERT",
        "aws:dynamodb",
        "eu-central-1",
    )
    assert change.pop("ApproximateCreationDateTime").microsecond == 0
    assert change.pop("SequenceNumber").isdecimal()
    assert change == {
        "Keys": key,
        "NewImage": {**key, "n": {"N": "1"}},
        "SizeBytes": 2 + 2 + 2 + 2 + 1 + 2,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }


def test_writes_that_change_nothing_leave_no_record() -> None:
    """Putting or updating an item to what it is fires nothing, however it is written; deleting nothing neither."""
    db = with_stream()
    db("PutItem", TableName="orders", Item=ITEM)
    same = {"names": {"SS": ["y", "x"]}, "n": {"N": "1.0"}, **KEY}
    db("PutItem", TableName="orders", Item=same)
    db("UpdateItem", TableName="orders", Key=KEY, UpdateExpression="SET n = n")
    db("UpdateItem", TableName="orders", Key=KEY, UpdateExpression="REMOVE nowhere")
    db("ExecuteStatement", Statement="UPDATE orders SET n = 1 WHERE pk = 'a'")
    db("DeleteItem", TableName="orders", Key={"pk": {"S": "b"}})
    db(
        "UpdateItem",
        TableName="orders",
        Key=KEY,
        UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    db("DeleteItem", TableName="orders", Key=KEY)
    touched = {**ITEM, "n": {"N": "2"}}
    assert names_and_images(db.records("orders")) == [
        ("INSERT", None, ITEM),
        ("MODIFY", ITEM, touched),
        ("REMOVE", touched, None),
    ]


@pytest.mark.parametrize(
    ("view", "old", "new"),
    [
        ("KEYS_ONLY", False, False),
        ("NEW_IMAGE", False, True),
        ("OLD_IMAGE", True, False),
        ("NEW_AND_OLD_IMAGES", True, True),
    ],
)
def test_view_types_decide_on_images(view: str, old: bool, new: bool) -> None:
    """Each view type shows its images and always the keys."""
    db = with_stream(view)
    db("PutItem", TableName="orders", Item=ITEM)
    db("DeleteItem", TableName="orders", Key=KEY)
    inserted, removed = (record["dynamodb"] for record in db.records("orders"))
    assert inserted["Keys"] == removed["Keys"] == KEY
    assert ("NewImage" in inserted, "OldImage" in removed) == (new, old)
    assert "OldImage" not in inserted
    assert "NewImage" not in removed


@given(
    writes=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["put", "update", "delete"]), st.integers(0, 2)),
        max_size=60,
    )
)
@examples(12, 300)
def test_the_stream_replayed_gives_the_table(writes: list[tuple[int, str, int]]) -> None:
    """Every record continues where the item's last one ended, and the last images are the table."""
    db = with_stream()
    for number, action, value in writes:
        key = {"pk": {"S": f"k{number}"}}
        if action == "put":
            db("PutItem", TableName="orders", Item={**key, "v": {"N": str(value)}})
        elif action == "delete":
            db("DeleteItem", TableName="orders", Key=key)
        else:
            db(
                "UpdateItem",
                TableName="orders",
                Key=key,
                UpdateExpression="SET w = :v",
                ExpressionAttributeValues={":v": {"N": str(value)}},
            )
        db.clock.advance(0.4)
    images: dict[str, Any] = {}
    for record in db.records("orders"):
        change = record["dynamodb"]
        key = change["Keys"]["pk"]["S"]
        assert change.get("OldImage") == images.get(key)
        assert change.get("OldImage") != change.get("NewImage")
        expected = "INSERT" if key not in images else "REMOVE" if "NewImage" not in change else "MODIFY"
        assert record["eventName"] == expected
        images.pop(key, None)
        if "NewImage" in change:
            images[key] = change["NewImage"]
    assert images == {one["pk"]["S"]: one for one in db.items("Scan", TableName="orders")}


def test_iterators_start_where_they_are_told() -> None:
    """TRIM_HORIZON, LATEST, AT and AFTER a sequence number; Limit; nothing is lost between pages."""
    db = with_stream(partitions=1)
    arn = db("DescribeTable", TableName="orders")["Table"]["LatestStreamArn"]
    (shard,) = db("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]

    def iterator(kind: str, **more: Any) -> str:
        request = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": kind, **more}
        return str(db("GetShardIterator", **request)["ShardIterator"])

    latest_at_first = iterator("LATEST")
    for number in range(7):
        db("PutItem", TableName="orders", Item={"pk": {"S": str(number)}})

    def keys(start: str, **more: Any) -> list[str]:
        page = db("GetRecords", ShardIterator=start, **more)
        return [record["dynamodb"]["Keys"]["pk"]["S"] for record in page["Records"]]

    everything = [str(number) for number in range(7)]
    assert keys(iterator("TRIM_HORIZON")) == keys(latest_at_first) == everything
    assert keys(iterator("LATEST")) == []
    third = db("GetRecords", ShardIterator=latest_at_first)["Records"][2]["dynamodb"]["SequenceNumber"]
    assert keys(iterator("AT_SEQUENCE_NUMBER", SequenceNumber=third)) == everything[2:]
    assert keys(iterator("AFTER_SEQUENCE_NUMBER", SequenceNumber=third)) == everything[3:]
    first = db("GetRecords", ShardIterator=latest_at_first, Limit=2)
    assert len(first["Records"]) == 2
    assert keys(first["NextShardIterator"]) == everything[2:]


@pytest.mark.parametrize("kind", ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"])
def test_an_empty_shard_knows_its_own_first_number(kind: str) -> None:
    """What DescribeStream shows can be started at before there is a record; the next number cannot."""
    db = with_stream(partitions=1)
    arn = db("DescribeTable", TableName="orders")["Table"]["LatestStreamArn"]
    (shard,) = db("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]
    first = shard["SequenceNumberRange"]["StartingSequenceNumber"]
    request = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": kind}
    iterator = db("GetShardIterator", **request, SequenceNumber=first)["ShardIterator"]
    later = {**request, "SequenceNumber": str(int(first) + 1)}
    assert db.refusal("GetShardIterator", **later)[0] == "ValidationException"
    empty = db("GetRecords", ShardIterator=iterator)
    assert empty["Records"] == []
    for number in range(3):
        db("PutItem", TableName="orders", Item={"pk": {"S": str(number)}})
    numbers = [str(int(first) + at) for at in range(3)]
    for start in (iterator, empty["NextShardIterator"]):
        records = db("GetRecords", ShardIterator=start)["Records"]
        found = [record["dynamodb"]["SequenceNumber"] for record in records]
        assert found == (numbers if kind == "AT_SEQUENCE_NUMBER" else numbers[1:])


def test_iterators_by_time() -> None:
    """AT_TIMESTAMP starts at the first record of that second or later, at the oldest, or at the end."""
    db = with_stream(partitions=1)
    arn = db("DescribeTable", TableName="orders")["Table"]["LatestStreamArn"]
    (shard,) = db("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]
    began = db.clock.time()
    for number in range(4):
        db("PutItem", TableName="orders", Item={"pk": {"S": str(number)}})
        db.clock.advance(10.25)
    request = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "AT_TIMESTAMP"}

    def found(timestamp: float) -> list[str]:
        iterator = db("GetShardIterator", **request, Timestamp=timestamp)["ShardIterator"]
        records = db("GetRecords", ShardIterator=iterator)["Records"]
        assert all(r["dynamodb"]["ApproximateCreationDateTime"] >= int(timestamp) for r in records)
        return [record["dynamodb"]["Keys"]["pk"]["S"] for record in records]

    assert found(0) == found(began - 86_400 * 7) == found(began) == ["0", "1", "2", "3"]
    assert found(began + 9) == ["1", "2", "3"]
    assert found(began + 10.5) == ["1", "2", "3"]
    assert found(began + 11.5) == ["2", "3"]
    assert found(db.clock.time()) == []
    for wrong in (
        {"Timestamp": db.clock.time() + 60},
        {},
        {"Timestamp": began, "SequenceNumber": shard["SequenceNumberRange"]["StartingSequenceNumber"]},
    ):
        assert db.refusal("GetShardIterator", **request, **wrong)[0] == "ValidationException"
    latest = {**request, "ShardIteratorType": "LATEST", "Timestamp": began}
    assert db.refusal("GetShardIterator", **latest)[0] == "ValidationException"
    typed = {**request, "Timestamp": "yesterday"}
    assert db.refusal("GetShardIterator", **typed)[0] == "SerializationException"
    db.clock.advance(86_400)
    db("PutItem", TableName="orders", Item={"pk": {"S": "later"}})
    assert found(began + 5) == ["later"]


def test_get_records_holds_a_thousand_records_or_a_megabyte() -> None:
    """The two limits of a page."""
    db = with_stream(
        partitions=1,
        settings=CapacitySettings(
            partition_write_units=1e9, on_demand_write_units=1e9, quota_write_units=1e9
        ),
    )
    for number in range(1200):
        db("PutItem", TableName="orders", Item={"pk": {"S": str(number)}})
    for number in range(6):
        db("PutItem", TableName="orders", Item={"pk": {"S": f"big{number}"}, "x": {"S": "x" * 300_000}})
    arn = db("DescribeTable", TableName="orders")["Table"]["LatestStreamArn"]
    shard = db("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = db("GetShardIterator", StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    sizes = []
    while iterator and sum(sizes) < 1206:
        page = db("GetRecords", ShardIterator=iterator)
        sizes.append(len(page["Records"]))
        iterator = page["NextShardIterator"]
    assert sizes == [1000, 203, 3]


def test_records_are_trimmed_after_a_day_and_iterators_expire() -> None:
    """24 hours for records, 15 minutes for iterators; a position that is trimmed is an error of its own."""
    db = with_stream(partitions=1)
    db("PutItem", TableName="orders", Item={"pk": {"S": "old"}})
    arn = db("DescribeTable", TableName="orders")["Table"]["LatestStreamArn"]
    shard = db("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    request = {"StreamArn": arn, "ShardId": shard}
    iterator = db("GetShardIterator", ShardIteratorType="TRIM_HORIZON", **request)["ShardIterator"]
    number = db("GetRecords", ShardIterator=iterator)["Records"][0]["dynamodb"]["SequenceNumber"]
    db.clock.advance(15 * 60 + 1)
    assert db.refusal("GetRecords", ShardIterator=iterator)[0] == "ExpiredIteratorException"
    db.clock.advance(24 * 3600)
    db("PutItem", TableName="orders", Item={"pk": {"S": "new"}})
    records = db.records("orders")
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in records] == ["new"]
    at = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": number, **request}
    assert db.refusal("GetShardIterator", **at)[0] == "TrimmedDataAccessException"


def test_shards_follow_the_partitions_that_split() -> None:
    """A hot partition's shard is closed, its two children name it as parent, and order per item holds across."""
    db = with_stream(partitions=1, settings=CapacitySettings(split_after=2))
    for second, number in itertools.product(range(6), range(1000)):
        if number == 0 and second:
            db.clock.advance(1)
        db(
            "UpdateItem",
            TableName="orders",
            Key={"pk": {"S": str(number)}},
            UpdateExpression="SET v = :v",
            ExpressionAttributeValues={":v": {"N": str(second)}},
        )
    arn = db("DescribeTable", TableName="orders")["Table"]["LatestStreamArn"]
    shards = db("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]
    parent, *children = shards
    assert len(children) >= 2
    assert "EndingSequenceNumber" in parent["SequenceNumberRange"]
    assert children[0]["ParentShardId"] == children[1]["ParentShardId"] == parent["ShardId"]
    filtered = db(
        "DescribeStream", StreamArn=arn, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": parent["ShardId"]}
    )
    assert filtered["StreamDescription"]["Shards"] == children[:2]
    seen: dict[str, list[int]] = {}
    for record in db.records("orders"):
        change = record["dynamodb"]
        seen.setdefault(change["Keys"]["pk"]["S"], []).append(int(change["NewImage"]["v"]["N"]))
    assert seen == {str(number): list(range(6)) for number in range(1000)}


def test_shards_of_several_splits_at_once() -> None:
    """More capacity splits a partition and its halves before the next write: every shard but the first has a parent."""
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    few = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    table = {"TableName": "orders", **schema(pk="S"), "StreamSpecification": stream}
    db = direct({**table, "BillingMode": "PROVISIONED", "ProvisionedThroughput": few})
    for number in range(3):
        db("PutItem", TableName="orders", Item={"pk": {"S": "a"}, "n": {"N": str(number)}})
    more = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 4_000}
    db("UpdateTable", TableName="orders", ProvisionedThroughput=more)
    db.clock.advance(60)
    db("PutItem", TableName="orders", Item={"pk": {"S": "a"}, "n": {"N": "3"}})
    arn = db("DescribeTable", TableName="orders")["Table"]["LatestStreamArn"]
    first, *others = db("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]
    assert len(others) == 6
    assert [shard.get("ParentShardId") for shard in others[:2]] == [first["ShardId"]] * 2
    assert {shard["ParentShardId"] for shard in others[2:]} == {shard["ShardId"] for shard in others[:2]}
    numbers = [record["dynamodb"]["NewImage"].get("n", {}).get("N") for record in db.records("orders")]
    assert numbers == ["0", "1", "2", "3"]


def test_a_closed_shard_ends() -> None:
    """After disabling the stream its shards can be read to their end, which has no next iterator."""
    db = with_stream(partitions=1)
    db("PutItem", TableName="orders", Item=ITEM)
    db("UpdateTable", TableName="orders", StreamSpecification={"StreamEnabled": False})
    db("PutItem", TableName="orders", Item={"pk": {"S": "unseen"}})
    table = db("DescribeTable", TableName="orders")["Table"]
    assert "StreamSpecification" not in table
    arn = table["LatestStreamArn"]
    described = db("DescribeStream", StreamArn=arn)["StreamDescription"]
    assert described["StreamStatus"] == "DISABLED"
    shard = described["Shards"][0]["ShardId"]
    iterator = db("GetShardIterator", StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    page = db("GetRecords", ShardIterator=iterator)
    assert len(page["Records"]) == 1
    assert "NextShardIterator" not in page
    db(
        "UpdateTable",
        TableName="orders",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )
    assert db("DescribeTable", TableName="orders")["Table"]["LatestStreamArn"] != arn
    assert len(db("ListStreams", TableName="orders")["Streams"]) == 2


def test_unknown_streams_shards_and_iterators() -> None:
    """Each has its error."""
    db = with_stream()
    arn = db("DescribeTable", TableName="orders")["Table"]["LatestStreamArn"]
    assert db.refusal("DescribeStream", StreamArn=arn[:-1] + "x")[0] == "ResourceNotFoundException"
    shard = "shardId-00000000000000000000-ffffffff"
    request = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "LATEST"}
    assert db.refusal("GetShardIterator", **request)[0] == "ResourceNotFoundException"
    assert db.refusal("GetRecords", ShardIterator="nonsense")[0] == "ValidationException"

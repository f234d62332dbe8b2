"""Scan, Query and BatchGetItem: requests and the handling of responses."""

from typing import Any

import pytest

from refire_async.aws.data_plane import DataPlane
from refire_async.aws.errors import AwsError
from refire_async.aws.types import Request, Response
from refire_async.model.keys import IndexKeys, KeySchema
from refire_async.model.selection import Selection
from refire_async.sources.lookup import Lookup
from refire_async.sources.table import query_source, scan_source
from tests.support.fakes import Scripted

ATTRIBUTES = ("pk", "sk", "revision")
KEYS = KeySchema("pk", "S", "sk", "N")
ITEM = {"pk": {"S": "a"}, "sk": {"N": "1"}}


def reply(items: int = 1, rcu: float = 0.5, cursor: Any = None, scanned: int | None = None) -> dict[str, Any]:
    answer = {
        "Items": [{**ITEM, "sk": {"N": str(n)}} for n in range(1, items + 1)],
        "Count": items,
        "ScannedCount": items if scanned is None else scanned,
        "ConsumedCapacity": {"TableName": "t", "CapacityUnits": rcu},
    }
    return answer if cursor is None else {**answer, "LastEvaluatedKey": cursor}


async def test_a_scan_requests_one_segment():
    """Placeholders for every name, so that none can be a reserved word; consumed capacity is requested."""
    wire = Scripted(reply())
    source = scan_source(
        wire.data, "t", Selection("scan"), ATTRIBUTES, table_keys=KEYS, total_segments=7, carries_marker=True
    )
    await source.read(3, None, 500)
    assert wire.asked == [
        (
            "Scan",
            {
                "TableName": "t",
                "ProjectionExpression": "#rf0, #rf1, #rf2",
                "ExpressionAttributeNames": {"#rf0": "pk", "#rf1": "sk", "#rf2": "revision"},
                "ReturnConsumedCapacity": "TOTAL",
                "Limit": 500,
                "Segment": 3,
                "TotalSegments": 7,
            },
        )
    ]


async def test_pages_follow_each_other_by_the_last_key():
    cursor = {"pk": {"S": "a"}, "sk": {"N": "1"}}
    later = {"pk": {"S": "a"}, "sk": {"N": "7"}}
    wire = Scripted(reply(2, cursor=cursor), reply(0, cursor=later), reply(1))
    source = scan_source(
        wire.data, "t", Selection("scan"), ATTRIBUTES, table_keys=KEYS, total_segments=1, carries_marker=True
    )
    first = await source.read(0, None, 10)
    assert (len(first.items), first.cursor, first.rcu) == (2, cursor, 0.5)
    second = await source.read(0, first.cursor, 10)
    assert (second.items, second.cursor) == ([], later)
    assert (await source.read(0, second.cursor, 10)).cursor is None
    assert [request.get("ExclusiveStartKey") for _, request in wire.asked] == [None, cursor, later]


async def test_a_filter_brings_its_own_names_and_values():
    wire = Scripted(reply())
    selection = Selection(
        "scan", filter="#s = :s", names=(("#s", "status"),), values=((":s", {"S": "new"}),), index="by-day"
    )
    source = scan_source(
        wire.data, "t", selection, ("pk",), table_keys=KEYS, total_segments=1, carries_marker=False
    )
    await source.read(0, None, 1)
    request = wire.asked[0][1]
    assert request["FilterExpression"] == "#s = :s"
    assert request["IndexName"] == "by-day"
    assert request["ExpressionAttributeNames"] == {"#rf0": "pk", "#s": "status"}
    assert request["ExpressionAttributeValues"] == {":s": {"S": "new"}}


async def test_a_query_names_one_hash_key_and_no_segment():
    wire = Scripted(reply())
    selection = Selection(
        "query",
        key_name="pk",
        key_values=({"S": "a' OR '1'='1"},),
        sort_key_condition="between 1 and 9",
        filter="size(x) > :n",
        values=((":n", {"N": "3"}),),
    )
    source = query_source(wire.data, "t", selection, ATTRIBUTES, KEYS, table_keys=KEYS, carries_marker=True)
    await source.read(0, None, 20)
    operation, request = wire.asked[0]
    assert operation == "Query"
    assert request["KeyConditionExpression"] == "#rfh0 = :rfh0 AND #rfs0 BETWEEN :rfs01 AND :rfs02"
    assert request["ExpressionAttributeNames"] == {
        "#rf0": "pk",
        "#rf1": "sk",
        "#rf2": "revision",
        "#rfh0": "pk",
        "#rfs0": "sk",
    }
    assert request["ExpressionAttributeValues"] == {
        ":rfh0": {"S": "a' OR '1'='1"},
        ":rfs01": {"N": "1"},
        ":rfs02": {"N": "9"},
        ":n": {"N": "3"},
    }
    assert not {"Segment", "TotalSegments", "ConsistentRead"} & set(request)
    assert source.total_segments == 1


@pytest.mark.parametrize("theirs", ["rf0", "rfh", "rfs", "rf1", "rfx0", "hk"])
async def test_placeholders_of_the_user_keep_their_meaning(theirs: str):
    """For any names: a conflict with own placeholders would silently select other items."""
    wire = Scripted(reply())
    selection = Selection(
        "query",
        key_name="pk",
        key_values=({"S": "a"},),
        sort_key_condition="> 5",
        filter=f"#{theirs} = :{theirs}",
        names=((f"#{theirs}", "status"),),
        values=((f":{theirs}", {"S": "new"}),),
    )
    await query_source(
        wire.data, "t", selection, ATTRIBUTES, KEYS, table_keys=KEYS, carries_marker=True
    ).read(0, None, 1)
    request = wire.asked[0][1]
    names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
    assert (names.pop(f"#{theirs}"), values.pop(f":{theirs}")) == ("status", {"S": "new"})
    assert sorted(names.values()) == ["pk", "pk", "revision", "sk", "sk"]
    assert sorted(values.values(), key=str) == [{"N": "5"}, {"S": "a"}]
    for placeholder in (*names, *values):
        used = f"{request['KeyConditionExpression']} {request['ProjectionExpression']}"
        assert placeholder in used


async def test_a_query_of_an_index_gives_all_hash_attributes_and_sort_attributes_from_the_left():
    keys = IndexKeys((("tenant", "S"), ("region", "S")), (("year", "N"), ("month", "N"), ("day", "N")))
    selection = Selection(
        "query",
        index="by-tenant",
        key_name="tenant",
        key_values=({"S": "acme"}, {"S": "zeta"}),
        more_keys=(("region", ({"S": "eu"}, {"S": "us"})),),
        sort_key_condition="year = 2026 and month between 3 and 5",
    )
    wire = Scripted(reply())
    source = query_source(wire.data, "t", selection, ("pk",), keys, table_keys=KEYS, carries_marker=False)
    assert source.total_segments == 2
    await source.read(1, None, 20)
    _, request = wire.asked[0]
    assert request["KeyConditionExpression"] == (
        "#rfh0 = :rfh0 AND #rfh1 = :rfh1 AND #rfs0 = :rfs01 AND #rfs1 BETWEEN :rfs11 AND :rfs12"
    )
    assert request["ExpressionAttributeNames"] == {
        "#rf0": "pk",
        "#rfh0": "tenant",
        "#rfh1": "region",
        "#rfs0": "year",
        "#rfs1": "month",
    }
    assert request["ExpressionAttributeValues"] == {
        ":rfh0": {"S": "zeta"},
        ":rfh1": {"S": "us"},
        ":rfs01": {"N": "2026"},
        ":rfs11": {"N": "3"},
        ":rfs12": {"N": "5"},
    }


async def test_a_query_does_not_change_the_selection():
    """The selection is part of the checkpoint's identity."""
    selection = Selection(
        "query", key_name="pk", key_values=({"S": "a"},), values=((":n", {"N": "3"}),), filter="x = :n"
    )
    wire = Scripted()
    query_source(wire.data, "t", selection, ATTRIBUTES, KEYS, table_keys=KEYS, carries_marker=True)
    assert selection.values == ((":n", {"N": "3"}),)


@pytest.mark.parametrize(
    ("items", "scanned", "rcu", "item_bytes"),
    [
        (100, 100, 12.5, 1024.0),
        (1, 100, 12.5, 1024.0),  # a filter leaves out what was paid for
        (5, 5, 0.5, None),  # too few: the units are rounded
        (100, 100, 0.0, None),  # the backend does not tell
    ],
)
async def test_item_sizes_follow_from_the_units_of_a_page(
    items: int, scanned: int, rcu: float, item_bytes: float | None
):
    """Eventually consistent: half a unit for 4 KB."""
    wire = Scripted(reply(items, rcu, scanned=scanned))
    source = scan_source(
        wire.data, "t", Selection("scan"), ATTRIBUTES, table_keys=KEYS, total_segments=1, carries_marker=True
    )
    assert (await source.read(0, None, 100)).item_bytes == item_bytes


async def test_index_entries_show_no_item_size_and_may_repeat():
    wire = Scripted(reply(100, 50.0))
    source = scan_source(
        wire.data,
        "t",
        Selection("scan", index="g"),
        ATTRIBUTES,
        table_keys=KEYS,
        total_segments=1,
        carries_marker=True,
    )
    assert (await source.read(0, None, 100)).item_bytes is None
    assert source.may_repeat


async def test_a_lookup_reads_consistently_and_returns_unprocessed_keys():
    other = {"pk": {"S": "b"}, "sk": {"N": "2"}}
    wire = Scripted(
        {
            "Responses": {"t": [{**ITEM, "revision": {"N": "4"}}]},
            "UnprocessedKeys": {"t": {"Keys": [other]}},
            "ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 2.0}],
        }
    )
    found = await Lookup(wire.data, "t", KEYS, ATTRIBUTES).read([ITEM, other])
    assert found.items == [{**ITEM, "revision": {"N": "4"}}]
    assert found.unprocessed == [other]
    assert found.rcu == 2.0
    assert wire.asked == [
        (
            "BatchGetItem",
            {
                "RequestItems": {
                    "t": {
                        "Keys": [ITEM, other],
                        "ProjectionExpression": "#rf0, #rf1, #rf2",
                        "ExpressionAttributeNames": {"#rf0": "pk", "#rf1": "sk", "#rf2": "revision"},
                        "ConsistentRead": True,
                    }
                },
                "ReturnConsumedCapacity": "TOTAL",
            },
        )
    ]


async def test_a_lookup_of_missing_items_finds_nothing():
    found = await Lookup(
        Scripted({"Responses": {"t": []}, "UnprocessedKeys": {}}).data, "t", KEYS, ATTRIBUTES
    ).read([ITEM])
    assert (found.items, found.unprocessed, found.rcu) == ([], [], None)


async def test_an_error_of_the_service_is_passed_on():
    """A read is one request: the caller decides about retries."""
    attempts = 0

    async def transport(_: Request) -> Response:
        nonlocal attempts
        attempts += 1
        return Response(400, {}, b'{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"}')

    source = scan_source(
        DataPlane(transport),
        "t",
        Selection("scan"),
        ATTRIBUTES,
        table_keys=KEYS,
        total_segments=1,
        carries_marker=True,
    )
    with pytest.raises(AwsError, match="throttled"):
        await source.read(0, None, 10)
    assert attempts == 1

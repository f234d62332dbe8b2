"""Tables of a ``--tables`` file: given items, generated items, and what can be wrong with either."""

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.database import Database
from refire_async.sandbox.tables import load_tables
from refire_async.sandbox.values import item_size
from tests.sandbox.server_support import Direct, direct, index, schema, with_types

COMPOSITE = schema(pk="S", sk="N")
PLENTY = CapacitySettings(
    partition_read_units=1e9,
    partition_write_units=1e9,
    on_demand_read_units=1e9,
    on_demand_write_units=1e9,
    quota_read_units=1e9,
    quota_write_units=1e9,
)


def generated(keys: dict[str, Any] = COMPOSITE, /, **generate: Any) -> Direct:
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    table = {"TableName": "big", **keys, "StreamSpecification": stream, "Generate": generate}
    return direct(table, settings=PLENTY)


def test_given_items_are_there_and_left_no_trace() -> None:
    """Items of the file take no capacity and no stream record; counts and indexes hold them."""
    table = {
        "TableName": "orders",
        **with_types(COMPOSITE, day="S"),
        "GlobalSecondaryIndexes": [index("by-day", "day")],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        "Items": [{"pk": {"S": "a"}, "sk": {"N": str(n)}, "day": {"S": "d"}} for n in range(10)],
    }
    db = direct(table)
    shown = db("DescribeTable", TableName="orders")["Table"]
    assert shown["ItemCount"] == shown["GlobalSecondaryIndexes"][0]["ItemCount"] == 10
    assert db.records("orders") == []
    assert len(db.items("Scan", TableName="orders", IndexName="by-day")) == 10


def test_generated_items_have_size_attributes_and_order() -> None:
    """As many items as asked for, to the byte; found by key, by Query in order, and by Scan in segments."""
    db = generated(
        Count=500, HashKeys=20, HashPrefix="user-", ItemBytes=300, Attributes={"revision": {"N": "7"}}
    )
    shown = db("DescribeTable", TableName="big")["Table"]
    assert (shown["ItemCount"], shown["TableSizeBytes"]) == (500, 150_000)
    items = [
        item
        for segment in range(7)
        for item in db.items("Scan", TableName="big", Segment=segment, TotalSegments=7)
    ]
    assert len({(item["pk"]["S"], item["sk"]["N"]) for item in items}) == len(items) == 500
    assert {item_size(item) for item in items} == {300}
    assert {item["revision"]["N"] for item in items} == {"7"}
    request = {"KeyConditionExpression": "pk = :p AND sk >= :n", "ScanIndexForward": False, "Limit": 3}
    values = {":p": {"S": "user-0000000019"}, ":n": {"N": "20"}}
    queried = db.items("Query", TableName="big", ExpressionAttributeValues=values, **request)
    assert [item["sk"]["N"] for item in queried] == ["24", "23", "22", "21", "20"]
    key = {name: items[0][name] for name in ("pk", "sk")}
    assert db("GetItem", TableName="big", Key=key)["Item"] == items[0]
    again = generated(
        Count=500, HashKeys=20, HashPrefix="user-", ItemBytes=300, Attributes={"revision": {"N": "7"}}
    )
    assert again("GetItem", TableName="big", Key=key)["Item"] == items[0]


def test_generated_items_can_be_changed_removed_and_joined_by_others() -> None:
    """Touches, removals, insertions of new and of removed keys: Scan, counts and stream agree throughout."""
    db = generated(schema(pk="S"), Count=200, HashPrefix="k", ItemBytes=100)
    names = [item["pk"]["S"] for item in db.items("Scan", TableName="big")]
    for name in names[:50]:
        db(
            "ExecuteStatement",
            Statement="UPDATE big SET revision = 1 WHERE pk = ? AND revision IS MISSING",
            Parameters=[{"S": name}],
        )
    for name in names[50:60]:
        db("DeleteItem", TableName="big", Key={"pk": {"S": name}})
    db("PutItem", TableName="big", Item={"pk": {"S": names[50]}, "back": {"BOOL": True}})
    db("PutItem", TableName="big", Item={"pk": {"S": "new"}, "payload": {"S": "other"}})
    found = {item["pk"]["S"]: item for item in db.items("Scan", TableName="big")}
    assert len(found) == 192
    assert all(found[name]["revision"] == {"N": "1"} for name in names[:50])
    assert found[names[50]] == {"pk": {"S": names[50]}, "back": {"BOOL": True}}
    shown = db("DescribeTable", TableName="big")["Table"]
    assert (shown["ItemCount"], shown["TableSizeBytes"]) == (192, sum(map(item_size, found.values())))
    records = db.records("big")
    assert Counter(record["eventName"] for record in records) == {"MODIFY": 50, "REMOVE": 10, "INSERT": 2}
    for record in records:
        change = record["dynamodb"]
        if record["eventName"] == "MODIFY":
            old, new = change["OldImage"], change["NewImage"]
            assert new == {**old, "revision": {"N": "1"}}
            assert change["SizeBytes"] == item_size(change["Keys"]) + item_size(old) + item_size(new)


def test_skew_spreads_items_over_hash_keys() -> None:
    """Uniform, one hot key, Zipf: as many items for each hash key as the law says."""

    def counts(**generate: Any) -> list[int]:
        db = generated(Count=3000, HashKeys=30, **generate)
        found = Counter(
            item["pk"]["S"] for item in db.items("Scan", TableName="big", ProjectionExpression="pk")
        )
        return sorted(found.values(), reverse=True)

    assert counts() == [100] * 30
    hot, *others = counts(Skew={"HotKey": 0.3})
    assert hot == 900
    assert set(others) == {72, 73}
    assert counts(Skew={"HotKey": [0.3, 0.1]})[:2] == [900, 300]
    ranked = counts(Skew={"Zipf": 1.0})
    assert sum(ranked) == 3000
    assert ranked[0] / ranked[9] == pytest.approx(7.6, rel=0.15)


def test_sizes_follow_their_distribution() -> None:
    """Uniform and lognormal sizes have the mean and median that were asked for; the total is exact."""
    even = generated(Count=4096, ItemBytes={"Uniform": [100, 900]})
    sizes = [item_size(item) for item in even.items("Scan", TableName="big")]
    assert sum(sizes) == even("DescribeTable", TableName="big")["Table"]["TableSizeBytes"]
    assert sum(sizes) / 4096 == pytest.approx(500, abs=2)
    assert (min(sizes), max(sizes)) == (100, 900)
    skewed = generated(Count=1024, ItemBytes={"Lognormal": [1000, 0.5]})
    sizes = sorted(item_size(item) for item in skewed.items("Scan", TableName="big"))
    assert sizes[512] == pytest.approx(1000, rel=0.01)
    assert sizes[861] == pytest.approx(1000 * 2.718281828**0.5, rel=0.03)


def test_indexes_of_generated_tables_hold_their_entries() -> None:
    """A global index over a fixed attribute holds every generated item and follows changes."""
    table = {
        "TableName": "big",
        **with_types(COMPOSITE, day="S"),
        "GlobalSecondaryIndexes": [index("by-day", "day", projection="KEYS_ONLY")],
        "Generate": {"Count": 100, "HashKeys": 10, "Attributes": {"day": {"S": "d"}}},
    }
    db = direct(table, settings=PLENTY)
    assert len(db.items("Scan", TableName="big", IndexName="by-day")) == 100
    key = {"pk": {"S": "0000000003"}, "sk": {"N": "4"}}
    db(
        "UpdateItem",
        TableName="big",
        Key=key,
        UpdateExpression="REMOVE #d",
        ExpressionAttributeNames={"#d": "day"},
    )
    assert len(db.items("Scan", TableName="big", IndexName="by-day")) == 99


def test_size_decides_on_partitions() -> None:
    """A generated table of 50 GB starts with as many partitions as 50 GB take."""
    db = generated(schema(pk="S"), Count=500_000, ItemBytes=100_000)
    assert len(db.database.tables["big"].capacity.partitions()) >= 5


BASE: dict[str, Any] = {"TableName": "orders", **COMPOSITE, "BillingMode": "PAY_PER_REQUEST"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({**BASE, "TableName": "x"}, "table x: Invalid table/index name."),
        ({"KeySchema": []}, "table number 1: "),
        (
            {**BASE, "Items": [{"pk": {"S": "a"}}]},
            "table orders: One or more parameter values were invalid: Missing",
        ),
        (
            {**BASE, "Items": [{"pk": {"S": "a"}, "sk": {"N": "1"}}, {"pk": {"S": "a"}, "sk": {"N": "1.0"}}]},
            "table orders: Items holds the key .* twice",
        ),
        (
            {**BASE, "Items": [], "Generate": {"Count": 1}},
            "table orders: has both Items and Generate; choose one",
        ),
        ({**BASE, "Generate": {}}, "table orders: 1 validation error detected: Value null at 'count'"),
        (
            {**BASE, "Generate": {"Count": 1, "Cuont": 2}},
            "table orders: Generate has the unknown member Cuont",
        ),
        ({**BASE, "Generate": {"Count": 0}}, "table orders: .* 'count' .* greater than or equal to 1"),
        (
            {**BASE, "Generate": {"Count": 5, "HashKeys": 6}},
            "table orders: Generate: 6 HashKeys are more than 5 items",
        ),
        (
            {**BASE, **schema(pk="S"), "Generate": {"Count": 5, "HashKeys": 2}},
            "table orders: Generate: HashKeys and Skew need a table with a sort key",
        ),
        (
            {**BASE, "Generate": {"Count": 5, "Skew": "much"}},
            "table orders: Generate.Skew is not understood; write",
        ),
        (
            {**BASE, "Generate": {"Count": 5, "Skew": {"HotKey": 2}}},
            "table orders: Generate.Skew: Zipf takes",
        ),
        (
            {**BASE, "Generate": {"Count": 5, "Skew": {"HotKey": [0.5, 0.5]}}},
            "table orders: Generate.Skew: Zipf takes",
        ),
        (
            {**BASE, "Generate": {"Count": 5, "HashKeys": 2, "Skew": {"HotKey": [0.1, 0.1]}}},
            "table orders: Generate.Skew: Zipf takes",
        ),
        (
            {**BASE, "Generate": {"Count": 5, "ItemBytes": 20}},
            "table orders: Generate.ItemBytes: items need at least",
        ),
        (
            {**BASE, "Generate": {"Count": 5, "ItemBytes": 500_000}},
            "table orders: Generate.ItemBytes: sizes must lie between 1 and 409600",
        ),
        (
            {**BASE, "Generate": {"Count": 5, "ItemBytes": {"Normal": [1, 2]}}},
            "table orders: Generate.ItemBytes: Normal .* is not understood",
        ),
        (
            {**BASE, "Generate": {"Count": 5, "Attributes": {"pk": {"S": "x"}}}},
            "table orders: Generate.Attributes must not hold pk, which is generated",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(table: dict[str, Any], message: str) -> None:
    """Each mistake names its table and what is wrong with it."""
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        load_tables(Database(), [table])
    assert "\n" not in str(caught.value)


def test_a_scan_of_a_generated_table_continues_anywhere() -> None:
    """Pages of one item, forwards through a hot key: every start key leads to the next item."""
    db = generated(Count=60, HashKeys=3, Skew={"HotKey": 0.8})
    pages = list(itertools.islice(db.pages("Scan", TableName="big", Limit=1), 100))
    found = [(item["pk"]["S"], item["sk"]["N"]) for page in pages for item in page["Items"]]
    assert len(set(found)) == len(found) == 60


def test_the_example_of_the_documentation_starts() -> None:
    """Ten million items, as docs/sandbox.md has them, take a moment and little memory."""
    text = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
    database = Database()
    load_tables(database, orjson.loads(text.partition("```json\n")[2].partition("```")[0]))
    assert len(database.tables["orders"].rows) == 10_000_000


@pytest.mark.parametrize("sort_key", [None, "S"])
def test_a_projected_scan_of_generated_items_is_the_projection_of_a_whole_one(sort_key: str | None) -> None:
    """Leaving the filler out saves work and changes nothing: touched, changed and plain items, filters, capacity."""
    keys = schema(pk="S") if sort_key is None else schema(pk="S", sk=sort_key)
    db = generated(keys, Count=90, HashPrefix="a%d-", ItemBytes=600, Attributes={"kind": {"S": "x"}})
    items = db.items("Scan", TableName="big")
    names = [name for name in items[0] if name in {"pk", "sk"}]
    for at, expression in ((3, "SET revision = :v"), (5, "SET payload = :v"), (7, "REMOVE payload")):
        key = {name: items[at][name] for name in names}
        values = {} if "REMOVE" in expression else {"ExpressionAttributeValues": {":v": {"N": "1"}}}
        db("UpdateItem", TableName="big", Key=key, UpdateExpression=expression, **values)
    whole = db("Scan", TableName="big", ReturnConsumedCapacity="TOTAL")
    for wanted in (["pk", "revision"], ["kind", "payload"], [*names, "kind"]):
        shown = db(
            "Scan",
            TableName="big",
            ProjectionExpression=", ".join(wanted),
            ReturnConsumedCapacity="TOTAL",
        )
        assert shown["Items"] == [{n: item[n] for n in wanted if n in item} for item in whole["Items"]]
        assert shown["ConsumedCapacity"] == whole["ConsumedCapacity"]
    request = {"FilterExpression": "attribute_type(payload, :t)", "ProjectionExpression": "pk, kind"}
    values = {":t": {"S": "S"}}
    filtered = db("Scan", TableName="big", ExpressionAttributeValues=values, **request)
    assert (filtered["Count"], filtered["ScannedCount"]) == (88, 90)
    page = db("Scan", TableName="big", ProjectionExpression="kind", Limit=10)
    rest = db("Scan", TableName="big", ExclusiveStartKey=page["LastEvaluatedKey"])
    assert rest["Items"] == whole["Items"][10:]

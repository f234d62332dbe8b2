"""Scan and Query: coverage, order, pages, indexes, capacity."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.server_support import Direct, Item, client, direct, index, new_name, schema, with_types
from tests.support.examples import examples

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")


def item(number: int) -> Item:
    """Seven hash keys of up to ten items; two of three have a day."""
    made: Item = {
        "pk": {"S": f"k{number % 7}"},
        "sk": {"N": str(number // 7 - 3)},
        "note": {"S": f"n{number}"},
    }
    if number % 3:
        made["day"] = {"S": DAYS[number % 5 % 3]}
    return made


ITEMS = [item(number) for number in range(60)]
ORDERS: dict[str, Any] = {
    "TableName": "orders",
    **with_types(schema(pk="S", sk="N"), day="S"),
    "GlobalSecondaryIndexes": [
        index("by-day", "day", "sk"),
        index("keys", "day", projection="KEYS_ONLY"),
    ],
    "LocalSecondaryIndexes": [index("local", "pk", "day", projection="KEYS_ONLY")],
    "Items": ITEMS,
}


@pytest.fixture(scope="module")
def db() -> Direct:
    """Read by all tests of this module, so it has read capacity for all of them."""
    plenty = {"ReadCapacityUnits": 80_000, "WriteCapacityUnits": 1000}
    indexes = [{**member, "ProvisionedThroughput": plenty} for member in ORDERS["GlobalSecondaryIndexes"]]
    table = {**ORDERS, "BillingMode": "PROVISIONED", "ProvisionedThroughput": plenty}
    return direct({**table, "GlobalSecondaryIndexes": indexes})


def identity(one: Item) -> tuple[str, Decimal]:
    return one["pk"]["S"], Decimal(one["sk"]["N"])


ALL = sorted(map(identity, ITEMS))


@given(total=st.integers(1, 60), limit=st.integers(1, 25), data=st.data())
@examples(15, 300)
def test_segments_cover_every_item_exactly_once(
    db: Direct, total: int, limit: int, data: st.DataObject
) -> None:
    """Whatever the number of segments and the page size, in table and index: nothing missing, nothing twice."""
    name = data.draw(st.sampled_from([None, "by-day", "keys"]))
    extra = {} if name is None else {"IndexName": name}
    found: list[Item] = []
    for segment in range(total):
        request = {"TableName": "orders", "Segment": segment, "TotalSegments": total, "Limit": limit, **extra}
        found += db.items("Scan", **request)
    expected = ALL if name is None else sorted(identity(one) for one in ITEMS if "day" in one)
    assert sorted(map(identity, found)) == expected


def test_a_query_for_one_item_has_one_page() -> None:
    """A table without sort key: no LastEvaluatedKey at the limit, and no start key; its indexes have both."""
    items = [{"pk": {"S": f"k{number}"}, "day": {"S": DAYS[0]}} for number in range(3)]
    table = {"TableName": "single", **with_types(schema(pk="S"), day="S"), "Items": items}
    db = direct({**table, "GlobalSecondaryIndexes": [index("by-day", "day")]})
    values = {":v": {"S": "k1"}}
    request = {
        "TableName": "single",
        "KeyConditionExpression": "pk = :v",
        "ExpressionAttributeValues": values,
    }
    assert "LastEvaluatedKey" not in db("Query", **request, Limit=1)
    for start in ("k1", "k2"):
        kind, message = db.refusal("Query", **request, ExclusiveStartKey={"pk": {"S": start}})
        assert (kind, "at most one row" in message) == ("ValidationException", True)
    day = {"KeyConditionExpression": "#d = :v", "ExpressionAttributeNames": {"#d": "day"}}
    request = {**request, **day, "IndexName": "by-day", "ExpressionAttributeValues": {":v": {"S": DAYS[0]}}}
    assert len(db.items("Query", **request, Limit=1)) == 3


def test_halves_of_a_segment_hold_what_it_holds(db: Direct) -> None:
    """Segments are ranges: segment 1 of 3 is segments 2 and 3 of 6, in the same order."""
    whole = db.items("Scan", TableName="orders", Segment=1, TotalSegments=3)
    halves = [
        one
        for segment in (2, 3)
        for one in db.items("Scan", TableName="orders", Segment=segment, TotalSegments=6)
    ]
    assert whole == halves


@given(
    operator=st.sampled_from(["=", "<", "<=", ">", ">=", "BETWEEN", None]),
    low=st.integers(-5, 8),
    width=st.integers(0, 5),
    limit=st.integers(1, 12),
    forward=st.booleans(),
    hash_key=st.integers(0, 7),
)
@examples(25, 500)
def test_query_finds_what_its_condition_says(
    db: Direct, operator: str | None, low: int, width: int, limit: int, *, forward: bool, hash_key: int
) -> None:
    """Every operator on the sort key, both directions, in pages: as a sorted list filtered in Python has it."""
    values: dict[str, Any] = {":p": {"S": f"k{hash_key}"}}
    condition = "pk = :p"
    tests = {"=": "__eq__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}
    if operator == "BETWEEN":
        condition += " AND sk BETWEEN :a AND :b"
        values |= {":a": {"N": str(low)}, ":b": {"N": str(low + width)}}
    elif operator:
        condition += f" AND sk {operator} :a"
        values[":a"] = {"N": str(low)}
    expected = []
    for one in ITEMS:
        number = int(one["sk"]["N"])
        if one["pk"]["S"] != f"k{hash_key}":
            continue
        if operator == "BETWEEN" and not low <= number <= low + width:
            continue
        if operator in tests and not getattr(number, tests[operator])(low):
            continue
        expected.append(one)
    expected.sort(key=identity, reverse=not forward)
    found = db.items(
        "Query",
        TableName="orders",
        KeyConditionExpression=condition,
        ExpressionAttributeValues=values,
        ScanIndexForward=forward,
        Limit=limit,
    )
    assert found == expected


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_query_of_a_global_index_pages_through_equal_keys(db: Direct, forward: bool, limit: int) -> None:
    """Index keys are not unique: the start key holds index and table keys, and no entry is lost or repeated."""
    pages = list(
        db.pages(
            "Query",
            TableName="orders",
            IndexName="keys",
            KeyConditionExpression="#d = :d",
            ExpressionAttributeNames={"#d": "day"},
            ExpressionAttributeValues={":d": {"S": DAYS[1]}},
            ScanIndexForward=forward,
            Limit=limit,
        )
    )
    found = [one for page in pages for one in page["Items"]]
    expected = [one for one in ITEMS if one.get("day") == {"S": DAYS[1]}]
    assert sorted(map(identity, found)) == sorted(map(identity, expected))
    assert all(one.keys() == {"pk", "sk", "day"} for one in found)
    assert all(page.get("LastEvaluatedKey", found[0]).keys() == {"pk", "sk", "day"} for page in pages)


def test_local_index_sorts_by_its_key_and_fetches_what_it_lacks(db: Direct) -> None:
    """A local index orders one hash key by another attribute; attributes that it lacks cost a read of each item."""
    request = {
        "TableName": "orders",
        "IndexName": "local",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "k2"}},
        "ReturnConsumedCapacity": "INDEXES",
    }
    (page,) = db.pages("Query", **request)
    assert [one["day"]["S"] for one in page["Items"]] == sorted(
        one["day"]["S"] for one in ITEMS if one["pk"] == {"S": "k2"} and "day" in one
    )
    assert page["ConsumedCapacity"]["Table"]["CapacityUnits"] == 0
    assert page["ConsumedCapacity"]["LocalSecondaryIndexes"] == {"local": {"CapacityUnits": 0.5}}
    (whole,) = db.pages("Query", Select="ALL_ATTRIBUTES", **request)
    assert [one["note"] for one in whole["Items"]] == [
        next(i["note"] for i in ITEMS if identity(i) == identity(one)) for one in page["Items"]
    ]
    assert whole["ConsumedCapacity"]["Table"]["CapacityUnits"] == len(page["Items"]) * 0.5


def test_begins_with_ends_where_the_prefix_ends() -> None:
    """A prefix matches what begins with it and nothing else, up to the last character there is."""
    suffixes = ["", "a", "\U0010ffff", "\U0010ffff\U0010ffffz"]
    prefix = "p\ud7ff".encode("utf-16", "surrogatepass").decode("utf-16")
    names = [prefix + suffix for suffix in suffixes]
    others = ["p", "p\ue000", "q", "p\ud7fe", "\U0010ffff"]
    items = [{"pk": {"S": "k"}, "sk": {"S": name}} for name in (*names, *others)]
    db = direct({"TableName": "texts", **schema(pk="S", sk="S"), "Items": items})
    request = {"TableName": "texts", "KeyConditionExpression": "pk = :p AND begins_with(sk, :s)"}
    values = {":p": {"S": "k"}, ":s": {"S": prefix}}
    found = db.items("Query", ExpressionAttributeValues=values, **request)
    assert [one["sk"]["S"] for one in found] == sorted(names)
    values = {":p": {"S": "k"}, ":s": {"S": "\U0010ffff"}}
    assert len(db.items("Query", ExpressionAttributeValues=values, ScanIndexForward=False, **request)) == 1


def test_a_page_ends_at_one_megabyte_of_stored_size_before_filter_and_projection() -> None:
    """Neither filter nor projection makes a page longer, and a full page costs 128 units, 256 if consistent."""
    big = [{"pk": {"S": f"{n:04d}"}, "x": {"S": "x" * 4087}} for n in range(300)]
    db = direct({"TableName": "big", **schema(pk="S"), "Items": big}, partitions=1)
    request = {
        "TableName": "big",
        "FilterExpression": "attribute_not_exists(x)",
        "ProjectionExpression": "pk",
        "ReturnConsumedCapacity": "TOTAL",
    }
    first, second = db.pages("Scan", **request)
    assert (first["Count"], first["ScannedCount"]) == (0, 256)
    assert first["ConsumedCapacity"]["CapacityUnits"] == 128
    assert first["LastEvaluatedKey"].keys() == {"pk"}
    assert (second["ScannedCount"], second["ConsumedCapacity"]["CapacityUnits"]) == (44, 22)
    db.clock.advance(10)
    consistent = next(db.pages("Scan", ConsistentRead=True, **request))
    assert consistent["ConsumedCapacity"]["CapacityUnits"] == 256


def test_a_limit_equal_to_what_is_left_still_gives_a_key(db: Direct) -> None:
    """LastEvaluatedKey after the last item is normal; the page that follows is empty and has none."""
    page = db("Scan", TableName="orders", Limit=60)
    assert page["Count"] == 60
    assert db("Scan", TableName="orders", ExclusiveStartKey=page["LastEvaluatedKey"]) == {
        "Items": [],
        "Count": 0,
        "ScannedCount": 0,
    }
    assert "LastEvaluatedKey" not in db("Scan", TableName="orders", Limit=61)


def test_scan_pays_for_every_partition_it_touches() -> None:
    """An empty segment costs a unit for each partition that it lies in, half of that if eventually consistent."""
    db = direct({"TableName": "empty", **schema(pk="S")}, partitions=4)

    def cost(segment: int, total: int, *, consistent: bool = False) -> float:
        page = db(
            "Scan",
            TableName="empty",
            Segment=segment,
            TotalSegments=total,
            ConsistentRead=consistent,
            ReturnConsumedCapacity="TOTAL",
        )
        return float(page["ConsumedCapacity"]["CapacityUnits"])

    assert cost(0, 1) == 2.0
    assert cost(0, 1, consistent=True) == 4.0
    assert [cost(segment, 8) for segment in range(8)] == [0.5] * 8
    assert [cost(segment, 3) for segment in range(3)] == [1.0, 1.0, 1.0]


def test_a_start_key_that_need_not_exist_continues_after_its_place(db: Direct) -> None:
    """Resuming works from the key of an item that was deleted in the meantime."""
    everything = db.items("Scan", TableName="orders")
    start = {"pk": everything[0]["pk"], "sk": {"N": "-3.5"}}
    rest = db.items("Scan", TableName="orders", ExclusiveStartKey=start)
    assert rest == everything[next(n for n, one in enumerate(everything) if one["pk"] == start["pk"]) :]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"Segment": 4, "TotalSegments": 4},
            (
                "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
                "Segment: 4 is not less than TotalSegments: 4"
            ),
        ),
        (
            {"Segment": 0},
            (
                "The TotalSegments parameter is required but was not present in the request "
                "when Segment parameter is present"
            ),
        ),
        (
            {"TotalSegments": 2},
            (
                "The Segment parameter is required but was not present in the request "
                "when parameter TotalSegments is present"
            ),
        ),
        (
            {"Limit": 0},
            (
                "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: "
                "Member must have value greater than or equal to 1"
            ),
        ),
        ({"IndexName": "by-name"}, "The table does not have the specified index: by-name"),
        (
            {"IndexName": "keys", "ConsistentRead": True},
            "Consistent reads are not supported on global secondary indexes",
        ),
        (
            {"IndexName": "keys", "ProjectionExpression": "note"},
            "One or more parameter values were invalid: Global secondary index keys does not project [note]",
        ),
        (
            {
                "IndexName": "local",
                "FilterExpression": "note = :n",
                "ExpressionAttributeValues": {":n": {"S": "n"}},
            },
            (
                "One or more parameter values were invalid: "
                "Secondary index local does not project one or more filter attributes: [note]"
            ),
        ),
        (
            {"ExclusiveStartKey": {"pk": {"S": "k1"}}},
            "The provided starting key is invalid: The provided key element does not match the schema",
        ),
        (
            {"IndexName": "keys", "ExclusiveStartKey": {"pk": {"S": "k1"}, "sk": {"N": "1"}}},
            "The provided starting key is invalid",
        ),
    ],
)
def test_scans_that_are_refused(db: Direct, request_: dict[str, Any], message: str) -> None:
    """Parameters are checked together, in the service's words."""
    assert db.refusal("Scan", TableName="orders", **request_) == ("ValidationException", message)


def test_a_start_key_of_another_segment_is_refused(db: Direct) -> None:
    """A key outside of the segment is an error; one that happens to lie inside is silently accepted."""
    key = db("Scan", TableName="orders", Limit=1)["LastEvaluatedKey"]
    outcomes = []
    for segment in range(4):
        request = {"TableName": "orders", "Segment": segment, "TotalSegments": 4, "ExclusiveStartKey": key}
        try:
            db("Scan", **request)
            outcomes.append("")
        except Exception as error:  # noqa: BLE001 - the message is what is judged
            outcomes.append(str(error))
    assert outcomes[0] == ""
    assert outcomes[3] == (
        "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with "
        "correct Segment. TotalSegments: 4 Segment: 3"
    )


def test_queries_that_are_refused(db: Direct) -> None:
    """Key conditions, start keys and filters that do not go with the key."""
    values = {":p": {"S": "k1"}}
    request = {
        "TableName": "orders",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": values,
    }
    elsewhere = {"pk": {"S": "k2"}, "sk": {"N": "1"}}
    assert db.refusal("Query", ExclusiveStartKey=elsewhere, **request)[1] == (
        "The provided starting key is outside query boundaries based on provided conditions"
    )
    assert db.refusal("Query", FilterExpression="sk > :p", **request)[1] == (
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"
    )
    assert db.refusal("Query", TableName="orders")[1] == (
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
    )


def test_boto3_paginators_read_everything(sandbox_url: str) -> None:
    """The paginators of a plain client see every item of a table that takes several pages."""
    dynamodb = client(sandbox_url, retries={"mode": "standard", "max_attempts": 10})
    name = new_name()
    throughput = {"ReadCapacityUnits": 4000, "WriteCapacityUnits": 8000}
    dynamodb.create_table(TableName=name, **schema(pk="S", sk="N"), ProvisionedThroughput=throughput)
    for number in range(48):
        key = {"pk": {"S": "one"}, "sk": {"N": str(number)}}
        dynamodb.put_item(TableName=name, Item={**key, "x": {"S": "x" * 90_000}})
    scanned = list(dynamodb.get_paginator("scan").paginate(TableName=name))
    assert len(scanned) > 4
    assert sum(page["Count"] for page in scanned) == 48
    queried = dynamodb.get_paginator("query").paginate(
        TableName=name,
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "one"}},
        ProjectionExpression="sk",
    )
    numbers = [int(one["sk"]["N"]) for page in queried for one in page["Items"]]
    assert numbers == list(range(48))

"""PutItem, GetItem, UpdateItem, DeleteItem: through plain boto3, as DynamoDB answers them."""

from typing import Any

import pytest

from tests.sandbox.server_support import Direct, client, direct, index, new_name, refusal, schema, with_types

KEY = {"pk": {"S": "a"}, "sk": {"N": "1"}}


@pytest.fixture
def db() -> Direct:
    """A table with a sort key, a GSI and an LSI, and one without."""
    composite = with_types(schema(pk="S", sk="N"), day="S")
    return direct(
        {
            "TableName": "orders",
            **composite,
            "GlobalSecondaryIndexes": [index("by-day", "day", "sk", projection="INCLUDE", include=("note",))],
            "LocalSecondaryIndexes": [index("by-pk-day", "pk", "day", projection="KEYS_ONLY")],
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        },
        {"TableName": "plain", **schema(id="B")},
    )


def test_boto3_round_trip_of_every_type(sandbox_url: str) -> None:
    """What boto3 puts it gets back, and numbers come in DynamoDB's canonical text."""
    dynamodb = client(sandbox_url)
    name = new_name()
    dynamodb.create_table(TableName=name, **schema(pk="B", sk="N"), BillingMode="PAY_PER_REQUEST")
    item: dict[str, Any] = {
        "pk": {"B": bytes(range(256))},
        "sk": {"N": "1E+20"},
        "s": {"S": "h\u00e9 \U0001f600"},
        "ns": {"NS": ["3", "1", "2.50"]},
        "bs": {"BS": [b"\xff", b"\x00"]},
        "m": {"M": {"l": {"L": [{"NULL": True}, {"BOOL": False}]}}},
    }
    assert "Attributes" not in dynamodb.put_item(TableName=name, Item=item)
    key = {"pk": item["pk"], "sk": {"N": "100000000000000000000"}}
    found = dynamodb.get_item(TableName=name, Key=key, ConsistentRead=True)["Item"]
    assert found == {
        **item,
        "sk": key["sk"],
        "ns": {"NS": ["1", "2.5", "3"]},
        "bs": {"BS": [b"\x00", b"\xff"]},
    }
    assert "Item" not in dynamodb.get_item(TableName=name, Key={"pk": {"B": b"x"}, "sk": {"N": "0"}})


def test_conditions_return_the_old_item_when_asked(sandbox_url: str) -> None:
    """ReturnValuesOnConditionCheckFailure puts the stored item into the exception, where boto3 shows it."""
    dynamodb = client(sandbox_url)
    name = new_name()
    dynamodb.create_table(TableName=name, **schema(pk="S"), BillingMode="PAY_PER_REQUEST")
    dynamodb.put_item(TableName=name, Item={"pk": {"S": "a"}, "revision": {"N": "7"}})
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as caught:
        dynamodb.update_item(
            TableName=name,
            Key={"pk": {"S": "a"}},
            UpdateExpression="SET revision = :new",
            ConditionExpression="revision = :old",
            ExpressionAttributeValues={":new": {"N": "9"}, ":old": {"N": "8"}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert caught.value.response["Item"] == {"pk": {"S": "a"}, "revision": {"N": "7"}}
    assert refusal(lambda: dynamodb.get_item(TableName="no-such-table", Key={"pk": {"S": "a"}})) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )


def test_return_values_of_put_and_delete(db: Direct) -> None:
    """ALL_OLD gives what was there; other values are refused."""
    old = {**KEY, "note": {"S": "old"}}
    assert db("PutItem", TableName="orders", Item=old, ReturnValues="ALL_OLD") == {}
    new = {**KEY, "note": {"S": "new"}}
    assert db("PutItem", TableName="orders", Item=new, ReturnValues="ALL_OLD") == {"Attributes": old}
    assert db("DeleteItem", TableName="orders", Key=KEY, ReturnValues="ALL_OLD") == {"Attributes": new}
    assert db("DeleteItem", TableName="orders", Key=KEY, ReturnValues="ALL_OLD") == {}
    for operation, member in (("PutItem", {"Item": KEY}), ("DeleteItem", {"Key": KEY})):
        assert db.refusal(operation, TableName="orders", ReturnValues="ALL_NEW", **member) == (
            "ValidationException",
            "ReturnValues can only be ALL_OLD or NONE",
        )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("NONE", None),
        ("ALL_OLD", {**KEY, "a": {"N": "1"}, "b": {"S": "x"}}),
        ("ALL_NEW", {**KEY, "a": {"N": "2"}}),
        ("UPDATED_OLD", {"a": {"N": "1"}, "b": {"S": "x"}}),
        ("UPDATED_NEW", {"a": {"N": "2"}}),
    ],
)
def test_return_values_of_update(db: Direct, wanted: str, expected: dict[str, Any] | None) -> None:
    """Each value of ReturnValues gives what the API Reference says."""
    db("PutItem", TableName="orders", Item={**KEY, "a": {"N": "1"}, "b": {"S": "x"}})
    response = db(
        "UpdateItem",
        TableName="orders",
        Key=KEY,
        UpdateExpression="ADD a :one REMOVE b",
        ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues=wanted,
    )
    assert response.get("Attributes") == expected


def test_update_creates_an_item_unless_its_condition_forbids(db: Direct) -> None:
    """UpdateItem upserts; attribute_exists on the key prevents it."""
    update = {"UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"S": "x"}}}
    condition = "attribute_exists(pk)"
    failure = db.refusal("UpdateItem", TableName="orders", Key=KEY, ConditionExpression=condition, **update)
    assert failure == ("ConditionalCheckFailedException", "The conditional request failed")
    assert db("GetItem", TableName="orders", Key=KEY) == {}
    db("UpdateItem", TableName="orders", Key=KEY, **update)
    assert db("GetItem", TableName="orders", Key=KEY)["Item"] == {**KEY, "a": {"S": "x"}}
    db("UpdateItem", TableName="orders", Key={**KEY, "sk": {"N": "2"}})
    assert db("GetItem", TableName="orders", Key={**KEY, "sk": {"N": "2.0"}})["Item"]["sk"] == {"N": "2"}


def units(response: dict[str, Any]) -> dict[str, Any]:
    """ConsumedCapacity as {resource: units}."""
    consumed = response["ConsumedCapacity"]
    shown = {"total": consumed["CapacityUnits"]}
    if "Table" in consumed:
        shown["table"] = consumed["Table"]["CapacityUnits"]
    for member in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        shown |= {name: units["CapacityUnits"] for name, units in consumed.get(member, {}).items()}
    return shown


TAKING_AWAY = [
    "REMOVE a",
    "REMOVE a, b.c",
    "REMOVE x.y",
    "REMOVE x[0]",
    "DELETE s :s",
    "REMOVE a DELETE s :s",
]


@pytest.mark.parametrize("text", TAKING_AWAY)
@pytest.mark.parametrize("condition", [None, "attribute_not_exists(pk)"])
def test_taking_away_from_an_absent_item_does_nothing(db: Direct, text: str, condition: str | None) -> None:
    """No item, no record, whatever the path; one unit. A condition is looked at, and a path is if there is an item."""
    values = {"ExpressionAttributeValues": {":s": {"SS": ["x"]}}} if ":s" in text else {}
    request: dict[str, Any] = {"TableName": "orders", "Key": {"pk": {"S": "absent"}, "sk": {"N": "1"}}}
    before = len(db.records("orders"))
    conditional = {} if condition is None else {"ConditionExpression": condition}
    for returned in ("ALL_NEW", "UPDATED_NEW", "ALL_OLD", "UPDATED_OLD", "NONE"):
        response = db(
            "UpdateItem",
            **request,
            **conditional,
            **values,
            UpdateExpression=text,
            ReturnValues=returned,
            ReturnConsumedCapacity="TOTAL",
        )
        assert response == {"ConsumedCapacity": {"TableName": "orders", "CapacityUnits": 1.0}}
    exists = {"ConditionExpression": "attribute_exists(pk)"}
    assert db.refusal("UpdateItem", **request, **exists, **values, UpdateExpression=text)[0] == (
        "ConditionalCheckFailedException"
    )
    assert db("GetItem", **request) == {}
    assert len(db.records("orders")) == before
    if text.startswith("REMOVE x"):
        db("PutItem", TableName="orders", Item={**request["Key"], "a": {"S": "1"}})
        kind, message = db.refusal("UpdateItem", **request, UpdateExpression=text)
        assert (kind, "document path" in message) == ("ValidationException", True)


def test_everything_else_creates_an_absent_item(db: Direct) -> None:
    """Also an update without expression, and one that takes away and sets."""
    one = {":n": {"N": "1"}}
    for number, expression in enumerate([None, "ADD n :n", "REMOVE a SET n = :n"]):
        key = {"pk": {"S": "made"}, "sk": {"N": str(number)}}
        more = (
            {} if expression is None else {"UpdateExpression": expression, "ExpressionAttributeValues": one}
        )
        response = db("UpdateItem", TableName="orders", Key=key, ReturnValues="ALL_NEW", **more)
        assert response["Attributes"] == (key if expression is None else {**key, "n": one[":n"]})


def test_item_collection_metrics(db: Direct) -> None:
    """Of a table with a local index: the hash key and a size between two bounds; of others: nothing."""
    asked = {"ReturnItemCollectionMetrics": "SIZE"}
    key = {"pk": {"S": "collected"}, "sk": {"N": "1"}}
    expected = {"ItemCollectionKey": {"pk": {"S": "collected"}}, "SizeEstimateRangeGB": [0.0, 1.0]}
    put = db("PutItem", TableName="orders", Item=key, **asked)
    update = db("UpdateItem", TableName="orders", Key=key, **asked)
    delete = db("DeleteItem", TableName="orders", Key=key, **asked)
    assert [answer["ItemCollectionMetrics"] for answer in (put, update, delete)] == [expected] * 3
    second = {**key, "sk": {"N": "2"}}
    batch = {"orders": [{"PutRequest": {"Item": key}}, {"DeleteRequest": {"Key": second}}]}
    answer = db("BatchWriteItem", RequestItems=batch, **asked)
    assert answer["ItemCollectionMetrics"] == {"orders": [expected]}
    assert "ItemCollectionMetrics" not in db("PutItem", TableName="orders", Item=key)
    plain = direct({"TableName": "plain", **schema(pk="S")})
    item = {"pk": {"S": "1"}}
    assert plain("PutItem", TableName="plain", Item=item, **asked) == {}
    batch = {"plain": [{"PutRequest": {"Item": item}}]}
    assert plain("BatchWriteItem", RequestItems=batch, **asked) == {"UnprocessedItems": {}}


@pytest.mark.parametrize("name", ["x" * 65_536, "é" * 32_768, "x" * 100_000])
def test_attribute_names_are_bounded(db: Direct, name: str) -> None:
    """At every level, in items and in values of expressions; 65,535 bytes are taken."""
    key = {"pk": {"S": "names"}, "sk": {"N": "1"}}
    deep = {"M": {"deep": {"L": [{"M": {name: {"S": "x"}}}]}}}
    for more in ({name: {"S": "x"}}, {"a": deep}):
        kind, message = db.refusal("PutItem", TableName="orders", Item={**key, **more})
        assert (kind, "less than 65536 bytes" in message) == ("ValidationException", True)
    update = {"UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": deep}}
    assert db.refusal("UpdateItem", TableName="orders", Key=key, **update)[0] == "ValidationException"
    db("PutItem", TableName="orders", Item={**key, "x" * 65_535: {"S": "x"}})


def test_consumed_capacity_of_writes_by_arm(db: Direct) -> None:
    """Each row of the index table: put, unchanged, content, moved, gone; and the larger of before and after."""

    def put(**attributes: dict[str, str]) -> dict[str, Any]:
        item = {**KEY, **attributes}
        return units(db("PutItem", TableName="orders", Item=item, ReturnConsumedCapacity="INDEXES"))

    day = {"S": "2026-01-01"}
    assert put() == {"total": 1, "table": 1}
    assert put(day=day, note={"S": "n" * 2000}) == {"total": 5, "table": 2, "by-day": 2, "by-pk-day": 1}
    assert put(day=day, note={"S": "n" * 2000}) == {"total": 2, "table": 2}
    assert put(day=day, note={"S": "n"}) == {"total": 4, "table": 2, "by-day": 2}
    assert put(day=day, note={"S": "n"}, other={"S": "o"}) == {"total": 1, "table": 1}
    moved = put(day={"S": "2026-01-02"}, note={"S": "n"})
    assert moved == {"total": 5, "table": 1, "by-day": 2, "by-pk-day": 2}
    assert put(note={"S": "n" * 4000}) == {"total": 6, "table": 4, "by-day": 1, "by-pk-day": 1}
    deleted = db("DeleteItem", TableName="orders", Key=KEY, ReturnConsumedCapacity="INDEXES")
    assert units(deleted) == {"total": 4, "table": 4}
    absent = db("DeleteItem", TableName="orders", Key=KEY, ReturnConsumedCapacity="TOTAL")
    assert units(absent) == {"total": 1}


def test_consumed_capacity_of_reads(db: Direct) -> None:
    """4 KB blocks, half price if eventually consistent, and a block for nothing."""
    db("PutItem", TableName="orders", Item={**KEY, "note": {"S": "n" * 5000}})
    request = {"TableName": "orders", "ReturnConsumedCapacity": "INDEXES"}
    assert units(db("GetItem", Key=KEY, ConsistentRead=True, **request)) == {"total": 2, "table": 2}
    assert units(db("GetItem", Key=KEY, **request)) == {"total": 1, "table": 1}
    absent = {**KEY, "sk": {"N": "5"}}
    assert units(db("GetItem", Key=absent, ConsistentRead=True, **request)) == {"total": 1, "table": 1}


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"pk": {"S": "a"}}, "One or more parameter values were invalid: Missing the key sk in the item"),
        (
            {"pk": {"N": "1"}, "sk": {"N": "1"}},
            "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N",
        ),
        (
            {"pk": {"S": ""}, "sk": {"N": "1"}},
            (
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain "
                "an empty string value. Key: pk"
            ),
        ),
        (
            {"pk": {"S": "x" * 2049}, "sk": {"N": "1"}},
            (
                "One or more parameter values were invalid: "
                "Size of hashkey has exceeded the maximum size limit of2048 bytes"
            ),
        ),
        (
            {**KEY, "day": {"N": "1"}},
            (
                "One or more parameter values were invalid: Type mismatch for Index Key day Expected: S Actual: N "
                "IndexName: by-pk-day"
            ),
        ),
        (
            {**KEY, "day": {"S": ""}},
            (
                "One or more parameter values are not valid. "
                "A value specified for a secondary index key is not supported. "
                "The AttributeValue for a key attribute cannot contain an empty string value. "
                "IndexName: by-pk-day, IndexKey: day"
            ),
        ),
        ({**KEY, "note": {"S": "x" * 409_600}}, "Item size has exceeded the maximum allowed size"),
        (
            {**KEY, "note": {}},
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
    ],
)
def test_items_that_cannot_be_stored(db: Direct, item: dict[str, Any], message: str) -> None:
    """Keys, index keys, sizes and values are checked, in the service's words, and nothing is stored."""
    assert db.refusal("PutItem", TableName="orders", Item=item) == ("ValidationException", message)
    assert db("Scan", TableName="orders")["Count"] == 0


@pytest.mark.parametrize("key", [{"pk": {"S": "a"}}, {**KEY, "x": {"S": "1"}}, {**KEY, "sk": {"S": "1"}}])
def test_keys_that_do_not_fit_the_schema(db: Direct, key: dict[str, Any]) -> None:
    """Too few, too many and wrongly typed key attributes are refused by every operation that takes a key."""
    for operation in ("GetItem", "DeleteItem", "UpdateItem"):
        assert db.refusal(operation, TableName="orders", Key=key) == (
            "ValidationException",
            "The provided key element does not match the schema",
        )


def test_update_of_index_keys_is_checked(db: Direct) -> None:
    """An update may neither empty an index key nor change its type, though the attribute is no key of the table."""
    update = {"TableName": "orders", "Key": KEY, "UpdateExpression": "SET #d = :d"}
    update["ExpressionAttributeNames"] = {"#d": "day"}
    empty = db.refusal("UpdateItem", **update, ExpressionAttributeValues={":d": {"S": ""}})
    assert empty[1].startswith(
        "One or more parameter values are not valid. The update expression attempted to update a secondary index key"
    )
    number = db.refusal("UpdateItem", **update, ExpressionAttributeValues={":d": {"N": "1"}})
    assert number[1].endswith("Type mismatch for Index Key day Expected: S Actual: N IndexName: by-pk-day")


def test_a_touch_near_the_size_limit_is_refused_by_update_item_but_not_by_partiql(db: Direct) -> None:
    """UpdateItem also counts the update itself against 400 KB, so that PartiQL can touch where it cannot."""
    key = {"id": {"B": "AA=="}}
    room = 409_600 - len("id") - 1 - len("payload") - len("revision") - 2
    db("PutItem", TableName="plain", Item={**key, "payload": {"S": "x" * room}})
    touch = {"UpdateExpression": "SET revision = :n", "ExpressionAttributeValues": {":n": {"N": "1"}}}
    assert db.refusal("UpdateItem", TableName="plain", Key=key, **touch) == (
        "ValidationException",
        "Item size to update has exceeded the maximum allowed size",
    )
    statement = "UPDATE plain SET revision = 1 WHERE id = ?"
    db("ExecuteStatement", Statement=statement, Parameters=[key["id"]])
    found = db("GetItem", TableName="plain", Key=key, ProjectionExpression="revision")
    assert found["Item"] == {"revision": {"N": "1"}}
    db.clock.advance(1)
    bigger = "UPDATE plain SET revision = 123456 WHERE id = ?"
    assert db.refusal("ExecuteStatement", Statement=bigger, Parameters=[key["id"]]) == (
        "ValidationException",
        "Item size to update has exceeded the maximum allowed size",
    )


def test_tables_can_be_named_by_arn(db: Direct) -> None:
    """TableName takes a table's ARN in data and control operations."""
    arn = db("DescribeTable", TableName="orders")["Table"]["TableArn"]
    db("PutItem", TableName=arn, Item=KEY)
    assert db("GetItem", TableName=arn, Key=KEY)["Item"] == KEY
    assert db("DescribeTable", TableName=arn)["Table"]["ItemCount"] == 1


def test_legacy_parameters_are_refused_and_not_ignored(db: Direct) -> None:
    """What the sandbox does not model it says."""
    refused = db.refusal("PutItem", TableName="orders", Item=KEY, Expected={"pk": {"Exists": False}})
    assert refused == (
        "ValidationException",
        "The sandbox does not support the legacy parameter Expected; use expressions",
    )


def test_unused_placeholders_are_refused(db: Direct) -> None:
    """All names and values must be used by some expression of the request."""
    refused = db.refusal(
        "PutItem",
        TableName="orders",
        Item=KEY,
        ConditionExpression="attribute_not_exists(pk)",
        ExpressionAttributeValues={":unused": {"S": "x"}},
    )
    assert refused == (
        "ValidationException",
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:unused}",
    )

"""Control operations: CreateTable, DescribeTable, UpdateTable, DeleteTable and the small ones."""

from typing import Any

import pytest

from tests.sandbox.server_support import (
    REGION,
    Direct,
    client,
    direct,
    index,
    new_name,
    refusal,
    schema,
    with_types,
)

PROVISIONED = {"ReadCapacityUnits": 10, "WriteCapacityUnits": 5}


@pytest.fixture
def db() -> Direct:
    return direct({"TableName": "orders", **schema(pk="S")})


def described(db: Direct, name: str = "orders") -> dict[str, Any]:
    table: dict[str, Any] = db("DescribeTable", TableName=name)["Table"]
    return table


def test_a_table_lives_through_boto3(sandbox_url: str) -> None:
    """Create, wait, describe, list, delete, wait, as any tool does; each table has an id of its own."""
    dynamodb = client(sandbox_url)
    name = new_name()
    request = {"TableName": name, **schema(pk="S"), "ProvisionedThroughput": PROVISIONED}
    created = dynamodb.create_table(**request)["TableDescription"]
    assert created["TableStatus"] == "CREATING"
    dynamodb.get_waiter("table_exists").wait(TableName=name)
    table = dynamodb.describe_table(TableName=name)["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert table["TableArn"] == f"arn:aws:dynamodb:{REGION}:000000000000:table/{name}"
    assert table["TableId"] == created["TableId"]
    assert name in dynamodb.list_tables()["TableNames"]
    assert refusal(lambda: dynamodb.create_table(**request)) == (
        "ResourceInUseException",
        f"Table already exists: {name}",
    )
    assert dynamodb.delete_table(TableName=name)["TableDescription"]["TableStatus"] == "DELETING"
    dynamodb.get_waiter("table_not_exists").wait(TableName=name)
    assert refusal(lambda: dynamodb.describe_table(TableName=name)) == (
        "ResourceNotFoundException",
        f"Requested resource not found: Table: {name} not found",
    )
    again = dynamodb.create_table(**request)["TableDescription"]
    assert again["TableId"] != created["TableId"]
    assert again["ItemCount"] == 0


def test_counts_and_sizes_are_exact(db: Direct) -> None:
    """ItemCount and sizes of table and index follow every put, change and removal."""
    table = with_types(schema(pk="S"), g="S")
    gsi = index("by-g", "g", projection="KEYS_ONLY")
    db("CreateTable", TableName="sized", BillingMode="PAY_PER_REQUEST", GlobalSecondaryIndexes=[gsi], **table)
    key = {"pk": {"S": "a"}}
    db("PutItem", TableName="sized", Item={**key, "g": {"S": "x"}, "v": {"N": "100"}})
    shown = described(db, "sized")
    (shown_index,) = shown["GlobalSecondaryIndexes"]
    assert (shown["ItemCount"], shown["TableSizeBytes"]) == (1, 3 + 2 + 3)
    assert (shown_index["ItemCount"], shown_index["IndexSizeBytes"]) == (1, 3 + 2)
    db(
        "UpdateItem",
        TableName="sized",
        Key=key,
        UpdateExpression="SET v = :v REMOVE g",
        ExpressionAttributeValues={":v": {"S": "four"}},
    )
    shown = described(db, "sized")
    assert (shown["ItemCount"], shown["TableSizeBytes"]) == (1, 3 + 5)
    assert shown["GlobalSecondaryIndexes"][0]["IndexSizeBytes"] == 0
    db("DeleteItem", TableName="sized", Key=key)
    shown = described(db, "sized")
    assert (shown["ItemCount"], shown["TableSizeBytes"]) == (0, 0)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {**schema(pk="S")},
            (
                "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be "
                "specified when BillingMode is PROVISIONED"
            ),
        ),
        (
            {**schema(pk="S"), "BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": PROVISIONED},
            (
                "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be "
                "specified when BillingMode is PAY_PER_REQUEST"
            ),
        ),
        (
            {**with_types(schema(pk="S"), more="S"), "BillingMode": "PAY_PER_REQUEST"},
            (
                "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match "
                "number of attributes defined in AttributeDefinitions"
            ),
        ),
        (
            {
                **schema(pk="S"),
                "KeySchema": [{"AttributeName": "other", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
            (
                "One or more parameter values were invalid: Some index key attributes are not defined in "
                "AttributeDefinitions. Keys: [other], AttributeDefinitions: [pk]"
            ),
        ),
        (
            {
                **schema(pk="S"),
                "KeySchema": [{"AttributeName": "pk", "KeyType": "RANGE"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            {
                **schema(pk="S", sk="S"),
                "BillingMode": "PAY_PER_REQUEST",
                "LocalSecondaryIndexes": [index("local", "sk", "pk")],
            },
            (
                "One or more parameter values were invalid: Index KeySchema does not have the same leading hash key as "
                "table KeySchema for index: local. index hash key: sk, table hash key: pk"
            ),
        ),
        (
            {
                **schema(pk="S"),
                "BillingMode": "PAY_PER_REQUEST",
                "GlobalSecondaryIndexes": [index("twice", "pk"), index("twice", "pk")],
            },
            "One or more parameter values were invalid: Duplicate index name: twice",
        ),
        (
            {
                **schema(pk="S"),
                "BillingMode": "PAY_PER_REQUEST",
                "GlobalSecondaryIndexes": [index("with", "pk", projection="KEYS_ONLY", include=("x",))],
            },
            "One or more parameter values were invalid: ProjectionType is KEYS_ONLY, but NonKeyAttributes is specified",
        ),
        (
            {
                **schema(pk="S"),
                "BillingMode": "PAY_PER_REQUEST",
                "StreamSpecification": {"StreamEnabled": True},
            },
            "One or more parameter values were invalid: StreamViewType must be specified when StreamEnabled is true",
        ),
        (
            {**schema(pk="S"), "BillingMode": "SOMETIMES"},
            (
                "1 validation error detected: Value 'SOMETIMES' at 'billingMode' failed to satisfy constraint: "
                "Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]"
            ),
        ),
        (
            {"KeySchema": [], "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "SS"}]},
            (
                "2 validation errors detected: "
                "Value 'SS' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: "
                "Member must satisfy enum value set: [B, N, S]; "
                "Value '[]' at 'keySchema' failed to satisfy constraint: "
                "Member must have length greater than or equal to 1"
            ),
        ),
    ],
)
def test_tables_that_cannot_be_made(db: Direct, members: dict[str, Any], message: str) -> None:
    """Every rule of CreateTable in the service's words; nothing is made."""
    assert db.refusal("CreateTable", TableName="refused", **members) == ("ValidationException", message)
    assert db("ListTables") == {"TableNames": ["orders"]}


def test_names_of_tables(db: Direct) -> None:
    """Three to 255 of a few characters."""
    for name in ("ab", "x" * 256, "a b c", "t\u00e4ble"):
        refused = db.refusal("CreateTable", TableName=name, BillingMode="PAY_PER_REQUEST", **schema(pk="S"))
        assert refused[1].startswith("Invalid table/index name.")


def test_listing_tables_in_pages(db: Direct) -> None:
    """Names come in order and in pages."""
    for number in range(5):
        db("CreateTable", TableName=f"table-{number}", BillingMode="PAY_PER_REQUEST", **schema(pk="S"))
    first = db("ListTables", Limit=4)
    assert first == {
        "TableNames": ["orders", "table-0", "table-1", "table-2"],
        "LastEvaluatedTableName": "table-2",
    }
    rest = db("ListTables", ExclusiveStartTableName=first["LastEvaluatedTableName"])
    assert rest == {"TableNames": ["table-3", "table-4"]}


def test_throughput_and_billing_mode_can_be_changed(db: Direct) -> None:
    """Both ways between the modes, and throughput up and down with its dates."""
    changed = db(
        "UpdateTable", TableName="orders", BillingMode="PROVISIONED", ProvisionedThroughput=PROVISIONED
    )
    assert changed["TableDescription"]["TableStatus"] == "UPDATING"
    table = described(db)
    assert "BillingModeSummary" not in table
    assert table["ProvisionedThroughput"] == {**PROVISIONED, "NumberOfDecreasesToday": 0}
    refused = db.refusal("UpdateTable", TableName="orders", ProvisionedThroughput=PROVISIONED)
    assert refused[1].startswith("The provisioned throughput for the table will not change.")
    less = {"ReadCapacityUnits": 10, "WriteCapacityUnits": 1}
    db("UpdateTable", TableName="orders", ProvisionedThroughput=less)
    shown = described(db)["ProvisionedThroughput"]
    assert (shown["WriteCapacityUnits"], shown["NumberOfDecreasesToday"]) == (1, 1)
    assert "LastDecreaseDateTime" in shown
    db(
        "UpdateTable",
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        OnDemandThroughput={"MaxWriteRequestUnits": 77},
    )
    table = described(db)
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["OnDemandThroughput"] == {"MaxWriteRequestUnits": 77}
    assert table["ProvisionedThroughput"]["WriteCapacityUnits"] == 0
    db("UpdateTable", TableName="orders", OnDemandThroughput={"MaxWriteRequestUnits": -1})
    assert "OnDemandThroughput" not in described(db)


def test_changed_throughput_is_enforced(db: Direct) -> None:
    """What UpdateTable says is what the capacity model admits from then on."""
    db("UpdateTable", TableName="orders", OnDemandThroughput={"MaxWriteRequestUnits": 2})
    outcomes = []
    for number in range(4):
        try:
            db("PutItem", TableName="orders", Item={"pk": {"S": str(number)}})
            outcomes.append(None)
        except Exception as error:  # noqa: BLE001 - the error is what is judged
            outcomes.append(error)
    assert outcomes[:2] == [None, None]
    assert outcomes[3].type == "ThrottlingException"
    (reason,) = outcomes[3].extra["throttlingReasons"]
    assert reason == {
        "reason": "TableWriteMaxOnDemandThroughputExceeded",
        "resource": described(db)["TableArn"],
    }


def test_warm_throughput_rises_and_never_falls(db: Direct) -> None:
    """A new on-demand table serves 4,000 writes and 12,000 reads; it can be pre-warmed, not cooled."""
    assert described(db)["WarmThroughput"] == {
        "ReadUnitsPerSecond": 12000,
        "WriteUnitsPerSecond": 4000,
        "Status": "ACTIVE",
    }
    db("UpdateTable", TableName="orders", WarmThroughput={"WriteUnitsPerSecond": 9000})
    assert described(db)["WarmThroughput"]["WriteUnitsPerSecond"] == 9000
    refused = db.refusal("UpdateTable", TableName="orders", WarmThroughput={"WriteUnitsPerSecond": 5000})
    assert refused[0] == "ValidationException"


def test_global_indexes_can_be_added_changed_and_dropped(db: Direct) -> None:
    """A new index holds what is there already, in its projection; a dropped one is gone with its attribute."""
    for number in range(10):
        item = {"pk": {"S": str(number)}, "x": {"S": "y"}}
        if number % 2:
            item["g"] = {"S": "odd"}
        if number == 3:
            item["g"] = {"N": "3"}
        db("PutItem", TableName="orders", Item=item)
    create = {"Create": index("by-g", "g", projection="KEYS_ONLY")}
    definitions = [{"AttributeName": "g", "AttributeType": "S"}]
    db(
        "UpdateTable",
        TableName="orders",
        AttributeDefinitions=definitions,
        GlobalSecondaryIndexUpdates=[create],
    )
    (shown,) = described(db)["GlobalSecondaryIndexes"]
    assert (shown["IndexStatus"], shown["ItemCount"]) == ("ACTIVE", 4)
    request = {"KeyConditionExpression": "g = :g", "ExpressionAttributeValues": {":g": {"S": "odd"}}}
    found = db.items("Query", TableName="orders", IndexName="by-g", **request)
    assert {one["pk"]["S"] for one in found} == {"1", "5", "7", "9"}
    db("UpdateItem", TableName="orders", Key={"pk": {"S": "1"}}, UpdateExpression="REMOVE g")
    assert len(db.items("Scan", TableName="orders", IndexName="by-g")) == 3
    again = db.refusal(
        "UpdateTable",
        TableName="orders",
        AttributeDefinitions=definitions,
        GlobalSecondaryIndexUpdates=[create],
    )
    assert again[0] == "ValidationException"
    db("UpdateTable", TableName="orders", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-g"}}])
    table = described(db)
    assert "GlobalSecondaryIndexes" not in table
    assert [one["AttributeName"] for one in table["AttributeDefinitions"]] == ["pk"]
    gone = db.refusal(
        "UpdateTable", TableName="orders", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-g"}}]
    )
    assert gone[0] == "ResourceNotFoundException"


def test_streams_are_enabled_once(db: Direct) -> None:
    """Enabling what is enabled and disabling what is not are errors."""
    stream = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    db("UpdateTable", TableName="orders", StreamSpecification=stream)
    assert described(db)["StreamSpecification"] == stream
    twice = db.refusal("UpdateTable", TableName="orders", StreamSpecification=stream)
    assert twice == ("ValidationException", "Table already has an enabled stream: TableName: orders")
    db("UpdateTable", TableName="orders", StreamSpecification={"StreamEnabled": False})
    never = db.refusal("UpdateTable", TableName="orders", StreamSpecification={"StreamEnabled": False})
    assert never[0] == "ValidationException"


def test_a_protected_table_cannot_be_deleted(db: Direct) -> None:
    """DeletionProtectionEnabled is honoured until it is turned off."""
    db("UpdateTable", TableName="orders", DeletionProtectionEnabled=True)
    assert db.refusal("DeleteTable", TableName="orders")[0] == "ValidationException"
    db("UpdateTable", TableName="orders", DeletionProtectionEnabled=False)
    db("DeleteTable", TableName="orders")
    assert db("ListTables") == {"TableNames": []}


def test_small_operations_through_boto3(sandbox_url: str) -> None:
    """What tools ask about a table besides: time to live, backups, Kinesis, limits."""
    dynamodb = client(sandbox_url)
    name = new_name()
    dynamodb.create_table(TableName=name, **schema(pk="S"), BillingMode="PAY_PER_REQUEST")
    ttl = {"Enabled": True, "AttributeName": "until"}
    assert dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "DISABLED"
    }
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)
    assert dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED",
        "AttributeName": "until",
    }
    assert refusal(lambda: dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)) == (
        "ValidationException",
        "TimeToLive is already enabled",
    )
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"
    kinesis = dynamodb.describe_kinesis_streaming_destination(TableName=name)
    assert kinesis["KinesisDataStreamDestinations"] == []
    assert dynamodb.describe_limits()["TableMaxWriteCapacityUnits"] == 40_000
    assert refusal(dynamodb.list_backups)[0] == "UnknownOperationException"

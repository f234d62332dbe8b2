"""BatchWriteItem, BatchGetItem, ExecuteStatement and BatchExecuteStatement."""

from typing import Any

import pytest

from tests.sandbox.server_support import Direct, client, direct, index, new_name, schema, with_types

TOUCH = 'UPDATE "orders" SET "revision"=? WHERE "pk"=? AND "sk"=? AND "revision" IS MISSING'


def key(number: int) -> dict[str, Any]:
    return {"pk": {"S": f"k{number % 5}"}, "sk": {"N": str(number)}}


@pytest.fixture
def db() -> Direct:
    """Forty items with a day each; the index does not hold what a touch changes."""
    items = [{**key(number), "day": {"S": "today"}} for number in range(40)]
    return direct(
        {
            "TableName": "orders",
            **with_types(schema(pk="S", sk="N"), day="S"),
            "GlobalSecondaryIndexes": [index("by-day", "day", projection="KEYS_ONLY")],
            "Items": items,
        },
        {"TableName": "others", **schema(pk="S")},
    )


def touch(number: int, statement: str = TOUCH) -> dict[str, Any]:
    return {"Statement": statement, "Parameters": [{"N": "1"}, *key(number).values()]}


def test_batch_write_and_get_over_two_tables(db: Direct) -> None:
    """Puts and deletes of several tables in one request; absent items are no part of the answer but cost a read."""
    writes = {
        "orders": [
            {"PutRequest": {"Item": {**key(1), "x": {"S": "new"}}}},
            {"DeleteRequest": {"Key": key(2)}},
        ],
        "others": [
            {"PutRequest": {"Item": {"pk": {"S": "a"}}}},
            {"DeleteRequest": {"Key": {"pk": {"S": "b"}}}},
        ],
    }
    written = db("BatchWriteItem", RequestItems=writes, ReturnConsumedCapacity="INDEXES")
    assert written["UnprocessedItems"] == {}
    assert written["ConsumedCapacity"] == [
        {
            "TableName": "orders",
            "CapacityUnits": 4,
            "Table": {"CapacityUnits": 2},
            "GlobalSecondaryIndexes": {"by-day": {"CapacityUnits": 2}},
        },
        {"TableName": "others", "CapacityUnits": 2, "Table": {"CapacityUnits": 2}},
    ]
    reads = {
        "orders": {"Keys": [key(1), key(2), key(3)], "ProjectionExpression": "sk", "ConsistentRead": True},
        "others": {"Keys": [{"pk": {"S": "a"}}]},
    }
    read = db("BatchGetItem", RequestItems=reads, ReturnConsumedCapacity="TOTAL")
    assert read["Responses"] == {
        "orders": [{"sk": {"N": "1"}}, {"sk": {"N": "3"}}],
        "others": [{"pk": {"S": "a"}}],
    }
    assert read["UnprocessedKeys"] == {}
    assert read["ConsumedCapacity"] == [
        {"TableName": "orders", "CapacityUnits": 3},
        {"TableName": "others", "CapacityUnits": 0.5},
    ]


@pytest.mark.parametrize(
    ("operation", "items", "message"),
    [
        (
            "BatchWriteItem",
            {"orders": [{"DeleteRequest": {"Key": key(1)}}, {"PutRequest": {"Item": key(1)}}]},
            "Provided list of item keys contains duplicates",
        ),
        (
            "BatchGetItem",
            {"orders": {"Keys": [key(1), {**key(1), "sk": {"N": "1.0"}}]}},
            "Provided list of item keys contains duplicates",
        ),
        (
            "BatchWriteItem",
            {
                "orders": [{"DeleteRequest": {"Key": key(n)}} for n in range(20)],
                "others": [{"DeleteRequest": {"Key": {"pk": {"S": str(n)}}}} for n in range(6)],
            },
            "Too many items requested for the BatchWriteItem call",
        ),
        (
            "BatchGetItem",
            {
                "orders": {"Keys": [key(n) for n in range(60)]},
                "others": {"Keys": [{"pk": {"S": str(n)}} for n in range(41)]},
            },
            "Too many items requested for the BatchGetItem call",
        ),
        (
            "BatchWriteItem",
            {"orders": [{"PutRequest": {"Item": {**key(1), "day": {"N": "1"}}}}]},
            (
                "One or more parameter values were invalid: Type mismatch for Index Key day Expected: S Actual: N "
                "IndexName: by-day"
            ),
        ),
    ],
)
def test_batches_that_are_refused_as_a_whole(
    db: Direct, operation: str, items: dict[str, Any], message: str
) -> None:
    """Duplicates, too many members and items that cannot be stored: nothing of the batch is carried out."""
    before = db.items("Scan", TableName="orders")
    assert db.refusal(operation, RequestItems=items) == ("ValidationException", message)
    assert db.items("Scan", TableName="orders") == before


def test_a_large_batch_get_leaves_the_rest_unprocessed() -> None:
    """An answer holds 16 MB; what does not fit comes back as UnprocessedKeys with its parameters."""
    items = [{"pk": {"S": str(n)}, "x": {"S": "x" * 400_000}} for n in range(60)]
    throughput = {"ReadCapacityUnits": 40_000, "WriteCapacityUnits": 10}
    db = direct(
        {
            "TableName": "big",
            **schema(pk="S"),
            "Items": items,
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": throughput,
        },
    )
    keys = [{"pk": one["pk"]} for one in items]
    read = db("BatchGetItem", RequestItems={"big": {"Keys": keys, "ProjectionExpression": "pk"}})
    rest = read["UnprocessedKeys"]["big"]
    assert rest["ProjectionExpression"] == "pk"
    found = [one["pk"] for one in read["Responses"]["big"]]
    assert len(found) == 42
    assert found + [one["pk"] for one in rest["Keys"]] == [one["pk"] for one in keys]


def test_a_batch_of_touches_tells_each_outcome(db: Direct) -> None:
    """Done, condition failed, absent and malformed members: in order, with code, and with the table where known."""
    db(
        "UpdateItem",
        TableName="orders",
        Key=key(2),
        UpdateExpression="SET revision = :n",
        ExpressionAttributeValues={":n": {"N": "5"}},
    )
    members = [
        touch(1),
        touch(2),
        touch(99),
        {"Statement": "UPDATE orders SET"},
        touch(3, TOUCH + " RETURNING ALL NEW *"),
        touch(1, TOUCH.replace("orders", "no-such-table")),
    ]
    answer = db("BatchExecuteStatement", Statements=members, ReturnConsumedCapacity="INDEXES")
    first, second, third, fourth, fifth, sixth = answer["Responses"]
    failed = {"Error": {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}}
    assert first == {"TableName": "orders"}
    assert second == third == {**failed, "TableName": "orders"}
    assert fourth["Error"]["Code"] == "ValidationError"
    assert "TableName" not in fourth
    assert fifth == {"TableName": "orders", "Item": {**key(3), "day": {"S": "today"}, "revision": {"N": "1"}}}
    assert sixth["Error"]["Code"] == "ResourceNotFound"
    # Two done, two failed conditions: the latter count for no resource.
    assert answer["ConsumedCapacity"] == [
        {"TableName": "orders", "CapacityUnits": 4, "Table": {"CapacityUnits": 2}}
    ]
    assert "Item" not in db("GetItem", TableName="orders", Key=key(99))


def test_a_table_of_which_all_members_failed_has_no_capacity_entry(db: Direct) -> None:
    """Failed members alone make no entry for their table."""
    answer = db("BatchExecuteStatement", Statements=[touch(98), touch(99)], ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"] == []


def test_batches_of_statements_that_are_refused_as_a_whole(db: Direct) -> None:
    """The same item twice, and reads mixed with writes; nothing is carried out."""
    select = {"Statement": "SELECT * FROM orders WHERE pk = 'k1' AND sk = 1"}
    assert db.refusal("BatchExecuteStatement", Statements=[touch(1), touch(2), touch(1)]) == (
        "ValidationException",
        "Provided list of item keys contains duplicates",
    )
    assert db.refusal("BatchExecuteStatement", Statements=[touch(1), select]) == (
        "ValidationException",
        "Read and write requests together in the same batch is not supported.",
    )
    many = db.refusal("BatchExecuteStatement", Statements=[touch(n) for n in range(26)])
    assert many[1].endswith("Member must have length less than or equal to 25")
    assert all("revision" not in one for one in db.items("Scan", TableName="orders"))


def test_a_failed_condition_in_a_batch_never_returns_the_item(db: Direct) -> None:
    """ReturnValuesOnConditionCheckFailure of a member is accepted and ignored, as the service does."""
    db("BatchExecuteStatement", Statements=[touch(1)])
    member = {**touch(1), "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    (answer,) = db("BatchExecuteStatement", Statements=[member])["Responses"]
    assert answer["Error"].keys() == {"Code", "Message"}
    assert "Item" not in answer
    statement = {"Statement": member["Statement"], "Parameters": member["Parameters"]}
    refused = db.refusal("ExecuteStatement", **statement)
    assert refused[0] == "ConditionalCheckFailedException"


def test_a_batch_of_selects_reads_by_key(db: Direct) -> None:
    """SELECT in a batch pins the key and nothing else; an absent item is absent, and every read is charged."""
    members = [
        {"Statement": "SELECT sk FROM orders WHERE pk = 'k1' AND sk = 1"},
        {"Statement": "SELECT sk FROM orders WHERE pk = 'k1' AND sk = 99"},
        {"Statement": "SELECT sk FROM orders WHERE pk = 'k1'"},
        {"Statement": "SELECT sk FROM orders WHERE pk = 'k2' AND sk = 2 AND note = 'n'"},
    ]
    answer = db("BatchExecuteStatement", Statements=members, ReturnConsumedCapacity="TOTAL")
    first, second, *refused = answer["Responses"]
    assert first == {"TableName": "orders", "Item": {"sk": {"N": "1"}}}
    assert second == {"TableName": "orders"}
    assert [member["Error"]["Code"] for member in refused] == ["ValidationError"] * 2
    assert answer["ConsumedCapacity"] == [{"TableName": "orders", "CapacityUnits": 1}]


def test_select_pages_with_a_token_through_several_queries(db: Direct) -> None:
    """IN on the hash key is one Query for each value; tokens lead through all of them, and fit one statement."""
    statement = "SELECT sk FROM orders WHERE pk IN ['k3', 'k1'] AND sk < 25"
    found: list[int] = []
    request: dict[str, Any] = {"Statement": statement, "Limit": 2}
    while True:
        page = db("ExecuteStatement", **request)
        found += [int(one["sk"]["N"]) for one in page["Items"]]
        if "NextToken" not in page:
            break
        request["NextToken"] = page["NextToken"]
    assert sorted(found) == [number for number in range(25) if number % 5 in (1, 3)]
    other = "SELECT pk FROM orders WHERE pk IN ['k3', 'k1'] AND sk < 25"
    for token in (request["NextToken"], "nonsense", "W10="):
        refused = db.refusal("ExecuteStatement", Statement=other, NextToken=token)
        assert refused == ("ValidationException", "Invalid NextToken")


def test_select_scans_table_and_index(db: Direct) -> None:
    """Without a key SELECT is a Scan; an index gives what it projects and nothing else."""
    whole = db("ExecuteStatement", Statement="SELECT * FROM orders")
    assert len(whole["Items"]) == 40
    keys = db("ExecuteStatement", Statement="SELECT * FROM orders.\"by-day\" WHERE day = 'today'")
    assert len(keys["Items"]) == 40
    refused = db.refusal("ExecuteStatement", Statement='SELECT note FROM orders."by-day"')
    assert refused[1].endswith("Global secondary index by-day does not project [note]")


def test_insert_and_delete_by_statement(db: Direct) -> None:
    """INSERT refuses an item that is there, DELETE succeeds without one, and both can be conditional."""
    insert = "INSERT INTO orders VALUE {'pk': 'new', 'sk': 1, 'note': 'n'}"
    assert db("ExecuteStatement", Statement=insert) == {"Items": []}
    assert db.refusal("ExecuteStatement", Statement=insert) == (
        "DuplicateItemException",
        "Duplicate primary key exists in table",
    )
    delete = "DELETE FROM orders WHERE pk = 'new' AND sk = 1"
    refused = db.refusal("ExecuteStatement", Statement=f"{delete} AND note = 'other'")
    assert refused[0] == "ConditionalCheckFailedException"
    (gone,) = db("ExecuteStatement", Statement=f"{delete} RETURNING ALL OLD *")["Items"]
    assert gone["note"] == {"S": "n"}
    assert db("ExecuteStatement", Statement=delete) == {"Items": []}


def test_statements_through_boto3(sandbox_url: str) -> None:
    """A plain client executes single statements and batches."""
    dynamodb = client(sandbox_url)
    name = new_name()
    dynamodb.create_table(TableName=name, **schema(pk="S"), BillingMode="PAY_PER_REQUEST")
    insert = f"INSERT INTO \"{name}\" VALUE {{'pk': ?}}"
    members = [{"Statement": insert, "Parameters": [{"S": str(n)}]} for n in range(25)]
    answer = dynamodb.batch_execute_statement(Statements=members, ReturnConsumedCapacity="TOTAL")
    assert answer["Responses"] == [{"TableName": name}] * 25
    assert answer["ConsumedCapacity"] == [{"TableName": name, "CapacityUnits": 25.0}]
    found = dynamodb.execute_statement(Statement=f"SELECT * FROM \"{name}\" WHERE pk = '7'")
    assert found["Items"] == [{"pk": {"S": "7"}}]

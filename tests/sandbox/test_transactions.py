"""TransactWriteItems, TransactGetItems and ExecuteTransaction: all or nothing, and what they say of why not."""

from typing import Any

import pytest

from refire_async.sandbox.errors import ServiceError
from tests.sandbox.server_support import Direct, Item, client, direct, index, new_name, schema, with_types

Action = dict[str, Any]
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


def item(pk: str, **more: Any) -> Item:
    return {"pk": {"S": pk}, **more}


@pytest.fixture
def db() -> Direct:
    """A table with a GSI (INCLUDE), and one with a sort key and an LSI (ALL)."""
    gsi = index("by-day", "day", projection="INCLUDE", include=("note",))
    local = index("local", "pk", "day")
    return direct(
        {
            "TableName": "one",
            **with_types(schema(pk="S"), day="S"),
            "GlobalSecondaryIndexes": [gsi],
            "StreamSpecification": STREAM,
            "Items": [item("a", n={"N": "1"}), item("b"), item("big", x={"S": "x" * 3000}, day={"S": "d"})],
        },
        {
            "TableName": "two",
            **with_types(schema(pk="S", sk="N"), day="S"),
            "LocalSecondaryIndexes": [local],
            "StreamSpecification": STREAM,
        },
    )


def put(pk: str, **more: Any) -> Action:
    return {"Put": {"TableName": "one", "Item": item(pk, **more)}}


def delete(pk: str, **more: Any) -> Action:
    return {"Delete": {"TableName": "one", "Key": item(pk), **more}}


def update(pk: str, text: str, **more: Any) -> Action:
    return {"Update": {"TableName": "one", "Key": item(pk), "UpdateExpression": text, **more}}


def condition(pk: str, text: str, **more: Any) -> Action:
    return {"ConditionCheck": {"TableName": "one", "Key": item(pk), "ConditionExpression": text, **more}}


def write(db: Direct, *actions: Action, **more: Any) -> Any:
    return db("TransactWriteItems", TransactItems=list(actions), **more)


def reasons(db: Direct, *actions: Action, **more: Any) -> list[dict[str, Any]]:
    """The cancellation reasons of a transaction."""
    with pytest.raises(ServiceError) as caught:
        write(db, *actions, **more)
    assert caught.value.type == "TransactionCanceledException"
    found: list[dict[str, Any]] = caught.value.extra["CancellationReasons"]
    codes = ", ".join(reason["Code"] for reason in found)
    assert caught.value.message.endswith(f"specific reasons [{codes}]")
    return found


def codes(db: Direct, *actions: Action) -> list[str]:
    return [reason["Code"] for reason in reasons(db, *actions)]


def everything(db: Direct) -> list[Item]:
    return sorted(db.items("Scan", TableName="one"), key=lambda one: one["pk"]["S"])


ONE = {":one": {"N": "1"}}
DAY = {"#d": "day"}


def test_all_actions_are_carried_out_and_leave_a_record_each(db: Direct) -> None:
    """Over two tables; a check leaves nothing, nor does a write that changes nothing."""
    other = {"pk": {"S": "x"}, "sk": {"N": "1"}}
    write(
        db,
        put("new", day={"S": "d"}),
        update("a", "ADD n :one", ExpressionAttributeValues=ONE),
        delete("b"),
        condition("big", "attribute_exists(pk)"),
        {"Put": {"TableName": "two", "Item": other}},
        update("absent", "REMOVE z"),
    )
    assert [one["pk"]["S"] for one in everything(db)] == ["a", "big", "new"]
    assert db("GetItem", TableName="one", Key=item("a"))["Item"]["n"] == {"N": "2"}
    records = {r["dynamodb"]["Keys"]["pk"]["S"]: r["eventName"] for r in db.records("one")}
    assert records == {"new": "INSERT", "a": "MODIFY", "b": "REMOVE"}
    assert [record["eventName"] for record in db.records("two")] == ["INSERT"]
    assert "new" in {one["pk"]["S"] for one in db.items("Scan", TableName="one", IndexName="by-day")}


def test_one_failed_condition_cancels_all(db: Direct) -> None:
    """Every action that fails says so, the others say None; the item comes with it where it is asked for."""
    before = everything(db)
    found = reasons(
        db,
        put("new"),
        condition("a", "attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure="ALL_OLD"),
        delete("b", ConditionExpression="n = :one", ExpressionAttributeValues=ONE),
        update(
            "absent",
            "SET n = :one",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues=ONE,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        ),
        update("big", "SET x = x + :one", ExpressionAttributeValues=ONE),
    )
    failed = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    assert found[0] == {"Code": "None"}
    assert found[1] == {**failed, "Item": item("a", n={"N": "1"})}
    assert found[2:4] == [failed, failed]
    assert found[4]["Code"] == "ValidationError"
    assert everything(db) == before
    assert db.records("one") == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"Put": {"TableName": "one", "Item": {"pk": {"N": "7"}}}}, "Type mismatch for key"),
        ({"Put": {"TableName": "one", "Item": {"x": {"N": "7"}}}}, "Missing the key pk"),
        (put("x", day={"N": "1"}), "Type mismatch for Index Key"),
        (put("x", x={"S": "x" * 409_600}), "Item size has exceeded"),
        (put("x" * 2049), "hashkey has exceeded"),
        ({"Delete": {"TableName": "one", "Key": {"sk": {"S": "a"}}}}, "does not match the schema"),
        (update("x", "SET pk = :one", ExpressionAttributeValues=ONE), "part of the key"),
    ],
)
def test_what_does_not_fit_the_schema_cancels_before_anything_is_looked_at(
    db: Direct, wrong: Action, message: str
) -> None:
    """Only the first mistake is named, and no condition is."""
    false = condition("a", "attribute_not_exists(pk)")
    found = reasons(db, false, wrong, {"Delete": {"TableName": "one", "Key": {"no": {"S": "a"}}}})
    assert [reason["Code"] for reason in found] == ["None", "ValidationError", "None"]
    assert message in found[1]["Message"]


@pytest.mark.parametrize(
    ("actions", "kind", "message"),
    [
        ([], "ValidationException", "length greater than or equal to 1"),
        ([delete(str(n)) for n in range(101)], "ValidationException", "less than or equal to 100"),
        ([{}], "ValidationException", "only contain one of"),
        ([{**put("x"), **delete("y")}], "ValidationException", "only contain one of"),
        ([put("x"), delete("x")], "ValidationException", "multiple operations on one item"),
        ([condition("x", "attribute_exists(pk)"), delete("x")], "ValidationException", "multiple operations"),
        ([condition("x", "hello!")], "ValidationException", "Syntax error"),
        ([condition("x", "attribute_exists(#x)")], "ValidationException", "#x"),
        ([delete("x", ExpressionAttributeValues=ONE)], "ValidationException", "ExpressionAttributeValues"),
        (
            [{"ConditionCheck": {"TableName": "one", "Key": item("a")}}],
            "ValidationException",
            "conditionExpression",
        ),
        ([{"Update": {"TableName": "one", "Key": item("a")}}], "ValidationException", "updateExpression"),
        ([put("")], "ValidationException", "empty string value"),
        ([delete("x", ReturnValuesOnConditionCheckFailure="dog")], "ValidationException", "enum value set"),
        ([delete("x", ExpressionAttributeNames={"#x": 7})], "SerializationException", ""),
        ([{"Put": {"TableName": "three", "Item": item("x")}}], "ResourceNotFoundException", "not found"),
        (
            [put(str(n), x={"S": "x" * 390_000}) for n in range(11)],
            "ValidationException",
            "cannot exceed 4MB",
        ),
    ],
)
def test_requests_that_are_refused_as_a_whole(
    db: Direct, actions: list[Action], kind: str, message: str
) -> None:
    """No cancellation: the request itself is wrong."""
    before = everything(db)
    found = db.refusal("TransactWriteItems", TransactItems=[put("first"), *actions][bool(not actions) :])
    assert found[0] == kind
    assert message in found[1]
    assert everything(db) == before


def test_a_hundred_actions_and_what_is_there_are_no_payload() -> None:
    """Items that are deleted may be as large as they like."""
    plenty = {"ReadCapacityUnits": 40_000, "WriteCapacityUnits": 40_000}
    table = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": plenty, **schema(pk="S")}
    large = [item(f"l{number}", x={"S": "x" * 100_000}) for number in range(50)]
    db = direct({"TableName": "one", **table, "Items": large})
    write(db, *(delete(one["pk"]["S"]) for one in large), *(put(f"s{number}") for number in range(50)))
    assert len(everything(db)) == 50
    assert all(one["pk"]["S"].startswith("s") for one in everything(db))


@pytest.mark.parametrize(
    ("action", "units"),
    [
        (put("x"), (2, None)),
        (put("x", day={"S": "d"}), (2, 1)),
        (put("x", day={"S": "d"}, note={"S": "x" * 1500}), (4, 2)),
        (put("big"), (6, 1)),
        (delete("big"), (6, 1)),
        (delete("absent"), (2, None)),
        (condition("big", "attribute_exists(pk)"), (6, None)),
        (condition("absent", "attribute_not_exists(pk)"), (2, None)),
        (
            update(
                "big",
                "SET #d = :d",
                ExpressionAttributeNames=DAY,
                ExpressionAttributeValues={":d": {"S": "e"}},
            ),
            (6, 2),
        ),
        (update("big", "SET y = :d", ExpressionAttributeValues={":d": {"S": "e"}}), (6, None)),
    ],
)
def test_the_table_is_charged_twice_and_an_index_once(
    db: Direct, action: Action, units: tuple[int, int | None]
) -> None:
    """As measured on the service; units have two names, at every level."""
    (shown,) = write(db, action, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
    table, by_day = units

    def named(number: float) -> dict[str, float]:
        return {"CapacityUnits": float(number), "WriteCapacityUnits": float(number)}

    expected = {"TableName": "one", **named(table + (by_day or 0)), "Table": named(table)}
    if by_day is not None:
        expected["GlobalSecondaryIndexes"] = {"by-day": named(by_day)}
    assert shown == expected


def test_capacity_is_listed_for_each_table(db: Direct) -> None:
    """TOTAL has no parts; local indexes count in the table's own capacity, once."""
    other = {"pk": {"S": "x"}, "sk": {"N": "1"}, "day": {"S": "d"}}
    actions = [put("x"), {"Put": {"TableName": "two", "Item": other}}, put("y")]
    shown = write(db, *actions, ReturnConsumedCapacity="TOTAL", ReturnItemCollectionMetrics="SIZE")
    assert shown["ConsumedCapacity"] == [
        {"TableName": "one", "CapacityUnits": 4.0, "WriteCapacityUnits": 4.0},
        {"TableName": "two", "CapacityUnits": 3.0, "WriteCapacityUnits": 3.0},
    ]
    assert [*shown["ItemCollectionMetrics"]] == ["two"]


def test_throttling_cancels_and_takes_nothing() -> None:
    """Where one action finds no capacity, what the others took is given back; the reason says whose it is."""
    throughput = {"ReadCapacityUnits": 10, "WriteCapacityUnits": 10}
    table = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": throughput, **schema(pk="S")}
    rich = {**throughput, "WriteCapacityUnits": 1000}
    db = direct(
        {"TableName": "one", **table, "ProvisionedThroughput": rich, "StreamSpecification": STREAM},
        {"TableName": "two", **table},
    )
    large = item("x", x={"S": "x" * 300_000})
    last = {"Put": {"TableName": "two", "Item": large}}
    refused = False
    while not refused:  # as long as there is burst
        try:
            db("PutItem", **last["Put"])
        except ServiceError as error:
            refused = error.type == "ProvisionedThroughputExceededException"
    spent = db.database.tables["one"].capacity.stats()[0]
    assert codes(db, put("a"), last) == [
        "None",
        "ProvisionedThroughputExceeded",
    ]
    assert db.database.tables["one"].capacity.stats()[0] == spent
    assert db.items("Scan", TableName="one") == []
    assert db.records("one") == []


def test_a_token_makes_a_transaction_happen_once(db: Direct) -> None:
    """For ten minutes; asking again costs reads and may ask for other capacity; another content is refused."""
    add = update("a", "ADD n :one", ExpressionAttributeValues=ONE)
    token = {"ClientRequestToken": "token-1"}

    def number() -> str:
        return str(db("GetItem", TableName="one", Key=item("a"))["Item"]["n"]["N"])

    assert write(db, add, **token) == {}
    again = write(db, add, **token, ReturnConsumedCapacity="TOTAL")
    assert again["ConsumedCapacity"] == [{"TableName": "one", "CapacityUnits": 2.0, "ReadCapacityUnits": 2.0}]
    assert number() == "2"
    kind, _ = db.refusal("TransactWriteItems", TransactItems=[delete("a")], **token)
    assert kind == "IdempotentParameterMismatchException"
    write(db, add)
    write(db, add)
    assert number() == "4"
    db.clock.advance(601)
    write(db, add, **token)
    assert number() == "5"
    for wrong in ("", "x" * 37):
        request = {"TransactItems": [add], "ClientRequestToken": wrong}
        assert db.refusal("TransactWriteItems", **request)[0] == "ValidationException"


def test_a_cancelled_transaction_does_not_use_up_its_token(db: Direct) -> None:
    """It can be asked for again, and is carried out then."""
    token = {"ClientRequestToken": "token-2"}
    action = delete("later", ConditionExpression="attribute_exists(pk)")
    assert reasons(db, action, **token)[0]["Code"] == "ConditionalCheckFailed"
    write(db, put("later"))
    write(db, action, **token)
    assert "later" not in [one["pk"]["S"] for one in everything(db)]


def test_get_items(db: Direct) -> None:
    """In order, {} for what is not there or has nothing of the projection; two units for each."""

    def get(pk: str, **more: Any) -> Action:
        return {"Get": {"TableName": "one", "Key": item(pk), **more}}

    gets = [
        get("a"),
        get("absent"),
        get("big", ProjectionExpression="#d", ExpressionAttributeNames=DAY),
        get("b", ProjectionExpression="nothing"),
    ]
    answer = db("TransactGetItems", TransactItems=gets, ReturnConsumedCapacity="INDEXES")
    assert answer["Responses"] == [{"Item": item("a", n={"N": "1"})}, {}, {"Item": {"day": {"S": "d"}}}, {}]
    units = {"CapacityUnits": 8.0, "ReadCapacityUnits": 8.0}
    assert answer["ConsumedCapacity"] == [{"TableName": "one", **units, "Table": units}]
    twice = db.refusal("TransactGetItems", TransactItems=[get("a"), get("a")])
    assert twice[0] == "ValidationException"
    bad = {"Get": {"TableName": "one", "Key": {"no": {"S": "a"}}}}
    kind, message = db.refusal("TransactGetItems", TransactItems=[get("a"), bad])
    assert kind == "TransactionCanceledException"
    assert message.endswith("[None, ValidationError]")
    many = [get(str(number)) for number in range(101)]
    assert db.refusal("TransactGetItems", TransactItems=many)[0] == "ValidationException"
    assert db.refusal("TransactGetItems", TransactItems=[{}])[0] == "ValidationException"


def statement(text: str, *parameters: Any, **more: Any) -> dict[str, Any]:
    return {"Statement": text, **({"Parameters": list(parameters)} if parameters else {}), **more}


def execute(db: Direct, *statements: dict[str, Any], **more: Any) -> Any:
    return db("ExecuteTransaction", TransactStatements=list(statements), **more)


def test_statements_that_write(db: Direct) -> None:
    """With EXISTS as a condition on another item; no Responses; a token works as for items."""
    statements = [
        statement("UPDATE one SET n = n + 1 WHERE pk = ?", {"S": "a"}),
        statement("INSERT INTO one VALUE {'pk': 'made'}"),
        statement("DELETE FROM one WHERE pk = 'b'"),
        statement("EXISTS(SELECT * FROM one WHERE pk = ? AND attribute_type(x, 'S'))", {"S": "big"}),
    ]
    token = {"ClientRequestToken": "t", "ReturnConsumedCapacity": "TOTAL"}
    answer = execute(db, *statements, **token)
    assert answer == {
        "Responses": [],
        "ConsumedCapacity": [{"TableName": "one", "CapacityUnits": 12.0, "WriteCapacityUnits": 12.0}],
    }
    again = execute(db, *statements, **token)["ConsumedCapacity"]
    assert again == [{"TableName": "one", "CapacityUnits": 8.0, "ReadCapacityUnits": 8.0}]
    assert [one["pk"]["S"] for one in everything(db)] == ["a", "big", "made"]
    assert db("GetItem", TableName="one", Key=item("a"))["Item"]["n"] == {"N": "2"}
    assert len(db.records("one")) == 3


def test_statements_that_cancel(db: Direct) -> None:
    """Each with its reason; nothing is written."""
    before = everything(db)
    kept = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    with pytest.raises(ServiceError) as caught:
        execute(
            db,
            statement("UPDATE one SET n = 3 WHERE pk = 'b'"),
            statement("INSERT INTO one VALUE {'pk': 'a'}"),
            statement("UPDATE one SET n = 3 WHERE pk = 'absent'"),
            statement("DELETE FROM one WHERE pk = 'big' AND x = 'y'", **kept),
            statement("EXISTS(SELECT * FROM one WHERE pk = 'none' AND n IS MISSING)"),
        )
    found = caught.value.extra["CancellationReasons"]
    assert [reason["Code"] for reason in found] == [
        "None",
        "DuplicateItem",
        "ConditionalCheckFailed",
        "ConditionalCheckFailed",
        "ConditionalCheckFailed",
    ]
    assert found[3]["Item"]["pk"] == {"S": "big"}
    assert everything(db) == before


def test_statements_that_read(db: Direct) -> None:
    """By key and nothing else; {} for what is not there."""
    answer = execute(
        db,
        statement("SELECT * FROM one WHERE pk = 'a'"),
        statement("SELECT n FROM one WHERE pk = 'absent'"),
        statement("SELECT n FROM one WHERE pk = 'b'"),
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["Responses"] == [{"Item": item("a", n={"N": "1"})}, {}, {"Item": {}}]
    assert answer["ConsumedCapacity"] == [
        {"TableName": "one", "CapacityUnits": 6.0, "ReadCapacityUnits": 6.0}
    ]


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["SELECT * FROM one WHERE pk = 'a'", "DELETE FROM one WHERE pk = 'b'"], "both read and write"),
        (["UPDATE one SET n = 1 WHERE pk = 'a'", "DELETE FROM one WHERE pk = 'a'"], "multiple operations"),
        (["UPDATE one SET n = 1 WHERE pk = 'a' RETURNING ALL NEW *"], "[0]: RETURNING"),
        (["SELECT * FROM one WHERE pk = 'b' AND n = 1"], "[0]: Select statements within"),
        (["SELECT * FROM one"], "[0]: Select statements within ExecuteTransaction must"),
        (['SELECT * FROM one."by-day" WHERE "day" = \'d\''], "[0]: Reads on indices"),
        (["EXISTS(SELECT * FROM one WHERE pk = 'a')"], "[0]: EXISTS() must contain"),
        (["EXISTS(SELECT * FROM one WHERE n = 1)"], "[0]: EXISTS() must contain"),
        (
            ["DELETE FROM one WHERE pk = 'b'", "UPDATE one SET n = ? WHERE pk = 'a'"],
            "[1]: Number of parameters",
        ),
        (["UPDATE one"], "well formed"),
        ([], "greater than or equal to 1"),
    ],
)
def test_statements_that_are_refused(db: Direct, statements: list[str], message: str) -> None:
    """As a whole, with the place of the one at fault."""
    members = [statement(text) for text in statements]
    kind, said = db.refusal("ExecuteTransaction", TransactStatements=members)
    assert kind == "ValidationException"
    assert message in said


def test_exists_is_for_transactions(db: Direct) -> None:
    """Alone it is refused, and so it is in a batch."""
    text = "EXISTS(SELECT * FROM one WHERE pk = 'a' AND n = 1)"
    said = "EXISTS can only be used in ExecuteTransaction write requests."
    assert db.refusal("ExecuteStatement", Statement=text) == ("ValidationException", said)
    (member,) = db("BatchExecuteStatement", Statements=[statement(text)])["Responses"]
    assert member["Error"] == {"Code": "ValidationError", "Message": said}


def test_boto3_reads_what_a_cancellation_says(sandbox_url: str) -> None:
    """CancellationReasons as boto3 has them, and a token that it makes itself."""
    dynamodb, name = client(sandbox_url), new_name()
    dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **schema(pk="S"))
    check = {"TableName": name, "Key": item("a"), "ConditionExpression": "attribute_exists(pk)"}
    made = {"Put": {"TableName": name, "Item": item("b")}}
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as caught:
        dynamodb.transact_write_items(TransactItems=[made, {"ConditionCheck": check}])
    found = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in found] == ["None", "ConditionalCheckFailed"]
    dynamodb.transact_write_items(TransactItems=[made])
    get = {"Get": {"TableName": name, "Key": item("b")}}
    assert dynamodb.transact_get_items(TransactItems=[get])["Responses"] == [{"Item": item("b")}]

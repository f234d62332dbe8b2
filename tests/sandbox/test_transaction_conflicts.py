"""Transactions whose answer is late: what else happens to their items in the meantime. Faults that look like it."""

from typing import Any

import orjson
import pytest

from refire_async.sandbox.chaos import Chaos
from refire_async.sandbox.clock import VirtualClock
from refire_async.sandbox.database import Database
from refire_async.sandbox.fault_specs import parse_faults
from refire_async.sandbox.http import Request
from refire_async.sandbox.server import Server
from refire_async.sandbox.tables import load_tables
from tests.sandbox.server_support import AUTHORIZATION, schema

KEY = {"pk": {"S": "a"}}
OTHER = {"pk": {"S": "b"}}


class Slow:
    """A server with one table, faults, and a clock that stands still."""

    def __init__(self, *faults: dict[str, Any]) -> None:
        self.clock = VirtualClock()
        database = Database(clock=self.clock)
        table = {"TableName": "table", "BillingMode": "PAY_PER_REQUEST", **schema(pk="S")}
        load_tables(database, [{**table, "Items": [KEY, OTHER]}])
        chaos = Chaos(database, latency=None, seed=0)
        chaos.install(parse_faults({"faults": [*faults]}))
        self._server = Server(database, chaos)

    def __call__(self, operation: str, **request: Any) -> dict[str, Any]:
        """The body of the answer, however late it is; ``__type`` is short."""
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}", "authorization": AUTHORIZATION}
        answer = self._server.handle(Request("POST", "/", headers, orjson.dumps(request)))
        body: dict[str, Any] = orjson.loads(answer.body)
        if "__type" in body:
            body["__type"] = body["__type"].rpartition("#")[2]
        return body

    def write(self, *keys: dict[str, Any], **more: Any) -> dict[str, Any]:
        """A transaction that counts items up."""
        return self("TransactWriteItems", TransactItems=[{"Update": add(key)} for key in keys], **more)

    def count(self, key: dict[str, Any]) -> int:
        """How often an item was counted up."""
        return int(self("GetItem", TableName="table", Key=key)["Item"].get("n", {"N": "0"})["N"])


def add(key: dict[str, Any]) -> dict[str, Any]:
    return {
        "TableName": "table",
        "Key": key,
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }


def statement(key: dict[str, Any]) -> dict[str, Any]:
    return {"Statement": 'UPDATE "table" SET x = 1 WHERE pk = ?', "Parameters": [key["pk"]]}


LATE = {"kind": "latency", "latency": "2s", "operations": ["TransactWriteItems", "ExecuteTransaction"]}


@pytest.mark.parametrize("operation", ["TransactWriteItems", "ExecuteTransaction"])
def test_single_writes_conflict_until_the_transaction_is_answered(operation: str) -> None:
    """Every kind of write of its item; reads and other items go on. After the answer all is as ever."""
    slow = Slow(LATE)
    if operation == "TransactWriteItems":
        slow.write(KEY)
    else:
        slow(operation, TransactStatements=[statement(KEY)])
    writes = [
        ("PutItem", {"TableName": "table", "Item": KEY}),
        ("UpdateItem", add(KEY)),
        ("ExecuteStatement", statement(KEY)),
        ("DeleteItem", {"TableName": "table", "Key": KEY}),
    ]
    for name, request in writes:
        assert slow(name, **request)["__type"] == "TransactionConflictException"
    assert "Item" in slow("GetItem", TableName="table", Key=KEY)
    assert slow("UpdateItem", **add(OTHER)) == {}
    slow.clock.advance(2.01)
    for name, request in writes:
        assert "__type" not in slow(name, **request)


def test_members_of_batches_conflict_alone() -> None:
    """A statement fails with TransactionConflict, an item is unprocessed; their neighbours are written."""
    slow = Slow(LATE)
    slow.write(KEY)
    first, second = slow("BatchExecuteStatement", Statements=[statement(KEY), statement(OTHER)])["Responses"]
    assert first["Error"]["Code"] == "TransactionConflict"
    assert second == {"TableName": "table"}
    puts = [{"PutRequest": {"Item": {**key, "m": {"S": "m"}}}} for key in (KEY, OTHER)]
    answer = slow("BatchWriteItem", RequestItems={"table": puts})
    assert answer["UnprocessedItems"] == {"table": puts[:1]}


def test_transactions_conflict_with_each_other() -> None:
    """The second is cancelled, with the action at fault; it writes nothing. So are its reads."""
    slow = Slow(LATE)
    slow.write(KEY)
    answer = slow.write(OTHER, KEY)
    assert answer["__type"] == "TransactionCanceledException"
    assert [reason["Code"] for reason in answer["CancellationReasons"]] == ["None", "TransactionConflict"]
    read = slow("TransactGetItems", TransactItems=[{"Get": {"TableName": "table", "Key": KEY}}])
    assert [reason["Code"] for reason in read["CancellationReasons"]] == ["TransactionConflict"]
    assert (slow.count(KEY), slow.count(OTHER)) == (1, 0)
    slow.clock.advance(2.01)
    assert slow.write(OTHER, KEY) == {}
    assert (slow.count(KEY), slow.count(OTHER)) == (2, 1)


def test_a_cancelled_transaction_holds_nothing() -> None:
    """Its delayed answer does not affect other requests."""
    slow = Slow(LATE)
    check = {"TableName": "table", "Key": KEY, "ConditionExpression": "attribute_not_exists(pk)"}
    assert "__type" in slow("TransactWriteItems", TransactItems=[{"ConditionCheck": check}])
    assert slow("UpdateItem", **add(KEY)) == {}


def test_a_token_under_way() -> None:
    """Asked for again before the answer, a transaction is in progress; after it, it is done."""
    slow = Slow(LATE)
    token = {"ClientRequestToken": "t"}
    slow.write(KEY, **token)
    assert slow.write(KEY, **token)["__type"] == "TransactionInProgressException"
    slow.clock.advance(2.01)
    assert slow.write(KEY, **token) == {}
    assert slow.count(KEY) == 1


def test_a_transaction_whose_answer_is_lost_was_carried_out() -> None:
    """An error after it: the token tells that it was."""
    slow = Slow({"kind": "internal_error", "when": "after", "operations": ["TransactWriteItems"], "count": 1})
    token = {"ClientRequestToken": "t"}
    assert slow.write(KEY, **token)["__type"] == "InternalServerError"
    assert slow.write(KEY, **token) == {}
    assert slow.count(KEY) == 1


def test_conflicts_as_a_fault() -> None:
    """Of single writes, of members of a batch, and of transactions, which they cancel; nothing is written."""
    slow = Slow({"kind": "transaction_conflict", "tables": ["table"]})
    assert slow("UpdateItem", **add(KEY))["__type"] == "TransactionConflictException"
    answer = slow.write(KEY, OTHER)
    assert [reason["Code"] for reason in answer["CancellationReasons"]] == ["TransactionConflict", "None"]
    answer = slow("ExecuteTransaction", TransactStatements=[statement(KEY)])
    assert [reason["Code"] for reason in answer["CancellationReasons"]] == ["TransactionConflict"]
    slow = Slow({"kind": "transaction_conflict", "scope": "member", "count": 1})
    first, second = slow("BatchExecuteStatement", Statements=[statement(KEY), statement(OTHER)])["Responses"]
    assert first["Error"] == {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
    assert "Error" not in second


def test_throttling_as_a_fault_cancels_a_transaction() -> None:
    """With the code that the reason has."""
    slow = Slow({"kind": "throttle", "reason": "TableWriteKeyRangeThroughputExceeded"})
    answer = slow.write(KEY, OTHER)
    assert answer["__type"] == "TransactionCanceledException"
    assert answer["CancellationReasons"][0]["Code"] in ("ThrottlingError", "ProvisionedThroughputExceeded")

"""The AWS CLI, unchanged, runs every operation that the sandbox has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name

from refire_async.sandbox import SandboxConfig, SandboxProcess
from refire_async.sandbox.operations import OPERATIONS
from tests.sandbox.aws_cli import AwsCli, ensure_aws_cli
from tests.sandbox.server_support import schema

TABLE = {"TableName": "orders"}
KEY = {"pk": {"S": "a"}, "sk": {"N": "1"}}
STREAM = {"StreamArn": "$stream"}


@dataclass(frozen=True)
class Step:
    """A command; what its ``query`` finds in the answer must be ``expected`` or, with a name, is kept as ``$name``."""

    operation: str
    request: dict[str, Any]
    query: str
    expected: Any = None
    arguments: tuple[str, ...] = ()
    name: str = ""
    service: str = "DynamoDB"


def streams(
    operation: str, request: dict[str, Any], query: str, expected: Any = None, name: str = ""
) -> Step:
    """A command on streams."""
    return Step(operation, request, query, expected, name=name, service="DynamoDBStreams")


STEPS = [
    Step(
        "CreateTable",
        {
            **TABLE,
            **schema(pk="S", sk="N"),
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        },
        "TableDescription.LatestStreamArn",
        name="stream",
    ),
    Step("DescribeTable", TABLE, "Table.TableStatus", "ACTIVE"),
    Step("ListTables", {}, "TableNames", ["orders"]),
    Step(
        "UpdateTable",
        {**TABLE, "DeletionProtectionEnabled": True},
        "TableDescription.DeletionProtectionEnabled",
        expected=True,
    ),
    Step(
        "UpdateTable", {**TABLE, "DeletionProtectionEnabled": False}, "TableDescription.TableName", "orders"
    ),
    Step(
        "UpdateTimeToLive",
        {**TABLE, "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "until"}},
        "TimeToLiveSpecification.AttributeName",
        "until",
    ),
    Step("DescribeTimeToLive", TABLE, "TimeToLiveDescription.AttributeName", "until"),
    Step(
        "DescribeContinuousBackups",
        TABLE,
        "ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus",
        "DISABLED",
    ),
    Step("DescribeKinesisStreamingDestination", TABLE, "KinesisDataStreamDestinations", []),
    Step("DescribeLimits", {}, "TableMaxWriteCapacityUnits", 40_000),
    Step(
        "PutItem",
        {**TABLE, "Item": {**KEY, "tags": {"SS": ["x", "y"]}}, "ReturnConsumedCapacity": "TOTAL"},
        "ConsumedCapacity.CapacityUnits",
        1.0,
    ),
    Step("GetItem", {**TABLE, "Key": KEY, "ConsistentRead": True}, "Item.tags.SS", ["x", "y"]),
    Step(
        "UpdateItem",
        {
            **TABLE,
            "Key": KEY,
            "UpdateExpression": "ADD revision :one",
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
            "ReturnValues": "UPDATED_NEW",
        },
        "Attributes",
        {"revision": {"N": "1"}},
    ),
    Step(
        "BatchWriteItem",
        {
            "RequestItems": {
                "orders": [
                    {"PutRequest": {"Item": {"pk": {"S": "b"}, "sk": {"N": str(number)}}}}
                    for number in range(5)
                ]
            }
        },
        "keys(UnprocessedItems)",
        [],
    ),
    Step(
        "BatchGetItem",
        {"RequestItems": {"orders": {"Keys": [KEY, {"pk": {"S": "b"}, "sk": {"N": "4"}}]}}},
        "length(Responses.orders)",
        2,
    ),
    # Pages of two, which the CLI puts together.
    Step(
        "Query",
        {
            **TABLE,
            "KeyConditionExpression": "pk = :b AND sk > :low",
            "ExpressionAttributeValues": {":b": {"S": "b"}, ":low": {"N": "0"}},
            "ScanIndexForward": False,
        },
        "Items[].sk.N",
        ["4", "3", "2", "1"],
        arguments=("--page-size", "2"),
    ),
    Step("Scan", TABLE, "length(Items)", 6, arguments=("--page-size", "2")),
    Step(
        "ExecuteStatement",
        {
            "Statement": "SELECT revision FROM orders WHERE pk = ? AND sk = ?",
            "Parameters": list(KEY.values()),
        },
        "Items",
        [{"revision": {"N": "1"}}],
    ),
    Step(
        "BatchExecuteStatement",
        {
            "Statements": [
                {
                    "Statement": f"UPDATE orders SET revision = 1 WHERE pk = 'b' AND sk = {number}"
                    " AND revision IS MISSING"
                }
                for number in (4, 9)
            ]
        },
        "Responses[].Error.Code",
        ["ConditionalCheckFailed"],
    ),
    Step(
        "TransactWriteItems",
        {
            "TransactItems": [
                {"Put": {**TABLE, "Item": {"pk": {"S": "t"}, "sk": {"N": "1"}}}},
                {"ConditionCheck": {**TABLE, "Key": KEY, "ConditionExpression": "attribute_exists(pk)"}},
            ],
            "ReturnConsumedCapacity": "TOTAL",
        },
        "ConsumedCapacity[0].WriteCapacityUnits",
        4.0,
    ),
    Step(
        "TransactGetItems",
        {"TransactItems": [{"Get": {**TABLE, "Key": {"pk": {"S": "t"}, "sk": {"N": "1"}}}}]},
        "Responses[0].Item.pk.S",
        "t",
    ),
    Step(
        "ExecuteTransaction",
        {"TransactStatements": [{"Statement": "DELETE FROM orders WHERE pk = 't' AND sk = 1"}]},
        "Responses",
        [],
    ),
    Step("DeleteItem", {**TABLE, "Key": KEY, "ReturnValues": "ALL_OLD"}, "Attributes.revision.N", "1"),
    streams("ListStreams", TABLE, "Streams[].TableName", ["orders"]),
    streams("DescribeStream", STREAM, "StreamDescription.Shards[0].ShardId", name="shard"),
    streams(
        "GetShardIterator",
        {**STREAM, "ShardId": "$shard", "ShardIteratorType": "TRIM_HORIZON"},
        "ShardIterator",
        name="iterator",
    ),
    streams("GetRecords", {"ShardIterator": "$iterator"}, "Records[0].eventName", "INSERT"),
    Step("DeleteTable", TABLE, "TableDescription.TableStatus", "DELETING"),
    Step("ListTables", {}, "TableNames", []),
]


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_the_aws_cli_runs_every_operation(tmp_path: Path) -> None:
    """One command after the other gives what it should, and no operation is left out."""
    assert {f"{step.service}_20120810.{step.operation}" for step in STEPS} == set(OPERATIONS)
    python = ensure_aws_cli()
    kept: dict[str, str] = {}
    with SandboxProcess(SandboxConfig(partitions=1)) as sandbox:
        aws = AwsCli(python, sandbox.url, tmp_path)
        for step in STEPS:
            request = {
                name: kept[value[1:]] if isinstance(value, str) and value.startswith("$") else value
                for name, value in step.request.items()
            }
            command = xform_name(step.operation, "-")
            found = aws(step.service.lower(), command, "--query", step.query, *step.arguments, **request)
            if step.name:
                assert found, step
                kept[step.name] = found
            else:
                assert found == step.expected, step


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_the_aws_cli_says_errors_and_waits(tmp_path: Path, sandbox_url: str) -> None:
    """A failed condition is told with its code and ends the command with 254 or 255; waiters see tables come and go."""
    aws = AwsCli(ensure_aws_cli(), sandbox_url, tmp_path)
    table = {"TableName": "awaited"}
    aws("dynamodb", "create-table", **table, **schema(pk="S"), BillingMode="PAY_PER_REQUEST")
    assert aws("dynamodb", "wait", "table-exists", **table) is None
    write = {**table, "Item": {"pk": {"S": "a"}}, "ConditionExpression": "attribute_exists(pk)"}
    refused = aws.run("dynamodb", "put-item", request=write)
    assert refused.returncode in (254, 255)
    assert "(ConditionalCheckFailedException) when calling the PutItem operation" in refused.stderr
    aws("dynamodb", "delete-table", **table)
    assert aws("dynamodb", "wait", "table-not-exists", **table) is None

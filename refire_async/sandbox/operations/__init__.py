"""Operations by the value of ``X-Amz-Target``; each takes the session and the parsed request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refire_async.sandbox.database import Session
from refire_async.sandbox.operations.batch_items import batch_get_item, batch_write_item
from refire_async.sandbox.operations.create_table import create_table, delete_table
from refire_async.sandbox.operations.describe_table import describe_table
from refire_async.sandbox.operations.get_item import get_item
from refire_async.sandbox.operations.item_writes import delete_item, put_item, update_item
from refire_async.sandbox.operations.query_scan import query, scan
from refire_async.sandbox.operations.small import (
    describe_continuous_backups,
    describe_kinesis_streaming_destination,
    describe_limits,
    describe_time_to_live,
    list_tables,
    update_time_to_live,
)
from refire_async.sandbox.operations.statements import batch_execute_statement, execute_statement
from refire_async.sandbox.operations.stream_reads import (
    describe_stream,
    get_records,
    get_shard_iterator,
    list_streams,
)
from refire_async.sandbox.operations.transact_items import transact_get_items, transact_write_items
from refire_async.sandbox.operations.transact_statements import execute_transaction
from refire_async.sandbox.operations.update_table import update_table

Operation = Callable[[Session, dict[str, Any]], dict[str, Any]]

OPERATIONS: dict[str, Operation] = {
    "DynamoDB_20120810.BatchExecuteStatement": batch_execute_statement,
    "DynamoDB_20120810.BatchGetItem": batch_get_item,
    "DynamoDB_20120810.BatchWriteItem": batch_write_item,
    "DynamoDB_20120810.CreateTable": create_table,
    "DynamoDB_20120810.DeleteItem": delete_item,
    "DynamoDB_20120810.DeleteTable": delete_table,
    "DynamoDB_20120810.DescribeContinuousBackups": describe_continuous_backups,
    "DynamoDB_20120810.DescribeKinesisStreamingDestination": describe_kinesis_streaming_destination,
    "DynamoDB_20120810.DescribeLimits": describe_limits,
    "DynamoDB_20120810.DescribeTable": describe_table,
    "DynamoDB_20120810.DescribeTimeToLive": describe_time_to_live,
    "DynamoDB_20120810.ExecuteStatement": execute_statement,
    "DynamoDB_20120810.ExecuteTransaction": execute_transaction,
    "DynamoDB_20120810.GetItem": get_item,
    "DynamoDB_20120810.ListTables": list_tables,
    "DynamoDB_20120810.PutItem": put_item,
    "DynamoDB_20120810.Query": query,
    "DynamoDB_20120810.Scan": scan,
    "DynamoDB_20120810.TransactGetItems": transact_get_items,
    "DynamoDB_20120810.TransactWriteItems": transact_write_items,
    "DynamoDB_20120810.UpdateItem": update_item,
    "DynamoDB_20120810.UpdateTable": update_table,
    "DynamoDB_20120810.UpdateTimeToLive": update_time_to_live,
    "DynamoDBStreams_20120810.DescribeStream": describe_stream,
    "DynamoDBStreams_20120810.GetRecords": get_records,
    "DynamoDBStreams_20120810.GetShardIterator": get_shard_iterator,
    "DynamoDBStreams_20120810.ListStreams": list_streams,
}

OPERATION_NAMES = frozenset(target.partition(".")[2] for target in OPERATIONS)

"""DescribeTable, and the description that other operations return too."""

from __future__ import annotations

from typing import Any

from refire_async.sandbox.database import Session
from refire_async.sandbox.operations.common import TABLE_NAME
from refire_async.sandbox.shapes import check, structure
from refire_async.sandbox.store.index import SecondaryIndex
from refire_async.sandbox.store.keys import KeySchema
from refire_async.sandbox.store.table import Table, Throughput

_SHAPE = structure({"TableName": TABLE_NAME})


def describe_table(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """DescribeTable. ItemCount and TableSizeBytes are exact, where the service refreshes them every six hours."""
    check(_SHAPE, request)
    return {"Table": description(session.database.described_table(request["TableName"]))}


def description(table: Table, *, status: str = "ACTIVE") -> dict[str, Any]:
    """TableDescription of the API."""
    shown: dict[str, Any] = {
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": type_} for name, type_ in table.attribute_types.items()
        ],
        "TableName": table.name,
        "KeySchema": key_schema(table.schema),
        "TableStatus": status,
        "CreationDateTime": round(table.created, 3),
        "ProvisionedThroughput": _provisioned(table.throughput),
        "TableSizeBytes": table.size_bytes,
        "ItemCount": len(table.rows),
        "TableArn": table.arn,
        "TableId": table.id,
        "DeletionProtectionEnabled": table.deletion_protection,
        "WarmThroughput": _warm(table, None),
    }
    if table.billing == "PAY_PER_REQUEST":
        shown["BillingModeSummary"] = {"BillingMode": "PAY_PER_REQUEST"}
        if table.billing_changed_at is not None:
            shown["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] = round(
                table.billing_changed_at, 3
            )
        _add_maximum(shown, table.throughput)
    local = [index for index in table.indexes.values() if not index.is_global]
    if local:
        shown["LocalSecondaryIndexes"] = [_index(table, index) for index in local]
    glob = [index for index in table.indexes.values() if index.is_global]
    if glob:
        shown["GlobalSecondaryIndexes"] = [_global_index(table, index) for index in glob]
    if table.streams:
        stream = table.streams[-1]
        if stream.enabled:
            shown["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": stream.view_type}
        shown["LatestStreamLabel"] = stream.label
        shown["LatestStreamArn"] = table.stream_arn(stream)
    return shown


def key_schema(schema: KeySchema) -> list[dict[str, str]]:
    """KeySchema of the API."""
    return [
        {"AttributeName": name, "KeyType": role}
        for role, names in (("HASH", schema.hash_names), ("RANGE", schema.range_names))
        for name in names
    ]


def _index(table: Table, index: SecondaryIndex) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": index.projection.type}
    if index.projection.names:
        projection["NonKeyAttributes"] = list(index.projection.names)
    return {
        "IndexName": index.name,
        "KeySchema": key_schema(index.schema),
        "Projection": projection,
        "IndexSizeBytes": index.size_bytes,
        "ItemCount": len(index.rows),
        "IndexArn": f"{table.arn}/index/{index.name}",
    }


def _global_index(table: Table, index: SecondaryIndex) -> dict[str, Any]:
    throughput = table.index_throughput[index.name]
    shown = _index(table, index)
    shown["IndexStatus"] = "ACTIVE"
    shown["ProvisionedThroughput"] = _provisioned(throughput)
    shown["WarmThroughput"] = _warm(table, index.name)
    if table.billing == "PAY_PER_REQUEST":
        _add_maximum(shown, throughput)
    return shown


def _provisioned(throughput: Throughput) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "NumberOfDecreasesToday": throughput.decreases_today,
        "ReadCapacityUnits": throughput.read,
        "WriteCapacityUnits": throughput.write,
    }
    if throughput.increased_at is not None:
        shown["LastIncreaseDateTime"] = round(throughput.increased_at, 3)
    if throughput.decreased_at is not None:
        shown["LastDecreaseDateTime"] = round(throughput.decreased_at, 3)
    return shown


def _warm(table: Table, index: str | None) -> dict[str, Any]:
    read, write = table.capacity.warm_throughput(index)
    return {"ReadUnitsPerSecond": int(read), "WriteUnitsPerSecond": int(write), "Status": "ACTIVE"}


def _add_maximum(shown: dict[str, Any], throughput: Throughput) -> None:
    maximum = {}
    if throughput.max_read is not None:
        maximum["MaxReadRequestUnits"] = throughput.max_read
    if throughput.max_write is not None:
        maximum["MaxWriteRequestUnits"] = throughput.max_write
    if maximum:
        shown["OnDemandThroughput"] = maximum

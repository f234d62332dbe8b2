"""UpdateTable: throughput, billing mode, stream, global indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from refire_async.sandbox.database import Session
from refire_async.sandbox.errors import resource_not_found, validation
from refire_async.sandbox.operations import table_settings as settings
from refire_async.sandbox.operations.common import INDEX_NAME, TABLE_NAME
from refire_async.sandbox.operations.describe_table import description
from refire_async.sandbox.shapes import boolean, check, list_of, mapping_of_anything, structure, text
from refire_async.sandbox.store.keys import BEYOND
from refire_async.sandbox.store.table import BillingMode, Table, Throughput

_SHAPE = structure(
    {"TableName": TABLE_NAME},
    AttributeDefinitions=settings.ATTRIBUTE_DEFINITIONS,
    BillingMode=settings.BILLING,
    ProvisionedThroughput=settings.PROVISIONED,
    OnDemandThroughput=settings.ON_DEMAND,
    WarmThroughput=settings.WARM,
    StreamSpecification=settings.STREAM,
    SSESpecification=mapping_of_anything,
    TableClass=text(of=("STANDARD", "STANDARD_INFREQUENT_ACCESS")),
    DeletionProtectionEnabled=boolean,
    GlobalSecondaryIndexUpdates=list_of(
        structure(
            Create=settings.GLOBAL_INDEX,
            Update=structure(
                {"IndexName": INDEX_NAME},
                ProvisionedThroughput=settings.PROVISIONED,
                OnDemandThroughput=settings.ON_DEMAND,
                WarmThroughput=settings.WARM,
            ),
            Delete=structure({"IndexName": INDEX_NAME}),
        )
    ),
)
_CHANGES = (
    "BillingMode",
    "ProvisionedThroughput",
    "OnDemandThroughput",
    "WarmThroughput",
    "StreamSpecification",
    "SSESpecification",
    "TableClass",
    "DeletionProtectionEnabled",
    "GlobalSecondaryIndexUpdates",
)


def update_table(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """UpdateTable. Everything takes effect at once; the response says UPDATING as the service's does."""
    check(_SHAPE, request)
    table = session.database.described_table(request["TableName"])
    if not any(request.get(member) is not None for member in _CHANGES):
        raise validation(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, "
            "GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required"
        )
    now = session.database.clock.time()
    updates = [
        (action, member[action])
        for member in request.get("GlobalSecondaryIndexUpdates") or ()
        for action in ("Create", "Update", "Delete")
        if action in member
    ]
    if sum(action != "Update" for action, _ in updates) > 1:
        raise settings.limit_exceeded(
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
        )
    _update_billing(table, request, updates, now)
    for action, content in updates:
        if action == "Create":
            _create_index(table, content, request)
        elif action == "Update":
            _update_index(table, content, now)
        else:
            _delete_index(table, content["IndexName"])
    _update_stream(table, request.get("StreamSpecification"), now)
    if request.get("DeletionProtectionEnabled") is not None:
        table.deletion_protection = request["DeletionProtectionEnabled"]
    return {"TableDescription": description(table, status="UPDATING")}


def _update_billing(
    table: Table, request: Mapping[str, Any], updates: list[tuple[str, dict[str, Any]]], now: float
) -> None:
    billing: BillingMode = request.get("BillingMode") or table.billing
    switched = billing != table.billing
    provisioned, on_demand = request.get("ProvisionedThroughput"), request.get("OnDemandThroughput")
    if switched:
        parsed = settings.parse_throughput(request, billing)
        given = {content["IndexName"]: content for action, content in updates if action == "Update"}
        indexes = {
            name: settings.parse_throughput(given.get(name, {}), billing, name)
            for name in table.index_throughput
        }
        table.billing = billing
        table.billing_changed_at = now
        table.throughput = parsed
        table.index_throughput = indexes
        for name, throughput in indexes.items():
            table.capacity.resize(name, settings.capacity_of(throughput, billing))
    elif provisioned is not None or on_demand is not None:
        if provisioned is not None:
            if billing == "PAY_PER_REQUEST":
                settings.parse_throughput(request, billing)  # says why not
            _provision(
                table.throughput, settings.parse_throughput(request, billing), "table", table.name, now
            )
        else:
            if billing == "PROVISIONED":
                raise validation(
                    "One or more parameter values were invalid: OnDemandThroughput should not be specified "
                    "when BillingMode is PROVISIONED"
                )
            settings.set_maximum(table.throughput, on_demand or {})
    if switched or provisioned is not None or on_demand is not None:
        table.capacity.resize(None, settings.capacity_of(table.throughput, billing))
    _prewarm(table, None, table.throughput, request.get("WarmThroughput"))


def _provision(current: Throughput, wanted: Throughput, kind: str, name: str, now: float) -> None:
    if (current.read, current.write) == (wanted.read, wanted.write):
        raise validation(
            f"The provisioned throughput for the {kind} will not change. The requested value equals the current "
            f"value. Current ReadCapacityUnits provisioned for the {kind}: {current.read}. Requested "
            f"ReadCapacityUnits: {wanted.read}. Current WriteCapacityUnits provisioned for the {kind}: "
            f"{current.write}. Requested WriteCapacityUnits: {wanted.write}. Refer to the Amazon DynamoDB Developer "
            f"Guide for current limits and how to request higher limits. ({name})"
        )
    if wanted.read > current.read or wanted.write > current.write:
        current.increased_at = now
    if wanted.read < current.read or wanted.write < current.write:
        current.decreased_at = now
        current.decreases_today += 1
    current.read, current.write = wanted.read, wanted.write


def _prewarm(table: Table, index: str | None, throughput: Throughput, warm: Mapping[str, int] | None) -> None:
    if not warm:
        return
    read, write = table.capacity.warm_throughput(index)
    wanted_read = warm.get("ReadUnitsPerSecond", int(read))
    wanted_write = warm.get("WriteUnitsPerSecond", int(write))
    if wanted_read < int(read) or wanted_write < int(write):
        raise validation(
            "One or more parameter values were invalid: Requested WarmThroughput "
            f"({wanted_read}, {wanted_write}) is below the current one ({int(read)}, {int(write)})"
        )
    throughput.warm_read, throughput.warm_write = wanted_read, wanted_write
    table.capacity.prewarm(index, read=wanted_read, write=wanted_write)


def _create_index(table: Table, member: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    types = settings.parse_attribute_types(request.get("AttributeDefinitions") or ())
    for name, type_ in table.attribute_types.items():
        if types.setdefault(name, type_) != type_:
            raise validation(
                "One or more parameter values were invalid: "
                f"Attribute {name} is defined as {type_} and cannot be redefined"
            )
    index = settings.parse_index(member, types, table.schema, is_global=True)
    if index.name in table.indexes:
        raise validation(f"Attempting to create an index which already exists: {index.name}")
    settings.check_indexes([*table.indexes.values(), index])
    throughput = settings.parse_throughput(member, table.billing, index.name)
    table.attribute_types = {
        name: type_
        for name, type_ in types.items()
        if name in table.attribute_types or name in index.schema.names
    }
    for key, row in table.rows.between((0,), BEYOND):
        entry = index.entry(orjson.loads(row[0]), key, row)
        if entry is not None:
            index.replace(*entry)
    table.indexes[index.name] = index
    table.index_throughput[index.name] = throughput
    table.capacity.add_index(
        index.name, settings.resource_spec(throughput, table.billing, size_bytes=index.size_bytes)
    )


def _update_index(table: Table, member: Mapping[str, Any], now: float) -> None:
    name = member["IndexName"]
    throughput = table.index_throughput.get(name)
    if throughput is None:
        raise _no_index(name)
    if member.get("ProvisionedThroughput") is not None:
        wanted = settings.parse_throughput(member, table.billing, name)
        if (wanted.read, wanted.write) != (throughput.read, throughput.write):
            _provision(throughput, wanted, "index", name, now)
    elif member.get("OnDemandThroughput") is not None:
        settings.set_maximum(throughput, member["OnDemandThroughput"])
    table.capacity.resize(name, settings.capacity_of(throughput, table.billing))
    _prewarm(table, name, throughput, member.get("WarmThroughput"))


def _delete_index(table: Table, name: str) -> None:
    if name not in table.index_throughput:
        raise _no_index(name)
    del table.indexes[name], table.index_throughput[name]
    table.capacity.drop_index(name)
    table.forget_partitions(name)
    used = {*table.schema.names, *(n for index in table.indexes.values() for n in index.schema.names)}
    table.attribute_types = {n: type_ for n, type_ in table.attribute_types.items() if n in used}


def _no_index(name: str) -> Exception:
    return resource_not_found(f"Requested resource not found: Index: {name} not found")


def _update_stream(table: Table, wanted: Mapping[str, Any] | None, now: float) -> None:
    if wanted is None:
        return
    stream = table.stream
    if wanted["StreamEnabled"]:
        if stream is not None:
            raise validation(f"Table already has an enabled stream: TableName: {table.name}")
        settings.open_stream(table, wanted.get("StreamViewType"), now)
        return
    if stream is None:
        raise validation(f"Table already has stream disabled: TableName: {table.name}")
    stream.close()

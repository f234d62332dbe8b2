"""CreateTable and DeleteTable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refire_async.sandbox.capacity.model import TableCapacity
from refire_async.sandbox.database import Database, Session, check_name
from refire_async.sandbox.errors import resource_in_use, validation
from refire_async.sandbox.operations import table_settings as settings
from refire_async.sandbox.operations.common import TABLE_NAME
from refire_async.sandbox.operations.describe_table import description
from refire_async.sandbox.shapes import boolean, check, list_of, mapping_of_anything, structure, text
from refire_async.sandbox.store.table import BillingMode, Table, table_arn, table_name

_CREATE = structure(
    {
        "AttributeDefinitions": settings.ATTRIBUTE_DEFINITIONS,
        "TableName": TABLE_NAME,
        "KeySchema": settings.KEY_SCHEMA,
    },
    LocalSecondaryIndexes=list_of(settings.LOCAL_INDEX),
    GlobalSecondaryIndexes=list_of(settings.GLOBAL_INDEX),
    BillingMode=settings.BILLING,
    ProvisionedThroughput=settings.PROVISIONED,
    OnDemandThroughput=settings.ON_DEMAND,
    WarmThroughput=settings.WARM,
    StreamSpecification=settings.STREAM,
    SSESpecification=mapping_of_anything,
    Tags=settings.TAGS,
    TableClass=text(of=("STANDARD", "STANDARD_INFREQUENT_ACCESS")),
    DeletionProtectionEnabled=boolean,
    ResourcePolicy=text(),
)
_DELETE = structure({"TableName": TABLE_NAME})


def create_table(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """CreateTable. The response says CREATING as the service's does; the table can be used at once."""
    table = new_table(session.database, session.region, request)
    session.database.tables[table.name] = table
    return {"TableDescription": description(table, status="CREATING")}


def new_table(database: Database, region: str, request: dict[str, Any], size_bytes: int = 0) -> Table:
    """A table as CreateTable's members describe it, not yet in the database.

    ``size_bytes`` is how much it is about to hold, which decides on its partitions.
    """
    check(_CREATE, request)
    name = table_name(request["TableName"])
    check_name(name)
    types = settings.parse_attribute_types(request["AttributeDefinitions"])
    schema = settings.parse_key_schema(request["KeySchema"], types)
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        if request.get(member) == []:
            raise validation(f"One or more parameter values were invalid: List of {member} is empty")
    local = [
        settings.parse_index(member, types, schema, is_global=False)
        for member in request.get("LocalSecondaryIndexes") or ()
    ]
    members: dict[str, Mapping[str, Any]] = {}
    glob = []
    for member in request.get("GlobalSecondaryIndexes") or ():
        glob.append(settings.parse_index(member, types, schema, is_global=True))
        members[member["IndexName"]] = member
    settings.check_indexes([*local, *glob])
    settings.check_definitions_used(types, [schema, *(index.schema for index in (*local, *glob))])
    billing: BillingMode = request.get("BillingMode") or "PROVISIONED"
    throughput = settings.parse_throughput(request, billing)
    index_throughput = {name: settings.parse_throughput(members[name], billing, name) for name in members}
    if name in database.tables:
        raise resource_in_use(f"Table already exists: {name}")
    indexes = {index: settings.resource_spec(index_throughput[index], billing) for index in members}
    capacity = TableCapacity(
        database.clock,
        table_arn(region, name),
        settings.resource_spec(throughput, billing, size_bytes=size_bytes, partitions=database.partitions),
        indexes=indexes,
        settings=database.settings,
    )
    now = database.clock.time()
    table = Table(
        name, region, now, schema, types, billing, throughput, capacity, index_throughput=index_throughput
    )
    table.indexes = {index.name: index for index in (*local, *glob)}
    table.deletion_protection = bool(request.get("DeletionProtectionEnabled"))
    if billing == "PAY_PER_REQUEST":
        table.billing_changed_at = now
    stream = request.get("StreamSpecification")
    if stream is not None and stream["StreamEnabled"]:
        settings.open_stream(table, stream.get("StreamViewType"), now)
    return table


def delete_table(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """DeleteTable. The table is gone at once; its streams, which the service keeps for 24 hours, too."""
    check(_DELETE, request)
    table = session.database.described_table(request["TableName"])
    if table.deletion_protection:
        raise validation(
            "Resource cannot be deleted as it is currently protected against deletion. "
            "Disable deletion protection first."
        )
    del session.database.tables[table.name]
    return {"TableDescription": description(table, status="DELETING")}

"""Members of CreateTable and UpdateTable that say how a table or index is made: shapes, checks, parsing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from refire_async.sandbox.capacity.specs import OnDemand, Provisioned, ResourceSpec
from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.operations.common import INDEX_NAME
from refire_async.sandbox.shapes import boolean, integer, list_of, mapping_of_anything, structure, text
from refire_async.sandbox.store.index import Projection, SecondaryIndex
from refire_async.sandbox.store.keys import KeySchema
from refire_async.sandbox.store.table import BillingMode, Table, Throughput
from refire_async.sandbox.streams.log import StreamLog

_INVALID = "One or more parameter values were invalid: "
_MAX_UNITS = 1_000_000_000_000
_MAX_GLOBAL = 20
_MAX_LOCAL = 5
_MAX_PROJECTED = 100
# Developer Guide: Global secondary indexes, Multi-attribute key schema: of HASH and of RANGE attributes each.
_MAX_ATTRIBUTES = 4

ATTRIBUTE_DEFINITIONS = list_of(
    structure({"AttributeName": text(1, 255), "AttributeType": text(of=("B", "N", "S"))})
)
_KEY_ELEMENT = structure({"AttributeName": text(1, 255), "KeyType": text(of=("HASH", "RANGE"))})
KEY_SCHEMA = list_of(_KEY_ELEMENT, 1, 2)
_GLOBAL_KEY_SCHEMA = list_of(_KEY_ELEMENT, 1, 2 * _MAX_ATTRIBUTES)
_PROJECTION = structure(
    ProjectionType=text(of=("ALL", "INCLUDE", "KEYS_ONLY")), NonKeyAttributes=list_of(text(1, 255), 1, 20)
)
PROVISIONED = structure({"ReadCapacityUnits": integer(1), "WriteCapacityUnits": integer(1)})
ON_DEMAND = structure(MaxReadRequestUnits=integer(-1), MaxWriteRequestUnits=integer(-1))
WARM = structure(ReadUnitsPerSecond=integer(1), WriteUnitsPerSecond=integer(1))
BILLING = text(of=("PROVISIONED", "PAY_PER_REQUEST"))
STREAM = structure(
    {"StreamEnabled": boolean},
    StreamViewType=text(of=("NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY")),
)
GLOBAL_INDEX = structure(
    {"IndexName": INDEX_NAME, "KeySchema": _GLOBAL_KEY_SCHEMA, "Projection": _PROJECTION},
    ProvisionedThroughput=PROVISIONED,
    OnDemandThroughput=ON_DEMAND,
    WarmThroughput=WARM,
)
LOCAL_INDEX = structure({"IndexName": INDEX_NAME, "KeySchema": KEY_SCHEMA, "Projection": _PROJECTION})
TAGS = list_of(mapping_of_anything)


def parse_attribute_types(definitions: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """AttributeDefinitions as types by name."""
    types: dict[str, str] = {}
    for definition in definitions:
        name, type_ = definition["AttributeName"], definition["AttributeType"]
        if name in types:
            raise validation(f"{_INVALID}Cannot have multiple definitions for attribute {name}")
        types[name] = type_
    return types


def parse_key_schema(
    elements: Sequence[Mapping[str, str]], types: Mapping[str, str], *, multiple: bool = False
) -> KeySchema:
    """KeySchema of a table or index; every attribute must be defined.

    ``multiple``: up to four HASH attributes, then up to four RANGE attributes, instead of one of each.
    """
    names = [element["AttributeName"] for element in elements]
    missing = [name for name in names if name not in types]
    if missing:
        raise validation(
            f"{_INVALID}Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(names)}], AttributeDefinitions: [{', '.join(types)}]"
        )
    if elements[0]["KeyType"] != "HASH":
        raise validation("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    hashes, ranges = (
        [
            (name, types[name])
            for name, element in zip(names, elements, strict=True)
            if element["KeyType"] == role
        ]
        for role in ("HASH", "RANGE")
    )
    if len({*names}) < len(names):
        if len(names) == 2 and ranges:
            raise validation(
                "Both the Hash Key and the Range Key element in the KeySchema have the same name"
            )
        raise validation(f"Invalid KeySchema: Duplicate attributes in KeySchema: [{', '.join(names)}]")
    if len(names) == 2 and not ranges and not multiple:
        raise validation("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
    if [name for name, _ in (*hashes, *ranges)] != names:
        raise validation("Invalid KeySchema: A HASH key type follows a RANGE key type")
    for role, found in (("HASH", hashes), ("RANGE", ranges)):
        if len(found) > _MAX_ATTRIBUTES:
            raise validation(
                f"Invalid KeySchema: {len(found)} {role} key attributes exceed the limit of {_MAX_ATTRIBUTES}"
            )
    return KeySchema(hashes, ranges)


def parse_index(
    member: Mapping[str, Any], types: Mapping[str, str], base: KeySchema, *, is_global: bool
) -> SecondaryIndex:
    """One member of GlobalSecondaryIndexes or LocalSecondaryIndexes."""
    name = member["IndexName"]
    schema = parse_key_schema(member["KeySchema"], types, multiple=is_global)
    if not is_global:
        _check_local(name, schema, base)
    type_ = member["Projection"].get("ProjectionType")
    if type_ is None:
        raise validation(f"{_INVALID}Unknown ProjectionType: null")
    names = tuple(member["Projection"].get("NonKeyAttributes") or ())
    if names and type_ != "INCLUDE":
        raise validation(f"{_INVALID}ProjectionType is {type_}, but NonKeyAttributes is specified")
    if not names and type_ == "INCLUDE":
        raise validation(f"{_INVALID}ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
    return SecondaryIndex(name, schema, Projection(type_, names), base, is_global=is_global)


def _check_local(name: str, schema: KeySchema, base: KeySchema) -> None:
    if not base.ranges:
        raise validation(
            f"{_INVALID}Table KeySchema does not have a range key, "
            "which is required when specifying a LocalSecondaryIndex"
        )
    if not schema.ranges:
        raise validation(f"{_INVALID}Index KeySchema does not have a range key for index: {name}")
    if schema.hash_names != base.hash_names:
        raise validation(
            f"{_INVALID}Index KeySchema does not have the same leading hash key as table KeySchema for index: "
            f"{name}. index hash key: {schema.hash_names[0]}, table hash key: {base.hash_names[0]}"
        )


def check_indexes(indexes: Sequence[SecondaryIndex]) -> None:
    """Names are unique and the per-table limits hold."""
    names: set[str] = set()
    for index in indexes:
        if index.name in names:
            raise validation(f"{_INVALID}Duplicate index name: {index.name}")
        names.add(index.name)
    for limit, kind, is_global in (
        (_MAX_GLOBAL, "GlobalSecondaryIndex", True),
        (_MAX_LOCAL, "LocalSecondaryIndex", False),
    ):
        if sum(index.is_global is is_global for index in indexes) > limit:
            raise validation(f"{_INVALID}{kind} count exceeds the per-table limit of {limit}")
    projected = sum(len(index.projection.names) for index in indexes)
    if projected > _MAX_PROJECTED:
        raise validation(
            f"{_INVALID}The total number of NonKeyAttributes of all indexes exceeds the limit of {_MAX_PROJECTED}"
        )


def check_definitions_used(types: Mapping[str, str], schemas: Sequence[KeySchema]) -> None:
    """Every defined attribute must be a key of the table or of an index."""
    used = {name for schema in schemas for name in schema.names}
    unused = [name for name in types if name not in used]
    if not unused:
        return
    if len(schemas) == 1:
        raise validation(
            f"{_INVALID}Number of attributes in KeySchema does not exactly match "
            "number of attributes defined in AttributeDefinitions"
        )
    raise validation(
        f"{_INVALID}Some AttributeDefinitions are not used. AttributeDefinitions: [{', '.join(types)}], "
        f"keys used: [{', '.join(sorted(used))}]"
    )


def parse_throughput(member: Mapping[str, Any], billing: BillingMode, index: str | None = None) -> Throughput:
    """Throughput members of a table or GSI; ``index`` is its name for messages."""
    provisioned = member.get("ProvisionedThroughput")
    on_demand = member.get("OnDemandThroughput") or {}
    warm = member.get("WarmThroughput") or {}
    where = "" if index is None else f" for index: {index}"
    if billing == "PROVISIONED":
        if provisioned is None:
            if index is None:
                raise validation(
                    f"{_INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified "
                    "when BillingMode is PROVISIONED"
                )
            raise validation(f"{_INVALID}ProvisionedThroughput should be specified{where}")
        if on_demand:
            raise validation(
                f"{_INVALID}OnDemandThroughput should not be specified{where} when BillingMode is PROVISIONED"
            )
    elif provisioned is not None:
        if index is None:
            raise validation(
                f"{_INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified "
                "when BillingMode is PAY_PER_REQUEST"
            )
        raise validation(
            f"{_INVALID}ProvisionedThroughput should not be specified{where} when BillingMode is PAY_PER_REQUEST"
        )
    throughput = Throughput(
        warm_read=warm.get("ReadUnitsPerSecond", 0), warm_write=warm.get("WriteUnitsPerSecond", 0)
    )
    if provisioned is not None:
        throughput.read = _in_bounds(provisioned, "ReadCapacityUnits")
        throughput.write = _in_bounds(provisioned, "WriteCapacityUnits")
    set_maximum(throughput, on_demand)
    return throughput


def set_maximum(throughput: Throughput, on_demand: Mapping[str, int]) -> None:
    """OnDemandThroughput: a maximum, -1 for none; an absent member stays as it is."""
    if "MaxReadRequestUnits" in on_demand:
        throughput.max_read = _maximum(on_demand["MaxReadRequestUnits"])
    if "MaxWriteRequestUnits" in on_demand:
        throughput.max_write = _maximum(on_demand["MaxWriteRequestUnits"])


def _maximum(units: int) -> int | None:
    if units == 0:
        raise validation(f"{_INVALID}OnDemandThroughput must be at least 1, or -1 to remove the maximum")
    return None if units == -1 else units


def _in_bounds(provisioned: Mapping[str, int], member: str) -> int:
    units = provisioned[member]
    if units > _MAX_UNITS:
        raise validation(f"Given value {units} for {member} is out of bounds")
    return units


def capacity_of(throughput: Throughput, billing: BillingMode) -> Provisioned | OnDemand:
    """What the capacity model is told."""
    if billing == "PROVISIONED":
        return Provisioned(throughput.read, throughput.write)
    return OnDemand(throughput.max_read, throughput.max_write)


def resource_spec(
    throughput: Throughput, billing: BillingMode, *, size_bytes: int = 0, partitions: int | None = None
) -> ResourceSpec:
    """The capacity model's record for a table or GSI."""
    return ResourceSpec(
        capacity_of(throughput, billing), throughput.warm_read, throughput.warm_write, size_bytes, partitions
    )


def open_stream(table: Table, view_type: str | None, now: float) -> None:
    """Enable a stream: a new ARN each time. The label is a timestamp and unique within the table."""
    if view_type is None:
        raise validation(f"{_INVALID}StreamViewType must be specified when StreamEnabled is true")
    taken = {stream.label for stream in table.streams}
    moment = now
    while (label := _label(moment)) in taken:
        moment += 0.001
    table.streams.append(StreamLog(label, view_type, now, table.capacity.partitions(), table.rows))
    table.splits_seen = len(table.capacity.splits)


def _label(now: float) -> str:
    moment = datetime.fromtimestamp(now, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}"


def limit_exceeded(message: str) -> ServiceError:
    """A control-plane limit."""
    return ServiceError("LimitExceededException", message)

"""BatchGetItem and BatchWriteItem: their members stand alone; throttled ones come back as unprocessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refire_async.sandbox.database import Session, refuse_legacy
from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.expressions import Projection
from refire_async.sandbox.operations.collections import METRICS, metrics_by_table
from refire_async.sandbox.operations.common import (
    EXPRESSION,
    NAMES,
    RETURN_CONSUMED,
    RETURN_METRICS,
    Consumption,
    member_errors,
)
from refire_async.sandbox.operations.get_item import read_item
from refire_async.sandbox.operations.parameters import Expressions
from refire_async.sandbox.operations.reading import project
from refire_async.sandbox.operations.writing import check_new_item, write
from refire_async.sandbox.shapes import (
    boolean,
    check,
    list_of,
    map_of,
    mapping_of_anything,
    structure,
)
from refire_async.sandbox.store.keys import OrderKey
from refire_async.sandbox.store.table import Table
from refire_async.sandbox.values import Item, validate_item

_MAX_WRITES = 25
_MAX_GETS = 100
_MAX_RESPONSE_BYTES = 16 * 1024 * 1024
_DUPLICATES = "Provided list of item keys contains duplicates"

_WRITE = structure(
    {
        "RequestItems": map_of(
            list_of(
                structure(
                    PutRequest=structure({"Item": mapping_of_anything}),
                    DeleteRequest=structure({"Key": mapping_of_anything}),
                ),
                1,
                _MAX_WRITES,
            ),
            1,
            _MAX_WRITES,
        )
    },
    ReturnConsumedCapacity=RETURN_CONSUMED,
    **{METRICS: RETURN_METRICS},
)
_GET = structure(
    {
        "RequestItems": map_of(
            structure(
                {"Keys": list_of(mapping_of_anything, 1, _MAX_GETS)},
                ConsistentRead=boolean,
                ProjectionExpression=EXPRESSION,
                ExpressionAttributeNames=NAMES,
            ),
            1,
            _MAX_GETS,
        )
    },
    ReturnConsumedCapacity=RETURN_CONSUMED,
)


@dataclass(slots=True)
class _Write:
    table: Table
    asked_as: str
    key_item: Item
    key: OrderKey
    new: Item | None
    member: dict[str, Any]


def batch_write_item(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """BatchWriteItem. All members are checked before the first is carried out."""
    check(_WRITE, request)
    writes = _parse_writes(session, request["RequestItems"])
    unprocessed: dict[str, list[Any]] = {}
    consumed: dict[str, Consumption] = {}
    refusal: ServiceError | None = None
    written = []
    for one in writes:
        before, after = member_errors(session.database, "BatchWriteItem", one.table)
        try:
            if before is not None:
                raise before
            stored = session.database.read_to_write(one.table, one.key)
            change = write(session, one.table, one.key, stored, one.new)
            if after is not None:
                raise after
        except ServiceError as error:
            if error.type == "ValidationException":
                raise
            refusal = error
            unprocessed.setdefault(one.asked_as, []).append(one.member)
            continue
        consumed.setdefault(one.table.name, Consumption()).add(change.units, change.index_changes)
        written.append((one.table, one.key_item))
    if refusal is not None and not consumed:
        raise refusal
    response: dict[str, Any] = {"UnprocessedItems": unprocessed}
    if request.get(METRICS) == "SIZE" and (metrics := metrics_by_table(written)):
        response["ItemCollectionMetrics"] = metrics
    return _with_consumed(response, consumed, request)


def _parse_writes(session: Session, items: dict[str, list[dict[str, Any]]]) -> list[_Write]:
    if sum(map(len, items.values())) > _MAX_WRITES:
        raise validation("Too many items requested for the BatchWriteItem call")
    writes = []
    seen = set()
    for asked_as, members in items.items():
        table = session.database.table(asked_as)
        for member in members:
            put, delete = member.get("PutRequest"), member.get("DeleteRequest")
            if put is not None and delete is not None:
                raise validation(
                    "Supplied WriteRequest has both PutRequest and DeleteRequest, must contain one"
                )
            new = None
            if put is not None:
                new = validate_item(put["Item"])
                check_new_item(table, new)
                key_item = new
            elif delete is not None:
                key_item = table.schema.validate_key(delete["Key"])
            else:
                raise validation("Supplied WriteRequest is empty, must contain PutRequest or DeleteRequest")
            key = table.schema.order_key(key_item)
            if (table.name, key) in seen:
                raise validation(_DUPLICATES)
            seen.add((table.name, key))
            writes.append(_Write(table, asked_as, key_item, key, new, member))
    return writes


def batch_get_item(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """BatchGetItem: up to 16 MB; every item is charged by itself."""
    check(_GET, request)
    asked = _parse_gets(session, request["RequestItems"])
    responses: dict[str, list[Any]] = {}
    unprocessed: dict[str, Any] = {}
    consumed: dict[str, Consumption] = {}
    refusal: ServiceError | None = None
    total = 0
    for asked_as, table, keys, projection, member in asked:
        found = responses.setdefault(asked_as, [])
        left = []
        for key, given in keys:
            if total > _MAX_RESPONSE_BYTES:
                left.append(given)
                continue
            before, after = member_errors(session.database, "BatchGetItem", table)
            error = before or after
            if error is None:
                row, units, error = read_item(table, key, consistent=bool(member.get("ConsistentRead")))
            if error is not None:
                refusal = error
                left.append(given)
                continue
            consumed.setdefault(table.name, Consumption()).add(units)
            if row is not None:
                total += row[1]
                found.append(project(row, projection))
        if left:
            unprocessed[asked_as] = {**member, "Keys": left}
    if refusal is not None and not consumed:
        raise refusal
    return _with_consumed({"Responses": responses, "UnprocessedKeys": unprocessed}, consumed, request)


_Get = tuple[str, Table, list[tuple[OrderKey, Any]], Projection | None, dict[str, Any]]


def _parse_gets(session: Session, items: dict[str, dict[str, Any]]) -> list[_Get]:
    if sum(len(member["Keys"]) for member in items.values()) > _MAX_GETS:
        raise validation("Too many items requested for the BatchGetItem call")
    asked: list[_Get] = []
    for asked_as, member in items.items():
        refuse_legacy(member, ("AttributesToGet",))
        expressions = Expressions(member)
        projection = expressions.projection()
        expressions.finish()
        table = session.database.table(asked_as)
        keys = [(table.schema.order_key(table.schema.validate_key(key)), key) for key in member["Keys"]]
        if len({key for key, _ in keys}) != len(keys):
            raise validation(_DUPLICATES)
        asked.append((asked_as, table, keys, projection, member))
    return asked


def _with_consumed(
    response: dict[str, Any], consumed: dict[str, Consumption], request: dict[str, Any]
) -> dict[str, Any]:
    wanted = request.get("ReturnConsumedCapacity")
    if wanted is not None and wanted != "NONE":
        response["ConsumedCapacity"] = [units.render(name, wanted) for name, units in consumed.items()]
    return response

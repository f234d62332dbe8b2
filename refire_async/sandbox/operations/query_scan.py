"""Query and Scan."""

from __future__ import annotations

from typing import Any

import orjson

from refire_async.sandbox.database import Session, refuse_legacy
from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.expressions import Condition, Projection
from refire_async.sandbox.operations.common import (
    EXPRESSION,
    INDEX_NAME,
    NAMES,
    RETURN_CONSUMED,
    TABLE_NAME,
    VALUES,
    Consumption,
)
from refire_async.sandbox.operations.parameters import Expressions
from refire_async.sandbox.operations.reading import Reading, check_projected, count, select
from refire_async.sandbox.shapes import boolean, check, integer, mapping_of_anything, structure, text
from refire_async.sandbox.store.index import SecondaryIndex
from refire_async.sandbox.store.keys import OrderKey, segment_bounds
from refire_async.sandbox.store.pages import Page
from refire_async.sandbox.store.table import Table
from refire_async.sandbox.values import validate_item

_COMMON = {
    "IndexName": INDEX_NAME,
    "Select": text(of=("SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES")),
    "Limit": integer(1),
    "ConsistentRead": boolean,
    "ExclusiveStartKey": mapping_of_anything,
    "ReturnConsumedCapacity": RETURN_CONSUMED,
    "ProjectionExpression": EXPRESSION,
    "FilterExpression": EXPRESSION,
    "ExpressionAttributeNames": NAMES,
    "ExpressionAttributeValues": VALUES,
}
_SCAN = structure(
    {"TableName": TABLE_NAME}, Segment=integer(0, 999_999), TotalSegments=integer(1, 1_000_000), **_COMMON
)
_QUERY = structure(
    {"TableName": TABLE_NAME}, KeyConditionExpression=EXPRESSION, ScanIndexForward=boolean, **_COMMON
)
_LEGACY = ("AttributesToGet", "ConditionalOperator")


def scan(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """Scan: segments are even cuts of the hash space."""
    check(_SCAN, request)
    refuse_legacy(request, (*_LEGACY, "ScanFilter"))
    segment, total = _segment(request)
    expressions = Expressions(request)
    condition, projection = expressions.condition("FilterExpression"), expressions.projection()
    expressions.finish()
    reading = _reading(session, request, projection, condition)
    low, high = segment_bounds(segment, total)
    start = _start_key(request, reading)
    if start is not None and not low <= start[0] < high:
        raise _bad_start(
            "Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. "
            f"TotalSegments: {total} Segment: {segment}"
        )
    page, consumption = reading.scan_page(low, high, start, request.get("Limit"))
    return _response(request, reading, page, consumption, condition=condition, projection=projection)


def query(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """Query, in both directions."""
    check(_QUERY, request)
    refuse_legacy(request, (*_LEGACY, "KeyConditions", "QueryFilter"))
    if request.get("KeyConditionExpression") is None:
        raise validation(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
        )
    expressions = Expressions(request)
    table = session.database.table(request["TableName"])
    index = _index(session, table, request)
    key_condition = expressions.key_condition(table.schema_of(index))
    condition, projection = expressions.condition("FilterExpression"), expressions.projection()
    expressions.finish()
    reading = _reading(session, request, projection, condition)
    if condition is not None:
        _check_filter(condition, reading.schema.names)
    page, consumption = reading.query_page(
        key_condition,
        _start_key(request, reading),
        request.get("Limit"),
        reverse=request.get("ScanIndexForward") is False,
    )
    return _response(request, reading, page, consumption, condition=condition, projection=projection)


def _segment(request: dict[str, Any]) -> tuple[int, int]:
    segment, total = request.get("Segment"), request.get("TotalSegments")
    if segment is None and total is None:
        return 0, 1
    if total is None:
        raise validation(
            "The TotalSegments parameter is required but was not present in the request "
            "when Segment parameter is present"
        )
    if segment is None:
        raise validation(
            "The Segment parameter is required but was not present in the request "
            "when parameter TotalSegments is present"
        )
    if segment >= total:
        raise validation(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {total}"
        )
    return segment, total


def _index(session: Session, table: Table, request: dict[str, Any]) -> SecondaryIndex | None:
    name = request.get("IndexName")
    return None if name is None else session.database.index(table, name)


def _reading(
    session: Session, request: dict[str, Any], projection: Projection | None, condition: Condition | None
) -> Reading:
    """Check how Select, projection, filter and index go together."""
    table = session.database.table(request["TableName"])
    index = _index(session, table, request)
    wanted = request.get("Select")
    consistent = bool(request.get("ConsistentRead"))
    if projection is not None and wanted not in (None, "SPECIFIC_ATTRIBUTES"):
        raise validation(f"Cannot specify the ProjectionExpression when choosing to get {wanted}")
    if projection is None and wanted == "SPECIFIC_ATTRIBUTES":
        raise validation(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
        )
    if index is None:
        if wanted == "ALL_PROJECTED_ATTRIBUTES":
            raise validation("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
        names = None
        if projection is not None:
            names = projection.attributes | (condition.attributes if condition is not None else frozenset())
        return Reading(table, None, consistent, names=names)
    fetch = check_projected(index, projection.attributes if projection else (), consistent=consistent)
    if wanted == "ALL_ATTRIBUTES" and index.projected is not None:
        if index.is_global:
            raise validation(
                "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global "
                f"secondary index {index.name} because its projection type is not ALL"
            )
        fetch = True
    if condition is not None and index.projected is not None:
        missing = sorted(condition.attributes - index.projected)
        if missing:
            raise validation(
                f"One or more parameter values were invalid: Secondary index {index.name} "
                f"does not project one or more filter attributes: [{', '.join(missing)}]"
            )
    return Reading(table, index, consistent, fetch)


def _start_key(request: dict[str, Any], reading: Reading) -> OrderKey | None:
    """The order key of ExclusiveStartKey, which holds the keys of the table and of the index."""
    given = request.get("ExclusiveStartKey")
    if given is None:
        return None
    table, index = reading.table, reading.index
    try:
        key = validate_item(given)
        base = table.schema.validate_key({name: key[name] for name in table.schema.names})
        if index is None:
            table.schema.validate_key(key)
            return table.schema.order_key(base)
        if key.keys() != {*table.schema.names, *index.schema.names} or not index.schema.covers(key):
            raise _bad_start("The provided starting key is invalid")
    except KeyError:
        raise _bad_start("The provided key element does not match the schema") from None
    except ServiceError as error:
        if error.message.startswith("The provided starting key"):
            raise
        raise _bad_start(error.message) from None
    return index.order_key(key, table.schema.order_key(base))


def _check_filter(condition: Condition, names: tuple[str, ...]) -> None:
    for name in names:
        if name in condition.attributes:
            raise validation(
                "Filter Expression can only contain non-primary key attributes: "
                f"Primary key attribute: {name}"
            )


def _bad_start(message: str) -> ServiceError:
    if not message.startswith("The provided starting key"):
        message = f"The provided starting key is invalid: {message}"
    return validation(message)


def _response(
    request: dict[str, Any],
    reading: Reading,
    page: Page,
    consumption: Consumption,
    *,
    condition: Condition | None,
    projection: Projection | None,
) -> dict[str, Any]:
    rows = reading.rows(page)
    response: dict[str, Any] = {}
    if request.get("Select") == "COUNT":
        response["Count"] = count(rows, condition)
    else:
        items = select(rows, condition, projection)
        response = {"Items": items, "Count": len(items)}
    response["ScannedCount"] = len(page.rows)
    if page.more:
        last = orjson.loads(page.rows[-1][1][0])
        response["LastEvaluatedKey"] = reading.table.start_key(last, reading.index)
    return consumption.add_to(response, reading.table.name, request.get("ReturnConsumedCapacity"))

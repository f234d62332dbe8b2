"""PartiQL SELECT: by key, as one or more Queries, or as a Scan."""

from __future__ import annotations

from typing import Any

import orjson

from refire_async.sandbox.database import Session
from refire_async.sandbox.errors import validation
from refire_async.sandbox.operations.common import Consumption
from refire_async.sandbox.operations.continuation import decode_token, encode_token
from refire_async.sandbox.operations.get_item import read_item
from refire_async.sandbox.operations.reading import Reading, check_projected
from refire_async.sandbox.partiql import Select
from refire_async.sandbox.store.keys import HASH_SPACE, OrderKey
from refire_async.sandbox.store.table import Table
from refire_async.sandbox.values import AttributeValue, Item

_BATCH_NEEDS_KEY = (
    "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
)


def bind_batch_select(
    session: Session, statement: Select, values: list[AttributeValue]
) -> tuple[Table, OrderKey]:
    """Table and key of a SELECT in a batch. Raises ServiceError."""
    found = None if statement.index is not None else pinned_key(session, statement, values)
    if found is None or statement.filter_attributes - set(found[0].schema.names):
        raise validation(_BATCH_NEEDS_KEY)
    return found


def pinned_key(
    session: Session, statement: Select, values: list[AttributeValue]
) -> tuple[Table, OrderKey] | None:
    """Table and key of a SELECT, None if it does not pin the whole key. Raises ServiceError."""
    table = session.database.table(statement.table)
    key = statement.key(values, table.schema.names)
    if key is None:
        return None
    table.schema.check_pinned(key)
    return table, table.schema.order_key(key)


def select_by_key(
    table: Table,
    key: OrderKey,
    statement: Select,
    values: list[AttributeValue],
    consumption: Consumption,
    *,
    consistent: bool,
) -> list[Item]:
    """The item at a key, if WHERE holds for it; charged before WHERE and projection. Raises ServiceError."""
    row, units, refusal = read_item(table, key, consistent=consistent)
    if refusal is not None:
        raise refusal
    consumption.add(units)
    item = None if row is None else orjson.loads(row[0])
    return [statement.project(item)] if item is not None and statement.matches(item, values) else []


def select(
    session: Session, statement: Select, values: list[AttributeValue], request: dict[str, Any]
) -> dict[str, Any]:
    """ExecuteStatement of a SELECT: one page, with NextToken if there may be more."""
    table = session.database.table(statement.table)
    consistent = bool(request.get("ConsistentRead"))
    wanted = request.get("ReturnConsumedCapacity")
    index = None if statement.index is None else session.database.index(table, statement.index)
    reading = Reading(table, index, consistent)
    reverse = statement.descending(reading.schema.names)
    if index is None:
        key = statement.key(values, table.schema.names)
        if key is not None:
            table.schema.check_pinned(key)
            consumption = Consumption()
            order_key = table.schema.order_key(key)
            items = select_by_key(table, order_key, statement, values, consumption, consistent=consistent)
            return consumption.add_to({"Items": items}, table.name, wanted)
    else:
        names = set(statement.filter_attributes)
        if statement.projection is not None:
            names.update(str(path[0]) for path in statement.projection)
        reading.fetch = check_projected(index, names, consistent=consistent)
    return _select_page(reading, statement, values, request, reverse=reverse)


def _select_page(
    reading: Reading,
    statement: Select,
    values: list[AttributeValue],
    request: dict[str, Any],
    *,
    reverse: bool,
) -> dict[str, Any]:
    schema = reading.schema
    conditions = statement.key_conditions(values, schema.hash_names, schema.range_names)
    place, start = decode_token(request.get("NextToken"), request["Statement"])
    limit = request.get("Limit")
    if conditions is None:
        page, consumption = reading.scan_page(0, HASH_SPACE, start, limit)
    else:
        if place >= len(conditions):
            raise validation("Invalid NextToken")
        conditions[place].check_types(schema.types)
        page, consumption = reading.query_page(conditions[place], start, limit, reverse=reverse)
    found = (orjson.loads(row[0]) for row in reading.rows(page))
    response: dict[str, Any] = {
        "Items": [statement.project(item) for item in found if statement.matches(item, values)]
    }
    if page.more:
        response["NextToken"] = encode_token(request["Statement"], place, page.rows[-1][0])
        if conditions is None:
            last = orjson.loads(page.rows[-1][1][0])
            response["LastEvaluatedKey"] = reading.table.start_key(last, reading.index)
    elif conditions is not None and place + 1 < len(conditions):
        response["NextToken"] = encode_token(request["Statement"], place + 1, None)
    return consumption.add_to(response, reading.table.name, request.get("ReturnConsumedCapacity"))

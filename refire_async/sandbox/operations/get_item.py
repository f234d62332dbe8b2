"""GetItem."""

from __future__ import annotations

from typing import Any

from refire_async.sandbox.capacity.units import read_units
from refire_async.sandbox.database import Session, refuse_legacy
from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.operations.common import (
    EXPRESSION,
    NAMES,
    RETURN_CONSUMED,
    TABLE_NAME,
    Consumption,
    throttled,
)
from refire_async.sandbox.operations.parameters import Expressions
from refire_async.sandbox.operations.reading import project
from refire_async.sandbox.shapes import boolean, check, mapping_of_anything, structure
from refire_async.sandbox.store.keys import OrderKey
from refire_async.sandbox.store.rows import Row
from refire_async.sandbox.store.table import Table

_SHAPE = structure(
    {"TableName": TABLE_NAME, "Key": mapping_of_anything},
    ConsistentRead=boolean,
    ProjectionExpression=EXPRESSION,
    ExpressionAttributeNames=NAMES,
    ReturnConsumedCapacity=RETURN_CONSUMED,
)


def get_item(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """GetItem."""
    check(_SHAPE, request)
    refuse_legacy(request, ("AttributesToGet",))
    expressions = Expressions(request)
    projection = expressions.projection()
    expressions.finish()
    table = session.database.table(request["TableName"])
    key = table.schema.order_key(table.schema.validate_key(request["Key"]))
    row, units, refusal = read_item(table, key, consistent=bool(request.get("ConsistentRead")))
    if refusal is not None:
        raise refusal
    response: dict[str, Any] = {}
    if row is not None:
        response["Item"] = project(row, projection)
    return Consumption(units).add_to(response, table.name, request.get("ReturnConsumedCapacity"))


def read_item(
    table: Table, key: OrderKey, *, consistent: bool
) -> tuple[Row | None, float, ServiceError | None]:
    """The row at a key, what reading it took, and the throttling error if it was refused."""
    hash64 = key[0] >> 64
    throttle = table.capacity.check_read(None, hash64)
    if throttle is not None:
        return None, 0.0, throttled(throttle)
    row = table.rows.get(key)
    units = read_units(row[1] if row else None, consistent)
    table.capacity.charge_read(None, hash64, units)
    return row, units, None

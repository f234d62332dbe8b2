"""PutItem, UpdateItem and DeleteItem."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from refire_async.sandbox.database import Session, refuse_legacy
from refire_async.sandbox.errors import validation
from refire_async.sandbox.expressions import Condition, Update
from refire_async.sandbox.operations.collections import METRICS, collection_metrics
from refire_async.sandbox.operations.common import (
    EXPRESSION,
    NAMES,
    RETURN_CONSUMED,
    RETURN_METRICS,
    RETURN_ON_FAILURE,
    TABLE_NAME,
    VALUES,
    Consumption,
)
from refire_async.sandbox.operations.parameters import Expressions
from refire_async.sandbox.operations.writing import (
    attempted_size,
    check_update_size,
    fail_condition,
    write,
)
from refire_async.sandbox.shapes import check, mapping_of_anything, structure, text
from refire_async.sandbox.store.changes import UPDATE, Change
from refire_async.sandbox.store.table import Table
from refire_async.sandbox.values import Item, item_size, validate_item

_RETURN_VALUES = text(of=("ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"))
_EXPRESSION_MEMBERS = (
    "UpdateExpression",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
)
# Compiled expressions that are kept, and the longest of them.
_KEPT = 512
_MAX_KEPT_BYTES = 4096
_ON_FAILURE = "ReturnValuesOnConditionCheckFailure"
_COMMON = {
    "ConditionExpression": EXPRESSION,
    "ExpressionAttributeNames": NAMES,
    "ExpressionAttributeValues": VALUES,
    "ReturnValues": _RETURN_VALUES,
    "ReturnConsumedCapacity": RETURN_CONSUMED,
    METRICS: RETURN_METRICS,
    _ON_FAILURE: RETURN_ON_FAILURE,
}
_PUT = structure({"TableName": TABLE_NAME, "Item": mapping_of_anything}, **_COMMON)
_DELETE = structure({"TableName": TABLE_NAME, "Key": mapping_of_anything}, **_COMMON)
_UPDATE = structure(
    {"TableName": TABLE_NAME, "Key": mapping_of_anything}, UpdateExpression=EXPRESSION, **_COMMON
)
_LEGACY = ("Expected", "ConditionalOperator", "AttributeUpdates")


def put_item(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """PutItem."""
    check(_PUT, request)
    refuse_legacy(request, _LEGACY)
    _only_old(request)
    expressions = Expressions(request)
    condition = expressions.condition("ConditionExpression")
    expressions.finish()
    new = validate_item(request["Item"])
    table = session.database.table(request["TableName"])
    table.schema.check_item(new)
    return _replace(session, request, table, condition, key_item=new, new=new)


def delete_item(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """DeleteItem."""
    check(_DELETE, request)
    refuse_legacy(request, _LEGACY)
    _only_old(request)
    expressions = Expressions(request)
    condition = expressions.condition("ConditionExpression")
    expressions.finish()
    table = session.database.table(request["TableName"])
    key_item = table.schema.validate_key(request["Key"])
    return _replace(session, request, table, condition, key_item=key_item)


def update_item(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """UpdateItem: creates the item if there is none and the condition allows it."""
    check(_UPDATE, request)
    refuse_legacy(request, _LEGACY)
    table = session.database.table(request["TableName"])
    schema = table.schema
    update, condition = _compiled(request, schema.names)
    key_item = schema.validate_key(request["Key"])
    key = schema.order_key(key_item)
    stored = session.database.read_to_write(table, key)
    old = stored[1] if stored else None
    before = key_item if old is None else old
    if condition is not None and not condition.matches(old or {}):
        attempted = None
        if old is not None and update is not None:
            attempted = attempted_size(update.apply, before)
        raise fail_condition(table, key, stored, attempted, request.get(_ON_FAILURE))
    new: Item | None = before
    if update is not None and old is None and not update.creates:
        new = None
    elif update is not None:
        new = update.apply(before)
        check_update_size(update, new, schema)
    change = write(session, table, key, stored, new, wording=UPDATE)
    wanted = request.get("ReturnValues")
    shown: Item | None = None
    if wanted == "ALL_NEW":
        shown = new
    elif wanted == "ALL_OLD":
        shown = old
    elif wanted == "UPDATED_NEW" and update is not None and new is not None:
        shown = update.changed_new(new)
    elif wanted == "UPDATED_OLD" and update is not None and old is not None:
        shown = update.changed_old(old)
    return _response(request, table, key_item, change, shown)


def _replace(
    session: Session,
    request: dict[str, Any],
    table: Table,
    condition: Condition | None,
    *,
    key_item: Item,
    new: Item | None = None,
) -> dict[str, Any]:
    """Put `new` in place of the item with the key of `key_item`; None deletes that item."""
    key = table.schema.order_key(key_item)
    stored = session.database.read_to_write(table, key)
    old = stored[1] if stored else None
    if condition is not None and not condition.matches(old or {}):
        attempted = None if new is None else item_size(new)
        raise fail_condition(table, key, stored, attempted, request.get(_ON_FAILURE))
    change = write(session, table, key, stored, new)
    return _response(
        request, table, key_item, change, old if request.get("ReturnValues") == "ALL_OLD" else None
    )


def _compiled(request: dict[str, Any], key_names: tuple[str, ...]) -> tuple[Update | None, Condition | None]:
    """Update and condition. They are kept: who touches many items sends the same ones again and again."""
    members = orjson.dumps([request.get(name) for name in _EXPRESSION_MEMBERS])
    compile_members = _compile_kept if len(members) <= _MAX_KEPT_BYTES else _compile
    return compile_members(members, key_names)


def _compile(members: bytes, key_names: tuple[str, ...]) -> tuple[Update | None, Condition | None]:
    expressions = Expressions(dict(zip(_EXPRESSION_MEMBERS, orjson.loads(members), strict=True)))
    update = expressions.update(key_names)
    condition = expressions.condition("ConditionExpression")
    expressions.finish()
    return update, condition


_compile_kept = lru_cache(maxsize=_KEPT)(_compile)


def _only_old(request: dict[str, Any]) -> None:
    if request.get("ReturnValues") not in (None, "NONE", "ALL_OLD"):
        raise validation("ReturnValues can only be ALL_OLD or NONE")


def _response(
    request: dict[str, Any], table: Table, key: Item, change: Change, attributes: Item | None
) -> dict[str, Any]:
    response: dict[str, Any] = {}
    if attributes:
        response["Attributes"] = attributes
    if request.get(METRICS) == "SIZE" and (metrics := collection_metrics(table, key)):
        response["ItemCollectionMetrics"] = metrics
    wanted = request.get("ReturnConsumedCapacity")
    if wanted is None or wanted == "NONE":
        return response
    consumption = Consumption()
    consumption.add(change.units, change.index_changes)
    return consumption.add_to(response, table.name, wanted)

"""The way of every single-item write: plan, admission by the capacity model, commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refire_async.sandbox.capacity.units import failed_condition_units
from refire_async.sandbox.database import Session
from refire_async.sandbox.errors import ServiceError, conditional_check_failed, validation
from refire_async.sandbox.expressions import Update
from refire_async.sandbox.operations.common import throttled
from refire_async.sandbox.store.changes import PUT, UPDATE, Change, Wording, commit, plan
from refire_async.sandbox.store.keys import KeySchema, OrderKey
from refire_async.sandbox.store.table import Stored, Table
from refire_async.sandbox.values import MAX_ITEM_BYTES, Item, item_size


def write(
    session: Session,
    table: Table,
    key: OrderKey,
    stored: Stored | None,
    new: Item | None,
    *,
    wording: Wording = PUT,
) -> Change:
    """Replace what is stored by ``new`` if capacity allows it; raises ServiceError and changes nothing if not."""
    change = plan(table, key, stored, new, wording)
    if change.index_changes:
        admit(table, key, change)
    elif (throttle := table.capacity.admit_write(key[0] >> 64, change.units)) is not None:
        raise throttled(throttle)
    commit(table, change, session.database.clock.time())
    return change


def admit(table: Table, key: OrderKey, change: Change) -> None:
    """Charge a planned change; raises the throttling error if there is no capacity."""
    if change.index_changes:
        throttle = table.capacity.admit_write(key[0] >> 64, change.table_units, change.index_units)
    else:
        throttle = table.capacity.admit_write(key[0] >> 64, change.units)
    if throttle is not None:
        raise throttled(throttle)


def fail_condition(
    table: Table,
    key: OrderKey,
    stored: Stored | None,
    attempted_bytes: int | None,
    on_failure: str | None = None,
) -> ServiceError:
    """Charge a write whose condition does not hold and return the error to raise, throttling included.

    ``on_failure`` is ReturnValuesOnConditionCheckFailure.
    """
    units = failed_condition_units(stored[0][1] if stored else None, attempted_bytes)
    throttle = table.capacity.admit_write(key[0] >> 64, units)
    if throttle is not None:
        return throttled(throttle)
    return conditional_check_failed(stored[1] if stored and on_failure == "ALL_OLD" else None)


def check_new_item(table: Table, new: Item) -> None:
    """ValidationException if a canonical item cannot be put into a table."""
    table.schema.check_item(new)
    for index in table.indexes.values():
        index.schema.check_index_values(new, index.name)
    if item_size(new) > MAX_ITEM_BYTES:
        raise validation(PUT.too_large)


def check_update_size(update: Update, new: Item, schema: KeySchema) -> None:
    """ValidationException if UpdateItem would refuse an item this large, which it does sooner than PartiQL."""
    size = item_size(new) + update.request_bytes
    if size > MAX_ITEM_BYTES and size - item_size(schema.key_of(new)) > MAX_ITEM_BYTES:
        raise validation(UPDATE.too_large)


def attempted_size(apply: Callable[..., Item], *arguments: Any) -> int | None:
    """Size of the item that a refused update would have made; None if it could not even be computed."""
    try:
        return item_size(apply(*arguments))
    except ServiceError:
        return None

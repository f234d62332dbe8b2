"""PartiQL INSERT, UPDATE and DELETE of one item."""

from __future__ import annotations

from dataclasses import dataclass

from refire_async.sandbox.capacity.units import failed_condition_units
from refire_async.sandbox.database import Session
from refire_async.sandbox.errors import ServiceError, conditional_check_failed, duplicate_item
from refire_async.sandbox.operations.common import Consumption, throttled
from refire_async.sandbox.operations.writing import attempted_size, write
from refire_async.sandbox.partiql import Delete, Insert, Update
from refire_async.sandbox.store.changes import UPDATE
from refire_async.sandbox.store.keys import OrderKey
from refire_async.sandbox.store.table import Stored, Table
from refire_async.sandbox.values import AttributeValue, Item, item_size

Write = Insert | Update | Delete


@dataclass(slots=True)
class BoundWrite:
    """A write with its parameters, table and key, checked as far as can be without looking at the item."""

    statement: Write
    values: list[AttributeValue]
    table: Table
    key: OrderKey
    new: Item | None = None

    @classmethod
    def bind(cls, session: Session, statement: Write, values: list[AttributeValue]) -> BoundWrite:
        """Find table and key. Raises ServiceError."""
        table = session.database.table(statement.table)
        schema = table.schema
        if isinstance(statement, Insert):
            new = statement.item(values)
            schema.check_item(new)
            return cls(statement, values, table, schema.order_key(new), new)
        key = statement.key(values, schema.names)
        schema.check_pinned(key)
        return cls(statement, values, table, schema.order_key(key))

    def execute(
        self, session: Session, consumption: Consumption, on_failure: str | None = None
    ) -> list[Item]:
        """Carry it out and return what RETURNING asks for. Raises ServiceError and counts what the failure took."""
        table, values, statement = self.table, self.values, self.statement
        stored = table.read(self.key)
        if isinstance(statement, Update):
            if stored is None or not statement.condition_holds(stored[1], values):
                attempted = None if stored is None else attempted_size(statement.apply, stored[1], values)
                raise self._failed(
                    stored, attempted, consumption, conditional_check_failed(_old(stored, on_failure))
                )
            new = statement.apply(stored[1], values)
            change = write(session, table, self.key, stored, new, wording=UPDATE)
            consumption.add(change.units, change.index_changes)
            return statement.returned(stored[1], new) if statement.returning else []
        if isinstance(statement, Insert):
            if stored is not None and self.new is not None:
                raise self._failed(stored, item_size(self.new), consumption, duplicate_item())
            change = write(session, table, self.key, None, self.new)
            consumption.add(change.units, change.index_changes)
            return []
        before = None if stored is None else stored[1]
        found = before if before is not None else statement.key(values, table.schema.names)
        if not statement.condition_holds(found, values):
            raise self._failed(stored, None, consumption, conditional_check_failed(_old(stored, on_failure)))
        change = write(session, table, self.key, stored, None)
        consumption.add(change.units, change.index_changes)
        return statement.returned(before)

    def _failed(
        self, stored: Stored | None, attempted: int | None, consumption: Consumption, error: ServiceError
    ) -> ServiceError:
        units = failed_condition_units(None if stored is None else stored[0][1], attempted)
        throttle = self.table.capacity.admit_write(self.key[0] >> 64, units)
        if throttle is not None:
            return throttled(throttle)
        consumption.failed += units
        return error


def _old(stored: Stored | None, on_failure: str | None) -> Item | None:
    return stored[1] if stored is not None and on_failure == "ALL_OLD" else None

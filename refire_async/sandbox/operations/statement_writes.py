"""PartiQL INSERT, UPDATE and DELETE of one item."""

from __future__ import annotations

from dataclasses import dataclass

from refire_async.sandbox.capacity.units import failed_condition_units
from refire_async.sandbox.database import Session
from refire_async.sandbox.errors import ServiceError, conditional_check_failed, duplicate_item
from refire_async.sandbox.operations.common import Consumption, throttled
from refire_async.sandbox.operations.writing import attempted_size, write
from refire_async.sandbox.partiql import Delete, Insert, Update
from refire_async.sandbox.store.changes import PUT, UPDATE
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

    def changed(self, stored: Stored | None, on_failure: str | None = None) -> Item | None:
        """What is to be stored in the place of what is; None is no item.

        Raises ConditionalCheckFailedException, DuplicateItemException, or ValidationException for an update that
        does not fit the item.
        """
        statement, values = self.statement, self.values
        if isinstance(statement, Update):
            if stored is None or not statement.condition_holds(stored[1], values):
                raise conditional_check_failed(_old(stored, on_failure))
            return statement.apply(stored[1], values)
        if isinstance(statement, Insert):
            if stored is not None:
                raise duplicate_item()
            return self.new
        found = stored[1] if stored is not None else statement.key(values, self.table.schema.names)
        if not statement.condition_holds(found, values):
            raise conditional_check_failed(_old(stored, on_failure))
        return None

    def execute(
        self, session: Session, consumption: Consumption, on_failure: str | None = None
    ) -> list[Item]:
        """Carry it out and return what RETURNING asks for. Raises ServiceError and counts what the failure took."""
        table, statement = self.table, self.statement
        stored = session.database.read_to_write(table, self.key)
        try:
            new = self.changed(stored, on_failure)
        except ServiceError as error:
            if error.type == "ValidationException":
                raise
            raise self._failed(stored, consumption, error) from None
        wording = UPDATE if isinstance(statement, Update) else PUT
        change = write(session, table, self.key, stored, new, wording=wording)
        consumption.add(change.units, change.index_changes)
        if isinstance(statement, Insert) or statement.returning is None:
            return []
        before = None if stored is None else stored[1]
        if isinstance(statement, Delete):
            return statement.returned(before)
        assert before is not None  # noqa: S101 - an update has found its item
        assert new is not None  # noqa: S101 - and leaves one
        return statement.returned(before, new)

    def _attempted(self, stored: Stored | None) -> int | None:
        """Size of the item that was not stored, where it counts."""
        if stored is None:
            return None
        if isinstance(self.statement, Update):
            return attempted_size(self.statement.apply, stored[1], self.values)
        return None if self.new is None else item_size(self.new)

    def _failed(self, stored: Stored | None, consumption: Consumption, error: ServiceError) -> ServiceError:
        units = failed_condition_units(None if stored is None else stored[0][1], self._attempted(stored))
        throttle = self.table.capacity.admit_write(self.key[0] >> 64, units)
        if throttle is not None:
            return throttled(throttle)
        consumption.failed += units
        return error


def _old(stored: Stored | None, on_failure: str | None) -> Item | None:
    return stored[1] if stored is not None and on_failure == "ALL_OLD" else None

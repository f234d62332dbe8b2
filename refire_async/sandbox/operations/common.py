"""What operations share: shapes of common parameters, ConsumedCapacity, throttling."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from refire_async.sandbox.capacity.reasons import Throttle
from refire_async.sandbox.database import Database
from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.shapes import map_of, mapping_of_anything, text
from refire_async.sandbox.store.index import IndexChange
from refire_async.sandbox.store.table import Table

TABLE_NAME = text(1, 1024)
INDEX_NAME = text(3, 255, pattern="[a-zA-Z0-9_.-]+")
RETURN_CONSUMED = text(of=("INDEXES", "TOTAL", "NONE"))
RETURN_METRICS = text(of=("SIZE", "NONE"))
RETURN_ON_FAILURE = text(of=("ALL_OLD", "NONE"))
REQUEST_TOKEN = text(1, 36)
EXPRESSION = text()
NAMES = map_of(text(1, 65535))
VALUES = mapping_of_anything


class Consumption:
    """Units that one request took from one table, and the ConsumedCapacity that tells of them."""

    __slots__ = ("failed", "indexes", "local", "table", "used")

    def __init__(self, table_units: float = 0.0) -> None:
        self.table = table_units
        self.failed = 0.0  # members that failed: in CapacityUnits, for no resource
        self.indexes: dict[str, float] = {}
        self.local: dict[str, float] = {}
        self.used = False

    def add(self, table_units: float, changes: Iterable[IndexChange] = ()) -> None:
        """Count one write that was carried out, or one read."""
        self.used = True
        self.table += table_units
        for change in changes:
            self.add_index(change.index.name, change.units, is_global=change.index.is_global)

    def add_index(self, name: str, units: float, *, is_global: bool) -> None:
        """Count units of an index."""
        self.used = True
        by_name = self.indexes if is_global else self.local
        by_name[name] = by_name.get(name, 0.0) + units

    def render(self, table: str, wanted: str, also: str | None = None) -> dict[str, Any]:
        """ConsumedCapacity for ReturnConsumedCapacity TOTAL or INDEXES.

        ``also`` is the second name that units have in a transaction: ReadCapacityUnits or WriteCapacityUnits.
        """

        def units(number: float) -> dict[str, float]:
            named = {"CapacityUnits": float(number)}
            return named if also is None else {**named, also: float(number)}

        total = self.table + self.failed + sum(self.indexes.values()) + sum(self.local.values())
        shown: dict[str, Any] = {"TableName": table, **units(total)}
        if wanted == "INDEXES":
            shown["Table"] = units(self.table)
            for member, by_name in (
                ("GlobalSecondaryIndexes", self.indexes),
                ("LocalSecondaryIndexes", self.local),
            ):
                if by_name:
                    shown[member] = {name: units(number) for name, number in by_name.items()}
        return shown

    def add_to(self, response: dict[str, Any], table: str, wanted: str | None) -> dict[str, Any]:
        """Put ConsumedCapacity into the response of an operation on one table, if it is wanted."""
        if wanted is not None and wanted != "NONE":
            response["ConsumedCapacity"] = self.render(table, wanted)
        return response


def throttled(throttle: Throttle) -> ServiceError:
    """The exception for a refusal of the capacity model."""
    return ServiceError(throttle.error, throttle.message, extra=throttle.extra)


def member_errors(
    database: Database, operation: str, table: Table
) -> tuple[ServiceError | None, ServiceError | None]:
    """Faults of one member of a batch: the error to raise before it is carried out, and the one to raise after."""
    struck = None if database.member_fault is None else database.member_fault(operation, table)
    if struck is None:
        return None, None
    error, after = struck
    return (None, error) if after else (error, None)

"""The state of a sandbox: tables, clock, settings. Operations access it through a Session."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.clock import Clock, SystemClock
from refire_async.sandbox.errors import (
    ServiceError,
    resource_not_found,
    table_not_found,
    transaction_conflict,
    validation,
)
from refire_async.sandbox.store.holds import Holds
from refire_async.sandbox.store.index import SecondaryIndex
from refire_async.sandbox.store.keys import OrderKey
from refire_async.sandbox.store.table import Stored, Table, table_name
from refire_async.sandbox.store.tokens import Tokens

_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}")

MemberFault = Callable[[str, Table], tuple[ServiceError, bool] | None]
"""From an operation and a table: None, or an error and whether it occurs after the member was applied."""


@dataclass(slots=True)
class Database:
    """All tables by name. Regions share them: a name means the same table in every region."""

    clock: Clock = field(default_factory=SystemClock)
    settings: CapacitySettings = field(default_factory=CapacitySettings)
    partitions: int | None = None
    tables: dict[str, Table] = field(default_factory=dict)
    member_fault: MemberFault | None = None
    """Called for each member of a batch if faults of single members are active."""
    holds: Holds = field(default_factory=Holds)
    tokens: Tokens = field(default_factory=Tokens)
    answer_delay_s: float = 0.0
    """The delay of the answer to the present request, during which a transaction is in progress."""

    def table(self, name_or_arn: str) -> Table:
        """The table for a data operation; ResourceNotFoundException if there is none."""
        table = self.tables.get(name_or_arn)
        if table is None:
            name = table_name(name_or_arn)
            table = self.tables.get(name)
            if table is None:
                check_name(name)
                raise resource_not_found()
        return table

    def is_held(self, table: Table, key: OrderKey) -> bool:
        """Whether a transaction in progress holds an item."""
        return self.holds.has((table.id, key), self.clock.monotonic())

    def read_to_write(self, table: Table, key: OrderKey) -> Stored | None:
        """The item at ``key``, for a write; TransactionConflictException if a transaction holds it."""
        if self.holds and self.is_held(table, key):
            raise transaction_conflict()
        return table.read(key)

    def described_table(self, name_or_arn: str) -> Table:
        """The table for a control operation, whose message differs."""
        name = table_name(name_or_arn)
        check_name(name)
        table = self.tables.get(name)
        if table is None:
            raise table_not_found(name)
        return table

    def index(self, table: Table, name: str) -> SecondaryIndex:
        """An index of a table; ValidationException if there is none."""
        index = table.indexes.get(name)
        if index is None:
            raise validation(f"The table does not have the specified index: {name}")
        return index


@dataclass(frozen=True, slots=True)
class Session:
    """One caller's view of the database: the region is the one that its requests are signed for."""

    database: Database
    region: str


def check_name(name: str) -> None:
    """ValidationException unless ``name`` can be that of a table or index."""
    if not _NAME.fullmatch(name):
        raise validation(
            "Invalid table/index name.  Table/index names must be between 3 and 255 characters long, "
            "and may contain only the characters a-z, A-Z, 0-9, '_', '-', and '.'"
        )


def refuse_legacy(request: dict[str, Any], names: Iterable[str]) -> None:
    """Refuse the legacy parameters that expressions replaced in 2014 instead of ignoring them."""
    for name in names:
        if request.get(name) is not None:
            raise ServiceError(
                "ValidationException",
                f"The sandbox does not support the legacy parameter {name}; use expressions",
            )

"""Applies the faults of the fault file: latency, failed and damaged responses, tables that are deleted or resized.

``Faults`` decides purely; here a decision becomes a ``Response``, an error in place of one, or a change of a table.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from refire_async.sandbox.database import Database
from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.fault_specs import FaultSpec, RequestFault, RequestKind, TableDeleted
from refire_async.sandbox.faults import CapacityRestored, Faults, TableEvent, error_of
from refire_async.sandbox.http import Ending, Response
from refire_async.sandbox.latency import Latency
from refire_async.sandbox.operations.table_settings import capacity_of
from refire_async.sandbox.operations.transactions import canceled
from refire_async.sandbox.partiql import compile_statement
from refire_async.sandbox.responses import error_response
from refire_async.sandbox.store.table import Table, Throughput, table_arn, table_name

# What holds the actions of transactions, and the reasons for which a fault cancels one.
_TRANSACTIONS = {
    "TransactWriteItems": "TransactItems",
    "TransactGetItems": "TransactItems",
    "ExecuteTransaction": "TransactStatements",
}
_CANCELING = ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of a request. ``execute`` raises ServiceError."""

    operation: str
    region: str
    parameters: Any
    execute: Callable[[], bytes]


class Chaos:
    """The active faults and the latency of every request. ``latency`` draws from ``seed``."""

    def __init__(self, database: Database, *, latency: Latency | None, seed: int) -> None:
        self._database = database
        self._latency = latency
        self._rng = random.Random(f"latency/{seed}")  # noqa: S311 - reproducible on purpose
        self._faults = Faults(FaultSpec(), database.clock)
        self._lowered: dict[tuple[str, str | None], Throughput] = {}
        self._has_faults = False

    @property
    def is_quiet(self) -> bool:
        """Whether requests are answered at once and without faults."""
        return self._latency is None and not self._has_faults

    def install(self, spec: FaultSpec) -> None:
        """Replace all faults and restore the throughput that they lowered."""
        for restored in self._faults.end():
            self._apply(restored)
        self._faults = Faults(spec, self._database.clock)
        self._has_faults = bool(spec.requests or spec.events)
        members = any(fault.scope == "member" for fault in spec.requests)
        self._database.member_fault = self._member_error if members else None

    def struck(self) -> list[dict[str, Any]]:
        """How often each fault occurred."""
        return self._faults.struck()

    def catch_up(self) -> None:
        """Apply the events that are due."""
        if self._database.clock.monotonic() >= self._faults.next_event_at:
            for event in self._faults.due():
                self._apply(event)

    def run(self, call: Call) -> Response:
        """Answer a call with the active faults and latency. Raises ServiceError only through ``call.execute``."""
        tables = _tables_of(call.parameters)
        decision = self._faults.decide(call.operation, tables)
        delay_s = decision.delay + (self._latency.sample(self._rng) if self._latency else 0.0)
        if decision.before is not None:
            return self._end(decision.before, call, tables, delay_s)
        # As long as the answer is under way, so is a transaction.
        self._database.answer_delay_s = delay_s
        try:
            response = Response(200, call.execute())
        except ServiceError as error:
            response = error_response(error)
        finally:
            self._database.answer_delay_s = 0.0
        if decision.after is not None:
            return self._end(decision.after, call, tables, delay_s)
        response.delay_s = delay_s
        if decision.answer is not None:
            _spoil(response, decision.answer)
        return response

    def _end(self, fault: RequestFault, call: Call, tables: Sequence[str], delay_s: float) -> Response:
        """What a request receives instead of its answer."""
        if fault.kind is RequestKind.RESET:
            response = Response(500, b"", ending=Ending.RESET)
        elif fault.kind is RequestKind.TIMEOUT:
            response = Response(500, b"", ending=Ending.SILENT)
        else:
            error = self._error(fault, call.operation, call.region, tables[0] if tables else "*")
            response = error_response(_of_transaction(call, error))
        response.delay_s = delay_s
        return response

    def _error(self, fault: RequestFault, operation: str, region: str, name: str) -> ServiceError:
        table = self._database.tables.get(name)
        error = error_of(
            fault,
            operation,
            table_arn(region, name) if table is None else table.arn,
            settings=self._database.settings,
            on_demand=table is not None and table.billing == "PAY_PER_REQUEST",
        )
        assert error is not None  # noqa: S101 - all other kinds have an ending instead
        return error

    def _member_error(self, operation: str, table: Table) -> tuple[ServiceError, bool] | None:
        """The error of a batch member, and whether it occurs after the member was applied."""
        fault = self._faults.decide_member(operation, table.name)
        if fault is None:
            return None
        return self._error(fault, operation, table.region, table.name), fault.when == "after"

    def _apply(self, event: TableEvent) -> None:
        table = self._database.tables.get(event.table)
        if table is None:
            return
        if isinstance(event, TableDeleted):
            del self._database.tables[event.table]
            return
        throughput = table.throughput if event.index is None else table.index_throughput.get(event.index)
        if throughput is None:
            return
        place = event.table, event.index
        if isinstance(event, CapacityRestored):
            before = self._lowered.pop(place, None)
            if before is None:
                return
            throughput.read, throughput.write = before.read, before.write
            throughput.max_read, throughput.max_write = before.max_read, before.max_write
        else:
            self._lowered.setdefault(place, throughput.copy())
            if table.billing == "PROVISIONED":
                throughput.read = throughput.read if event.read is None else int(event.read)
                throughput.write = throughput.write if event.write is None else int(event.write)
            else:
                throughput.max_read = throughput.max_read if event.read is None else int(event.read)
                throughput.max_write = throughput.max_write if event.write is None else int(event.write)
        table.capacity.resize(event.index, capacity_of(throughput, table.billing))


def _of_transaction(call: Call, error: ServiceError) -> ServiceError:
    """A conflict or throttling of a transaction, attributed to its first action, cancels it."""
    members = _TRANSACTIONS.get(call.operation)
    actions = call.parameters.get(members) if isinstance(call.parameters, dict) else None
    if not isinstance(actions, list) or error.batch_code not in _CANCELING:
        return error
    return canceled([error, *[None] * (len(actions) - 1)])


def _spoil(response: Response, fault: RequestFault) -> None:
    if fault.kind is RequestKind.TRUNCATE:
        response.ending = Ending.TRUNCATED
        response.keep_bytes = len(response.body) // 2 if fault.keep_bytes is None else fault.keep_bytes
    elif fault.kind is RequestKind.BAD_CRC:
        response.wrong_crc = True
    else:
        response.ending = Ending.DRIP
        response.bytes_per_s = fault.bytes_per_second


def _tables_of(parameters: Any) -> list[str]:
    """Names of the tables in a request, as far as it is well formed."""
    if not isinstance(parameters, dict):
        return []
    names = []
    if isinstance(parameters.get("TableName"), str):
        names.append(parameters["TableName"])
    if isinstance(parameters.get("RequestItems"), dict):
        names += parameters["RequestItems"]
    statements = parameters.get("Statements") or parameters.get("TransactStatements")
    if "Statement" in parameters:
        statements = [parameters]
    if isinstance(statements, list):
        names += filter(None, map(_table_of_statement, statements))
    members = parameters.get("TransactItems")
    if isinstance(members, list):
        names += filter(None, map(_table_of_member, members))
    return [table_name(name) for name in dict.fromkeys(names)]


def _table_of_member(member: Any) -> str | None:
    contents = member.values() if isinstance(member, dict) else ()
    names = [content.get("TableName") for content in contents if isinstance(content, dict)]
    return names[0] if names and isinstance(names[0], str) else None


def _table_of_statement(member: Any) -> str | None:
    text = member.get("Statement") if isinstance(member, dict) else None
    if not isinstance(text, str):
        return None
    try:
        return compile_statement(text).table
    except ServiceError:
        return None

"""ExecuteTransaction: PartiQL statements, all reads or all writes, carried out together or not at all."""

from __future__ import annotations

from typing import Any

import orjson

from refire_async.sandbox.capacity.units import write_units
from refire_async.sandbox.database import Session
from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.operations.common import (
    REQUEST_TOKEN,
    RETURN_CONSUMED,
    RETURN_ON_FAILURE,
    Consumption,
)
from refire_async.sandbox.operations.statement_reads import pinned_key
from refire_async.sandbox.operations.statement_writes import BoundWrite
from refire_async.sandbox.operations.transactions import (
    MAX_ACTIONS,
    Action,
    completed,
    consumed_again,
    consumed_by,
    read_all,
    refuse_payload,
    refuse_repeated,
    require_condition,
    with_consumed,
    write_all,
)
from refire_async.sandbox.partiql import Exists, Select, Statement, compile_statement
from refire_async.sandbox.shapes import anything, check, list_of, structure, text
from refire_async.sandbox.store.changes import PUT, UPDATE, Change, plan
from refire_async.sandbox.store.keys import OrderKey
from refire_async.sandbox.store.table import Stored, Table
from refire_async.sandbox.values import AttributeValue

_SHAPE = structure(
    {
        "TransactStatements": list_of(
            structure(
                {"Statement": text(1, 8192)},
                Parameters=list_of(anything, 1),
                ReturnValuesOnConditionCheckFailure=RETURN_ON_FAILURE,
            ),
            1,
            MAX_ACTIONS,
        )
    },
    ClientRequestToken=REQUEST_TOKEN,
    ReturnConsumedCapacity=RETURN_CONSUMED,
)
_NAME = "ExecuteTransaction"


def execute_transaction(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """ExecuteTransaction. Writes have no Responses: RETURNING is refused."""
    check(_SHAPE, request)
    members = request["TransactStatements"]
    tokens, now = session.database.tokens, session.database.clock.monotonic()
    token, content = request.get("ClientRequestToken"), orjson.dumps(members)
    if token is not None:
        repeated = tokens.find(_NAME, token, content, now)
        if repeated is not None:
            response = {"Responses": repeated.responses}
            return with_consumed(response, consumed_again(repeated), request, "Read")
    refuse_payload(len(content))
    statements = [compile_statement(member["Statement"]) for member in members]
    reads = [isinstance(statement, Select) for statement in statements]
    if any(reads) and not all(reads):
        raise validation(f"{_NAME} API does not support both read and write operations in the same request.")
    bound = [_Bound(session, at, *pair) for at, pair in enumerate(zip(statements, members, strict=True))]
    if all(reads):
        return _read(session, bound, request)
    actions = [Action(one.table, one.key, one.decide) for one in bound]
    refuse_repeated([(one.table, one.key) for one in bound])
    changes = write_all(session, actions)
    if token is not None:
        tokens.keep(_NAME, token, completed(session, content, actions, changes, []), now)
    return with_consumed({"Responses": []}, consumed_by(actions, changes), request, "Write")


class _Bound:
    """One statement with its parameters, table and key. Raises ValidationException that names its place."""

    def __init__(self, session: Session, at: int, statement: Statement, member: dict[str, Any]) -> None:
        self.statement = statement
        self._on_failure: str | None = member.get("ReturnValuesOnConditionCheckFailure")
        self.write: BoundWrite | None = None
        try:
            self.values: list[AttributeValue] = statement.bind(member.get("Parameters"))
            self.table, self.key = self._find(session)
        except ServiceError as error:
            if error.type != "ValidationException":
                raise
            raise validation(f"Validation failed in TransactStatements[{at}]: {error.message}") from None

    def _find(self, session: Session) -> tuple[Table, OrderKey]:
        statement = self.statement
        if isinstance(statement, Select):
            if statement.index is not None:
                raise validation("Reads on indices are not supported within transactions.")
            found = pinned_key(session, statement, self.values)
            if found is None or statement.filter_attributes - set(found[0].schema.names):
                raise validation(
                    f"Select statements within {_NAME} must specify the primary key in the where clause."
                )
            return found
        if isinstance(statement, Exists):
            found = pinned_key(session, statement.select, self.values)
            if found is None or not statement.select.filter_attributes - set(found[0].schema.names):
                raise validation("EXISTS() must contain a single item read with additional condition")
            return found
        if getattr(statement, "returning", None) is not None:
            raise validation(f"RETURNING clause is not supported in {_NAME}.")
        self.write = BoundWrite.bind(session, statement, self.values)
        return self.write.table, self.write.key

    def decide(self, stored: Stored | None) -> Change:
        """What the statement changes; raises why it cannot be carried out."""
        if self.write is not None:
            new = self.write.changed(stored, self._on_failure)
            return plan(self.table, self.key, stored, new, PUT if stored is None else UPDATE)
        assert isinstance(self.statement, Exists)  # noqa: S101 - reads come elsewhere
        holds = stored is not None and self.statement.select.matches(stored[1], self.values)
        require_condition(holds, stored, self._on_failure)
        row = stored[0] if stored else None
        return Change(self.key, row, row, write_units(row[1] if row else None, None), [])


def _read(session: Session, bound: list[_Bound], request: dict[str, Any]) -> dict[str, Any]:
    consumed: dict[str, Consumption] = {}
    responses = []
    items = read_all(session, [(one.table, one.key) for one in bound], consumed)
    for one, item in zip(bound, items, strict=True):
        assert isinstance(one.statement, Select)  # noqa: S101 - all are reads
        found = item is not None and one.statement.matches(item, one.values)
        responses.append({"Item": one.statement.project(item)} if found and item is not None else {})
    return with_consumed({"Responses": responses}, consumed, request, "Read")

"""ExecuteStatement and BatchExecuteStatement."""

from __future__ import annotations

from typing import Any

from refire_async.sandbox.database import Session
from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.operations.common import (
    RETURN_CONSUMED,
    RETURN_ON_FAILURE,
    Consumption,
    member_errors,
)
from refire_async.sandbox.operations.statement_reads import bind_batch_select, select, select_by_key
from refire_async.sandbox.operations.statement_writes import BoundWrite
from refire_async.sandbox.partiql import Select, compile_plain
from refire_async.sandbox.shapes import anything, boolean, check, integer, list_of, structure, text
from refire_async.sandbox.store.keys import OrderKey
from refire_async.sandbox.store.table import Table
from refire_async.sandbox.values import AttributeValue, Item

_MAX_STATEMENTS = 25
_MAX_CHARACTERS = 8192
_CONSUMED = ("NONE", "TOTAL", "INDEXES", None)
_STATEMENT = text(1, _MAX_CHARACTERS)
_PARAMETERS = list_of(anything, 1)
_EXECUTE = structure(
    {"Statement": _STATEMENT},
    Parameters=_PARAMETERS,
    ConsistentRead=boolean,
    NextToken=text(1, 32768),
    ReturnConsumedCapacity=RETURN_CONSUMED,
    Limit=integer(1),
    ReturnValuesOnConditionCheckFailure=RETURN_ON_FAILURE,
)
_BATCH = structure(
    {
        "Statements": list_of(
            structure(
                {"Statement": _STATEMENT},
                Parameters=_PARAMETERS,
                ConsistentRead=boolean,
                ReturnValuesOnConditionCheckFailure=RETURN_ON_FAILURE,
            ),
            1,
            _MAX_STATEMENTS,
        )
    },
    ReturnConsumedCapacity=RETURN_CONSUMED,
)


def execute_statement(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """ExecuteStatement."""
    check(_EXECUTE, request)
    statement = compile_plain(request["Statement"])
    values = statement.bind(request.get("Parameters"))
    if isinstance(statement, Select):
        return select(session, statement, values, request)
    bound = BoundWrite.bind(session, statement, values)
    consumption = Consumption()
    items = bound.execute(session, consumption, request.get("ReturnValuesOnConditionCheckFailure"))
    return consumption.add_to({"Items": items}, bound.table.name, request.get("ReturnConsumedCapacity"))


class _BoundRead:
    """A SELECT of a batch with its parameters, table and key."""

    __slots__ = ("_consistent", "_statement", "_values", "key", "table")

    def __init__(
        self, session: Session, statement: Select, values: list[AttributeValue], *, consistent: bool
    ) -> None:
        self._statement = statement
        self._values = values
        self._consistent = consistent
        self.table: Table
        self.key: OrderKey
        self.table, self.key = bind_batch_select(session, statement, values)

    def execute(self, _session: Session, consumption: Consumption) -> list[Item]:
        """The item, if there is one that fits."""
        return select_by_key(
            self.table, self.key, self._statement, self._values, consumption, consistent=self._consistent
        )


_Member = BoundWrite | _BoundRead | ServiceError


def batch_execute_statement(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """BatchExecuteStatement: members succeed and fail alone, unless the batch as a whole is wrong."""
    if not _is_plain(request):
        check(_BATCH, request)
    members = _bind(session, request["Statements"])
    consumed: dict[str, Consumption] = {}
    responses: list[dict[str, Any]] = []
    database = session.database
    before = after = None
    for member in members:
        if isinstance(member, ServiceError):
            responses.append(_failed(member))
            continue
        table = member.table.name
        consumption = consumed.get(table)
        if consumption is None:
            consumption = consumed[table] = Consumption()
        if database.member_fault is not None:
            before, after = member_errors(database, "BatchExecuteStatement", member.table)
        try:
            if before is not None:
                raise before
            items = member.execute(session, consumption)
            if after is not None:
                raise after
        except ServiceError as error:
            responses.append(_failed(error, table))
            continue
        responses.append({"TableName": table, "Item": items[0]} if items else {"TableName": table})
    response: dict[str, Any] = {"Responses": responses}
    wanted = request.get("ReturnConsumedCapacity")
    if wanted is not None and wanted != "NONE":
        # A table of which every member failed is left out, as the service does.
        response["ConsumedCapacity"] = [
            consumption.render(table, wanted) for table, consumption in consumed.items() if consumption.used
        ]
    return response


def _is_plain(request: Any) -> bool:
    """Whether a batch is of the form that nearly all are, so that checking its shape can be left out."""
    if type(request) is not dict or request.keys() - {"Statements", "ReturnConsumedCapacity"}:
        return False
    statements = request.get("Statements")
    if type(statements) is not list or not 1 <= len(statements) <= _MAX_STATEMENTS:
        return False
    return request.get("ReturnConsumedCapacity") in _CONSUMED and all(map(_is_plain_member, statements))


def _is_plain_member(member: Any) -> bool:
    if type(member) is not dict or len(member) != 2:
        return False
    statement, parameters = member.get("Statement"), member.get("Parameters")
    if type(statement) is not str or type(parameters) is not list:
        return False
    return 0 < len(statement) <= _MAX_CHARACTERS and bool(parameters)


def _bind(session: Session, statements: list[dict[str, Any]]) -> list[_Member]:
    """Check all members before the first is carried out."""
    members: list[_Member] = []
    seen = set()
    bound = 0
    reads = writes = False
    for given in statements:
        try:
            statement = compile_plain(given["Statement"])
            if isinstance(statement, Select):
                reads = True
                values = statement.bind(given.get("Parameters"))
                member: BoundWrite | _BoundRead = _BoundRead(
                    session, statement, values, consistent=bool(given.get("ConsistentRead"))
                )
            else:
                writes = True
                member = BoundWrite.bind(session, statement, statement.bind(given.get("Parameters")))
        except ServiceError as error:
            members.append(error)
            continue
        seen.add((member.table.name, member.key))
        bound += 1
        members.append(member)
    if reads and writes:
        raise validation("Read and write requests together in the same batch is not supported.")
    if len(seen) != bound:
        raise validation("Provided list of item keys contains duplicates")
    return members


def _failed(error: ServiceError, table: str | None = None) -> dict[str, Any]:
    """A member's Error. TableName goes with what was found out by looking at the table."""
    response: dict[str, Any] = {"Error": {"Code": error.batch_code, "Message": error.message}}
    if table is not None and error.type != "ValidationException":
        response["TableName"] = table
    return response

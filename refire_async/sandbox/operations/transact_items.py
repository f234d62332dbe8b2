"""TransactWriteItems and TransactGetItems."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import orjson

from refire_async.sandbox.capacity.units import write_units
from refire_async.sandbox.database import Session
from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.expressions import Condition, Update
from refire_async.sandbox.operations.collections import METRICS, metrics_by_table
from refire_async.sandbox.operations.common import (
    EXPRESSION,
    NAMES,
    REQUEST_TOKEN,
    RETURN_CONSUMED,
    RETURN_METRICS,
    RETURN_ON_FAILURE,
    TABLE_NAME,
    VALUES,
    Consumption,
)
from refire_async.sandbox.operations.parameters import Expressions
from refire_async.sandbox.operations.transactions import (
    MAX_ACTIONS,
    Action,
    completed,
    consumed_again,
    consumed_by,
    only_first,
    read_all,
    refuse_payload,
    refuse_repeated,
    require_condition,
    with_consumed,
    write_all,
)
from refire_async.sandbox.operations.writing import check_new_item
from refire_async.sandbox.shapes import check, list_of, mapping_of_anything, structure
from refire_async.sandbox.store.changes import PUT, UPDATE, Change, plan
from refire_async.sandbox.store.keys import OrderKey
from refire_async.sandbox.store.table import Stored, Table
from refire_async.sandbox.values import Item, item_size, validate_item

_ON_FAILURE = "ReturnValuesOnConditionCheckFailure"
_EXPRESSIONS = {
    "ExpressionAttributeNames": NAMES,
    "ExpressionAttributeValues": VALUES,
    _ON_FAILURE: RETURN_ON_FAILURE,
}
_KEYED = {"TableName": TABLE_NAME, "Key": mapping_of_anything}
_KINDS = ("ConditionCheck", "Put", "Delete", "Update")
_WRITE = structure(
    {
        "TransactItems": list_of(
            structure(
                ConditionCheck=structure({**_KEYED, "ConditionExpression": EXPRESSION}, **_EXPRESSIONS),
                Put=structure(
                    {"TableName": TABLE_NAME, "Item": mapping_of_anything},
                    ConditionExpression=EXPRESSION,
                    **_EXPRESSIONS,
                ),
                Delete=structure(_KEYED, ConditionExpression=EXPRESSION, **_EXPRESSIONS),
                Update=structure(
                    {**_KEYED, "UpdateExpression": EXPRESSION}, ConditionExpression=EXPRESSION, **_EXPRESSIONS
                ),
            ),
            1,
            MAX_ACTIONS,
        )
    },
    ClientRequestToken=REQUEST_TOKEN,
    ReturnConsumedCapacity=RETURN_CONSUMED,
    **{METRICS: RETURN_METRICS},
)
_GET = structure(
    {
        "TransactItems": list_of(
            structure(
                {"Get": structure(_KEYED, ProjectionExpression=EXPRESSION, ExpressionAttributeNames=NAMES)}
            ),
            1,
            MAX_ACTIONS,
        )
    },
    ReturnConsumedCapacity=RETURN_CONSUMED,
)


def transact_write_items(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """TransactWriteItems."""
    check(_WRITE, request)
    tokens, now = session.database.tokens, session.database.clock.monotonic()
    token, content = request.get("ClientRequestToken"), orjson.dumps(request["TransactItems"])
    if token is not None:
        repeated = tokens.find("TransactWriteItems", token, content, now)
        if repeated is not None:
            return with_consumed({}, consumed_again(repeated), request, "Read")
    members = [_Member(session, member) for member in request["TransactItems"]]
    refuse_payload(sum(member.payload for member in members))
    actions = _bind_all([member.bind for member in members], _place_of)
    changes = write_all(session, actions)
    if token is not None:
        done = completed(session, content, actions, changes, None)
        tokens.keep("TransactWriteItems", token, done, now)
    response: dict[str, Any] = {}
    if request.get(METRICS) == "SIZE":
        written = [(member.table, member.key_item) for member in members if member.kind != "ConditionCheck"]
        if metrics := metrics_by_table(written):
            response["ItemCollectionMetrics"] = metrics
    return with_consumed(response, consumed_by(actions, changes), request, "Write")


def _place_of(action: Action) -> tuple[Table, OrderKey]:
    return action.table, action.key


def _bind_all(
    binds: Sequence[Callable[[], Any]], place_of: Callable[[Any], tuple[Table, OrderKey]]
) -> list[Any]:
    """Check every action by itself. Raises a ValidationException, or a cancellation for the first that is wrong."""
    bound: list[Any] = []
    errors: list[ServiceError | None] = []
    for bind in binds:
        try:
            bound.append(bind())
            errors.append(None)
        except ServiceError as error:
            errors.append(error)
    refuse_repeated([place_of(one) for one in bound])
    if any(errors):
        raise only_first(errors)
    return bound


class _Member:
    """One member of TransactItems. What is wrong without regard to the table's schema is raised at once."""

    def __init__(self, session: Session, member: dict[str, Any]) -> None:
        kinds = [kind for kind in _KINDS if member.get(kind) is not None]
        if len(kinds) != 1:
            raise validation("TransactItems can only contain one of Check, Put, Update or Delete")
        self.kind = kinds[0]
        content = member[self.kind]
        expressions = Expressions(content)
        # Which attributes are the key is a question of the schema.
        self._update: Update | None = expressions.update(())
        self._condition: Condition | None = expressions.condition("ConditionExpression")
        expressions.finish()
        self.key_item: Item = validate_item(content["Item" if self.kind == "Put" else "Key"])
        self.payload = item_size(self.key_item) + len(orjson.dumps(content.get("ExpressionAttributeValues")))
        self._on_failure: str | None = content.get(_ON_FAILURE)
        self.table = session.database.table(content["TableName"])
        self.table.schema.refuse_empty(self.key_item)

    def bind(self) -> Action:
        """The action. Raises ValidationException for what does not fit the table."""
        table, schema = self.table, self.table.schema
        if self.kind == "Put":
            check_new_item(table, self.key_item)
            return Action(table, schema.order_key(self.key_item), self._put)
        key = schema.order_key(schema.validate_key(self.key_item))
        if self._update is not None:
            self._update.refuse_keys(schema.names)
            return Action(table, key, self._updated)
        return Action(table, key, self._delete if self.kind == "Delete" else self._checked)

    def _require(self, stored: Stored | None) -> OrderKey:
        holds = self._condition is None or self._condition.matches(stored[1] if stored else {})
        require_condition(holds, stored, self._on_failure)
        return self.table.schema.order_key(self.key_item)

    def _put(self, stored: Stored | None) -> Change:
        return plan(self.table, self._require(stored), stored, self.key_item, PUT)

    def _delete(self, stored: Stored | None) -> Change:
        return plan(self.table, self._require(stored), stored, None, PUT)

    def _updated(self, stored: Stored | None) -> Change:
        key, update = self._require(stored), self._update
        assert update is not None  # noqa: S101 - only an update comes here
        if stored is None and not update.creates:
            return plan(self.table, key, None, None, UPDATE)
        new = update.apply(stored[1] if stored else self.key_item)
        return plan(self.table, key, stored, new, UPDATE)

    def _checked(self, stored: Stored | None) -> Change:
        """A check changes nothing, and is charged for what it looks at."""
        row = stored[0] if stored else None
        return Change(self._require(stored), row, row, write_units(row[1] if row else None, None), [])


def transact_get_items(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """TransactGetItems. An item of which the projection shows nothing is left out, as an absent one is."""
    check(_GET, request)
    gets = [member["Get"] for member in request["TransactItems"]]
    projections = []
    for get in gets:
        expressions = Expressions(get)
        projections.append(expressions.projection())
        expressions.finish()
    tables = [session.database.table(get["TableName"]) for get in gets]

    binds = [partial(_bind_get, table, get) for table, get in zip(tables, gets, strict=True)]
    places = _bind_all(binds, lambda place: place)
    consumed: dict[str, Consumption] = {}
    responses: list[dict[str, Any]] = []
    for item, projection in zip(read_all(session, places, consumed), projections, strict=True):
        shown = item if item is None or projection is None else projection.apply(item)
        responses.append({"Item": shown} if shown else {})
    return with_consumed({"Responses": responses}, consumed, request, "Read")


def _bind_get(table: Table, get: dict[str, Any]) -> tuple[Table, OrderKey]:
    return table, table.schema.order_key(table.schema.validate_key(get["Key"]))

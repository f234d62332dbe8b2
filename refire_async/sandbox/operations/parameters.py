"""The expressions of one request, which share names and values, all of which must be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refire_async.sandbox.expressions import (
    Condition,
    KeyCondition,
    Placeholders,
    Projection,
    Update,
    compile_condition,
    compile_key_condition,
    compile_projection,
    compile_update,
)
from refire_async.sandbox.store.keys import KeySchema


class Expressions:
    """Compile every expression of a request with this, then call ``finish``. Raises ValidationException."""

    __slots__ = ("_compiled", "_placeholders", "_request")

    def __init__(self, request: Mapping[str, Any]) -> None:
        self._request = request
        self._placeholders = Placeholders(
            request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues")
        )
        self._compiled = False

    def _text(self, member: str) -> str | None:
        text = self._request.get(member)
        if text is not None:
            self._compiled = True
        return text

    def condition(self, member: str) -> Condition | None:
        """A ConditionExpression or FilterExpression, None if the request has none."""
        text = self._text(member)
        return None if text is None else compile_condition(text, self._placeholders, member)

    def projection(self) -> Projection | None:
        """The ProjectionExpression."""
        text = self._text("ProjectionExpression")
        return None if text is None else compile_projection(text, self._placeholders)

    def update(self, key_names: tuple[str, ...]) -> Update | None:
        """The UpdateExpression of a table with these key attributes."""
        text = self._text("UpdateExpression")
        return None if text is None else compile_update(text, self._placeholders, key_names)

    def key_condition(self, schema: KeySchema) -> KeyCondition:
        """The KeyConditionExpression of a table or index, which is there."""
        text = self._text("KeyConditionExpression") or ""
        condition = compile_key_condition(text, self._placeholders, schema.hash_names, schema.range_names)
        condition.check_types(schema.types)
        return condition

    def finish(self) -> None:
        """ValidationException for names and values that no expression uses."""
        self._placeholders.check_all_used(expressions=self._compiled)

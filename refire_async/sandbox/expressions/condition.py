"""Condition and filter expressions (Developer Guide: Condition and filter expressions, operators, and functions)."""

from __future__ import annotations

from dataclasses import dataclass

from refire_async.sandbox.expressions.binder import Binder
from refire_async.sandbox.expressions.grammar import parse_condition
from refire_async.sandbox.expressions.placeholders import Placeholders
from refire_async.sandbox.expressions.runtime import Decide
from refire_async.sandbox.values import Item


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. ``attributes`` are the names of the top-level attributes that it looks at."""

    attributes: frozenset[str]
    decide: Decide

    def matches(self, item: Item | None) -> bool:
        """Whether the condition holds for an item; None, an item that does not exist, has no attributes."""
        return self.decide({} if item is None else item, None)


def compile_condition(
    text: str, placeholders: Placeholders, parameter: str = "ConditionExpression"
) -> Condition:
    """Compile a condition, filter or other boolean expression.

    ``parameter`` is the member of the request that errors name, such as "FilterExpression". Raises
    ValidationException.
    """
    binder = Binder(placeholders, f"Invalid {parameter}: ")
    decide = binder.condition(parse_condition(text, parameter))
    return Condition(frozenset(binder.attributes), decide)

"""From syntax trees to closures, for both languages, with the checks that need names and values.

Checks go from left to right and name the first thing that is wrong, as on the service. What is wrong with a value
that comes only with the execution of a PartiQL statement is checked then: ``deferred`` collects those checks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.expressions import runtime
from refire_async.sandbox.expressions.nodes import (
    AllOf,
    AnyOf,
    Between,
    Call,
    Comparison,
    Literal,
    Membership,
    Not,
    Parameter,
    Path,
    Substitute,
    TypeTest,
)
from refire_async.sandbox.expressions.paths import MAX_PATH_LEVELS, DocumentPath, describe
from refire_async.sandbox.expressions.placeholders import Placeholders
from refire_async.sandbox.expressions.runtime import Decide, Read
from refire_async.sandbox.values import AttributeValue, compare

Check = Callable[[AttributeValue], None]

_ORDERED = frozenset({"S", "N", "B"})
_PREFIXES = frozenset({"S", "B"})
_SIZED = frozenset({"S", "B", "SS", "NS", "BS", "L", "M"})
_ATTRIBUTE_TYPES = ("N", "BS", "L", "B", "NULL", "M", "S", "SS", "NS", "BOOL")
_ARITY = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
    "if_not_exists": 2,
    "list_append": 2,
}


@dataclass(frozen=True, slots=True)
class Bound:
    """An operand ready to be read, and what is known of it beforehand."""

    read: Read
    path: DocumentPath | None = None
    value: AttributeValue | None = None
    parameter: int | None = None
    type: str | None = None


class Binder:
    """Binds the trees of one expression or statement.

    ``place`` names the expression in errors ("Invalid UpdateExpression: "), empty for PartiQL.
    """

    def __init__(self, placeholders: Placeholders | None = None, place: str = "") -> None:
        self._placeholders = placeholders
        self._place = place
        self.deferred: list[Callable[[Any], None]] = []
        self.attributes: set[str] = set()
        """Names of the top-level attributes seen so far."""
        self._conditions: dict[type, Callable[[Any], Decide]] = {
            Comparison: self._comparison,
            Between: self._between,
            Membership: self._membership,
            TypeTest: self._type_test,
            Not: lambda node: runtime.negate(self.condition(node.condition)),
            AllOf: lambda node: runtime.all_of([self.condition(each) for each in node.conditions]),
            AnyOf: lambda node: runtime.any_of([self.condition(each) for each in node.conditions]),
            Call: self._function,
        }

    def error(self, message: str) -> ServiceError:
        """A ValidationException that says which expression is wrong."""
        return validation(self._place + message)

    # -- operands

    def path(self, node: Path) -> DocumentPath:
        """The path with its substitutes replaced."""
        elements: DocumentPath = node.elements
        if self._placeholders is not None:
            elements = tuple(self._name(element) for element in elements)
        if len(elements) > MAX_PATH_LEVELS:
            raise self.error(
                f"The document path has too many nesting levels; nesting levels: {len(elements)}"
            )
        self.attributes.add(str(elements[0]))
        return elements

    def _name(self, element: str | int) -> str | int:
        if isinstance(element, int) or element[0] != "#" or self._placeholders is None:
            return element
        try:
            return self._placeholders.name(element)
        except KeyError:
            raise self.error(
                "An expression attribute name used in the document path is not defined; "
                f"attribute name: {element}"
            ) from None

    def operand(self, node: Any) -> Bound:
        """A path, value or ``size``."""
        if isinstance(node, Path):
            path = self.path(node)
            return Bound(runtime.read_path(path), path=path)
        if isinstance(node, Substitute):
            return self._constant(self.substitute(node))
        if isinstance(node, Literal):
            return self._constant(node.value)
        if isinstance(node, Parameter):
            return Bound(runtime.read_parameter(node.index), parameter=node.index)
        operands = self.arguments(node)
        self.require_type(operands[0], _SIZED, "size")
        return Bound(runtime.read_size(operands[0].read), type="N")

    def substitute(self, node: Substitute) -> AttributeValue:
        """The value that ``:name`` stands for."""
        assert self._placeholders is not None  # noqa: S101 - only expressions have substitutes
        try:
            return self._placeholders.value(node.name)
        except KeyError:
            raise self.error(
                f"An expression attribute value used in expression is not defined; attribute value: {node.name}"
            ) from None

    def _constant(self, value: AttributeValue) -> Bound:
        return Bound(runtime.read_constant(value), value=value, type=next(iter(value)))

    def arguments(self, node: Call) -> list[Bound]:
        """The bound arguments of a function, of the number it takes."""
        return self.counted(node, [self.operand(argument) for argument in node.arguments])

    def counted(self, node: Call, operands: list[Bound]) -> list[Bound]:
        """``operands`` if their number is what the function takes."""
        if len(operands) != _ARITY[node.function]:
            raise self.error(
                "Incorrect number of operands for operator or function; "
                f"operator or function: {node.function}, number of operands: {len(operands)}"
            )
        return operands

    # -- checks

    def require_type(self, operand: Bound, allowed: frozenset[str], operator: str) -> None:
        """The operand, as far as its value does not come from the item, must be of an allowed type."""
        if operand.parameter is not None:
            self.defer(operand.parameter, partial(self._check_type, allowed, operator))
        elif operand.type is not None and operand.type not in allowed:
            raise self._incorrect_type(operator, operand.type)

    def _check_type(self, allowed: frozenset[str], operator: str, value: AttributeValue) -> None:
        type_ = next(iter(value))
        if type_ not in allowed:
            raise self._incorrect_type(operator, type_)

    def _incorrect_type(self, operator: str, type_: str) -> ServiceError:
        return self.error(
            "Incorrect operand type for operator or function; "
            f"operator or function: {operator}, operand type: {type_}"
        )

    def defer(self, parameter: int, check: Check) -> None:
        """Run ``check`` on a parameter's value when the statement is executed."""
        self.deferred.append(lambda parameters: check(parameters[parameter]))

    def _require_distinct(self, operator: str, first: Bound, *others: Bound) -> None:
        if first.path is not None and any(other.path == first.path for other in others):
            raise self.error(
                "The first operand must be distinct from the remaining operands for this operator or function; "
                f"operator: {operator}, first operand: {describe(first.path)}"
            )

    def require_path(self, operand: Bound, function: str) -> DocumentPath:
        """The operand's path; a value instead of a path is an error."""
        if operand.path is None:
            raise self.error(
                f"Operator or function requires a document path; operator or function: {function}"
            )
        return operand.path

    # -- conditions

    def condition(self, node: Any) -> Decide:
        """The closure that decides a condition."""
        return self._conditions[type(node)](node)

    def _comparison(self, node: Comparison) -> Decide:
        left, right = self.operand(node.left), self.operand(node.right)
        if node.operator not in {"=", "<>"}:
            self.require_type(left, _ORDERED, node.operator)
            self.require_type(right, _ORDERED, node.operator)
        self._require_distinct(node.operator, left, right)
        if (
            node.operator == "="
            and left.path is not None
            and len(left.path) == 1
            and right.parameter is not None
        ):
            return runtime.attribute_equals_parameter(str(left.path[0]), right.parameter)
        return runtime.comparison(node.operator, left.read, right.read)

    def _between(self, node: Between) -> Decide:
        operand, low, high = (self.operand(each) for each in (node.operand, node.low, node.high))
        for each in (operand, low, high):
            self.require_type(each, _ORDERED, "BETWEEN")
        self._require_distinct("BETWEEN", operand, low, high)
        if low.path is None and high.path is None:
            self._check_bounds(low, high)
        return runtime.between(operand.read, low.read, high.read)

    def _check_bounds(self, low: Bound, high: Bound) -> None:
        if low.value is not None and high.value is not None:
            self._require_order(low.value, high.value)
        elif low.type is None or high.type is None:
            self.deferred.append(
                lambda parameters: self._require_order(low.read({}, parameters), high.read({}, parameters))
            )

    def _require_order(self, low: AttributeValue | None, high: AttributeValue | None) -> None:
        if low is None or high is None:
            return
        order = compare(low, high)
        bounds = f"lower bound operand: {_shown(low)}, upper bound operand: {_shown(high)}"
        if order is None:
            raise self.error(
                f"The BETWEEN operator requires same data type for lower and upper bounds; {bounds}"
            )
        if order > 0:
            raise self.error(
                "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
                + bounds
            )

    def _membership(self, node: Membership) -> Decide:
        operand = self.operand(node.operand)
        options = [self.operand(option) for option in node.options]
        self._require_distinct("IN", operand, *options)
        return runtime.membership(operand.read, [option.read for option in options])

    def _type_test(self, node: TypeTest) -> Decide:
        operand = self.operand(node.operand)
        if node.type != "MISSING":
            return runtime.has_type(operand.read, runtime.read_constant({"S": node.type}))
        if operand.path is not None and len(operand.path) == 1:
            return runtime.attribute_missing(str(operand.path[0]))
        return runtime.missing(operand.read)

    def _function(self, node: Call) -> Decide:
        operands = self.arguments(node)
        first = operands[0]
        if node.function == "attribute_exists":
            return runtime.exists(runtime.read_path(self.require_path(first, node.function)))
        if node.function == "attribute_not_exists":
            return runtime.missing(runtime.read_path(self.require_path(first, node.function)))
        second = operands[1]
        if node.function == "attribute_type":
            self._require_distinct(node.function, first, second)
            self._check_type_name(second)
            return runtime.has_type(first.read, second.read)
        if node.function == "begins_with":
            self.require_type(first, _PREFIXES, node.function)
            self.require_type(second, _PREFIXES, node.function)
            self._require_distinct(node.function, first, second)
            return runtime.begins_with(first.read, second.read)
        self._require_distinct(node.function, first, second)
        return runtime.contains(first.read, second.read)

    def _check_type_name(self, operand: Bound) -> None:
        if operand.parameter is not None:
            self.defer(operand.parameter, self._require_type_name)
        elif operand.value is not None:
            self._require_type_name(operand.value)
        else:
            raise self._incorrect_type("attribute_type", "{" + ",".join(_ATTRIBUTE_TYPES) + "}")

    def _require_type_name(self, value: AttributeValue) -> None:
        name = value.get("S")
        if name is None:
            raise self._incorrect_type("attribute_type", next(iter(value)))
        if name not in _ATTRIBUTE_TYPES:
            raise self.error(
                f"Invalid attribute type name found; type: {name}, valid types: {{{','.join(_ATTRIBUTE_TYPES)}}}"
            )


def _shown(value: AttributeValue) -> str:
    ((type_, content),) = value.items()
    return f"AttributeValue: {{{type_}:{content}}}"

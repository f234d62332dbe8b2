"""WHERE clauses and the operands of SET (Developer Guide: PartiQL operators; PartiQL functions for DynamoDB).

Only the documented functions exist here: size, attribute_type, begins_with and contains in WHERE, list_append,
set_add and set_delete in SET.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.expressions.boolean import parse_boolean
from refire_async.sandbox.expressions.grammar import (
    COMPARATORS,
    MAX_IN_OPERANDS,
    MAX_OPEN_CALLS,
    MAX_OPERATORS,
)
from refire_async.sandbox.expressions.nodes import (
    Arithmetic,
    Between,
    Call,
    Comparison,
    Condition,
    Literal,
    Membership,
    Not,
    Operand,
    Parameter,
    Path,
    TypeTest,
)
from refire_async.sandbox.partiql.literals import LiteralParser
from refire_async.sandbox.values import MAX_NESTING

_CONDITION_FUNCTIONS = frozenset({"attribute_type", "begins_with", "contains"})
_OPERAND_FUNCTIONS = frozenset({"size"})
_TYPES = {
    "MISSING": "MISSING",
    "NULL": "NULL",
    "BOOL": "BOOL",
    "BOOLEAN": "BOOL",
    "BLOB": "B",
    "STRING": "S",
    "NUMERIC": "N",
    "STRUCT": "M",
    "TUPLE": "M",
    "LIST": "L",
}
_SEQUENCES = {"(": ")", "[": "]", "<<": ">>"}
_MAX_ARITHMETIC = 100


class ConditionParser(LiteralParser):
    """Reads conditions and operands; counts parameters as it meets them."""

    def __init__(self, statement: str) -> None:
        super().__init__(statement)
        self.parameters = 0
        self.redundant_parentheses = False  # PartiQL does not mind them
        self._operators = 0
        self._open_calls = 0

    # -- boolean level

    def condition(self) -> Condition:
        """A whole boolean expression."""
        return parse_boolean(self)

    def _count_operator(self) -> None:
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise validation(f"The expression contains too many operators; operator count: {self._operators}")

    def take_not(self) -> bool:
        found = self.take_keyword("NOT")
        if found:
            self._count_operator()
        return found

    def take_open(self) -> bool:
        return self.take_symbol("(")

    def take_close(self) -> bool:
        return self.take_symbol(")")

    def take_joiner(self) -> str | None:
        if not self.at_keyword("AND", "OR"):
            return None
        self._count_operator()
        return self.next().text

    def predicate(self) -> tuple[Any, bool]:
        return self.predicate_of(self.operand())

    def predicate_of(self, operand: Operand) -> tuple[Any, bool]:
        node = self._test_of(operand)
        if node is not None:
            return node, True
        if _is_condition(operand):
            return operand, True
        self._refuse_operator("Condition")
        return operand, False

    def _test_of(self, operand: Operand) -> Any:
        token = self.token
        operator = "<>" if token.text == "!=" else token.text
        if token.kind == "symbol" and operator in COMPARATORS:
            self.next()
            self._count_operator()
            return self._compared(operator, operand, self.operand())
        if token.kind != "keyword":
            return None
        negated = token.text == "NOT" and self.following.text in {"IN", "BETWEEN"}
        if negated:
            self.next()
        node: Any = None
        if self.take_keyword("BETWEEN"):
            node = self._between(operand)
        elif self.take_keyword("IN"):
            node = self._membership(operand)
        elif self.take_keyword("IS"):
            node = self._type_test(operand)
        return Not(node) if negated else node

    def _compared(self, operator: str, left: Operand, right: Operand) -> Any:
        """A comparison; comparing a condition with true or false is the condition or its negation."""
        for condition, other in ((left, right), (right, left)):
            if _is_condition(condition):
                constant = other.value.get("BOOL") if isinstance(other, Literal) else None
                if constant is None or operator not in {"=", "<>"}:
                    raise self.unexpected()
                return condition if constant is (operator == "=") else Not(condition)
        self._refuse_operator("Condition")
        return Comparison(operator, left, right)

    def _between(self, operand: Operand) -> Between:
        self._count_operator()
        low = self._value_operand()
        self.expect_keyword("AND")
        return Between(self._no_condition(operand), low, self._value_operand())

    def _membership(self, operand: Operand) -> Membership:
        self._count_operator()
        closing = _SEQUENCES.get(self.token.text) if self.token.kind == "symbol" else None
        if closing is None:
            raise _not_a_sequence()
        opening = self.next()
        if self.at_symbol(closing):
            raise self.unexpected() if opening.text == "(" else _not_a_sequence()
        options = self.listed(self._value_operand)
        self.expect_symbol(closing)
        if len(options) > MAX_IN_OPERANDS:
            raise validation(
                f"The IN operator is provided with too many operands; number of operands: {len(options)}"
            )
        return Membership(self._no_condition(operand), tuple(options))

    def _type_test(self, operand: Operand) -> Any:
        self._count_operator()
        negated = self.take_keyword("NOT")
        if not self.at_keyword(*_TYPES):
            raise self.unexpected()
        token = self.next()
        if not isinstance(operand, Path | Literal):
            raise validation(
                "The left hand side argument to IS must be a Variable Reference, Literal, or Path"
            )
        test = TypeTest(operand, _TYPES[token.text])
        return Not(test) if negated else test

    def _refuse_operator(self, kind: str) -> None:
        token = self.token
        arithmetic = token.kind == "symbol" and token.text in {"+", "-", "*", "/", "%", "||"}
        if arithmetic or self.at_keyword("LIKE"):
            raise validation(f"Unsupported operator in {kind} Expression. Operator: {token.text.lower()}")

    # -- operands

    def _value_operand(self) -> Operand:
        return self._no_condition(self.operand())

    def _no_condition(self, operand: Operand) -> Operand:
        if _is_condition(operand):
            raise self.unexpected()
        return operand

    def operand(self) -> Operand:
        """A path, literal, parameter or function call, perhaps in parentheses."""
        opened = 0
        while self.at_symbol("(") and not self._at_tuple():
            self.next()
            opened += 1
            if opened > MAX_NESTING:
                raise self.unexpected()
        operand = self._atom()
        if opened:
            self._refuse_operator("Condition")
        for _ in range(opened):
            self.expect_symbol(")")
        return operand

    def _at_tuple(self) -> bool:
        """Whether the parenthesis here opens a list such as ``(1, 2)``."""
        depth = 0
        for token in self._tokens[self._position :]:
            if token.kind != "symbol":
                continue
            if token.text in {"(", "[", "{", "<<"}:
                depth += 1
            elif token.text in {")", "]", "}", ">>"}:
                depth -= 1
                if depth == 0:
                    return False
            elif token.text == "," and depth == 1:
                return True
        return False

    def _atom(self) -> Operand:
        token = self.token
        if self.take_symbol("?"):
            self.parameters += 1
            return Parameter(self.parameters - 1)
        if token.kind in {"name", "keyword"} and not token.quoted and self.following.text == "(":
            return self._call()
        if token.kind == "name":
            return self.path()
        if self.at_literal() or self.at_symbol("("):
            return Literal(self.literal())
        if self.at_keyword("MISSING"):
            raise validation("MISSING must be compared using IS operator")
        raise self.unexpected()

    def _call(self) -> Call:
        token = self.next()
        function = token.text.lower()
        if function not in _CONDITION_FUNCTIONS | _OPERAND_FUNCTIONS:
            raise self.error_at(f"Unrecognized function: {function}", token)
        self._count_operator()
        return Call(function, self._arguments(self._value_operand))

    def _arguments(self, parse: Callable[[], Operand]) -> tuple[Operand, ...]:
        """What stands between the parentheses of a call."""
        self.next()
        self._open_calls += 1
        if self._open_calls > MAX_OPEN_CALLS:
            raise self.unexpected()
        arguments = () if self.at_symbol(")") else tuple(self.listed(parse))
        self.expect_symbol(")")
        self._open_calls -= 1
        return arguments

    # -- SET

    def assigned(self) -> Operand:
        """What SET assigns: operands joined by + and -, from left to right."""
        operand = self._assigned_operand()
        for _ in range(_MAX_ARITHMETIC):
            if not (self.at_symbol("+") or self.at_symbol("-")):
                self._refuse_operator("Update")
                return operand
            operand = Arithmetic(self.next().text, operand, self._assigned_operand())
        raise validation("The expression contains too many operators")

    def _assigned_operand(self, depth: int = 0) -> Operand:
        token = self.token
        if depth > MAX_NESTING:
            raise self.unexpected()
        if self.at_symbol("(") and not self._at_tuple():
            self.next()
            operand = self._assigned_operand(depth + 1)
            while self.at_symbol("+") or self.at_symbol("-"):
                operand = Arithmetic(self.next().text, operand, self._assigned_operand(depth + 1))
            self.expect_symbol(")")
            return operand
        if token.kind in {"name", "keyword"} and not token.quoted and self.following.text == "(":
            return self._assigned_call(depth)
        return self._atom()

    def _assigned_call(self, depth: int) -> Call:
        token = self.next()
        function = token.text.lower()
        if function in _CONDITION_FUNCTIONS | _OPERAND_FUNCTIONS:
            raise validation(f"The function is not allowed in an update expression; function: {function}")
        if function != "list_append":
            raise self.error_at(f"Unrecognized function: {function}", token)
        return Call(function, self._arguments(lambda: self._assigned_operand(depth + 1)))


def _is_condition(operand: Any) -> bool:
    return isinstance(operand, Call) and operand.function in _CONDITION_FUNCTIONS


def _not_a_sequence() -> ServiceError:
    return validation(
        "IN operator must have a left hand argument of type Variable Reference "
        "and right hand argument of type Seq with at least one member"
    )

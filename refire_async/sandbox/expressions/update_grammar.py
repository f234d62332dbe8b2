"""Grammar of update expressions (Developer Guide: Using update expressions)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from refire_async.sandbox.expressions.grammar import CACHED_EXPRESSIONS, UPDATE_FUNCTIONS, ExpressionParser
from refire_async.sandbox.expressions.nodes import Arithmetic, Operand, Path, Substitute


@dataclass(frozen=True, slots=True)
class SetAction:
    """``path = operand``"""

    path: Path
    operand: Operand


@dataclass(frozen=True, slots=True)
class RemoveAction:
    """``REMOVE path``"""

    path: Path


@dataclass(frozen=True, slots=True)
class AddAction:
    """``ADD path :value``"""

    path: Path
    operand: Operand


@dataclass(frozen=True, slots=True)
class DeleteAction:
    """``DELETE path :value``"""

    path: Path
    operand: Operand


Action: TypeAlias = SetAction | RemoveAction | AddAction | DeleteAction


@lru_cache(maxsize=CACHED_EXPRESSIONS)
def parse_update(text: str) -> tuple[Action, ...]:
    """Actions of an update expression in the order they are written."""
    parser = _UpdateParser(text, "UpdateExpression", functions=UPDATE_FUNCTIONS)
    actions = parser.update()
    parser.finish()
    return tuple(actions)


class _UpdateParser(ExpressionParser):
    def update(self) -> list[Action]:
        """Sections in any order, each at most once."""
        actions: list[Action] = []
        seen: set[str] = set()
        sections = {
            "SET": self._set_action,
            "REMOVE": lambda: RemoveAction(self.path()),
            "ADD": lambda: AddAction(self.path(), self._value()),
            "DELETE": lambda: DeleteAction(self.path(), self._value()),
        }
        while True:
            token = self._token
            if token.kind != "keyword" or token.text not in sections:
                raise self.unexpected()
            self._position += 1
            if token.text in seen:
                self._complain(f'The "{token.text}" section can only be used once in an update expression;')
            seen.add(token.text)
            actions += self.listed(sections[token.text])
            if self._token.kind == "end":
                return actions

    def _value(self) -> Operand:
        token = self._token
        if token.kind != "value_substitute":
            raise self.unexpected()
        self._position += 1
        return Substitute(token.text)

    def _set_action(self) -> SetAction:
        path = self.path()
        self._expect("symbol", "=")
        return SetAction(path, self._sum())

    def _sum(self) -> Operand:
        """One operand, or two joined by + or -, perhaps in parentheses."""
        opened = self._opened()
        left = self._atom()
        around_left = 0
        while around_left < opened and self.take_close():
            around_left += 1
        token = self._token
        joined = token.kind == "symbol" and token.text in {"+", "-"}
        if joined:
            self._position += 1
            self._count_operator()
            right = self.operand()
        around_sum = opened - around_left
        for _ in range(around_sum):
            self._expect("symbol", ")")
        if around_left > 1 or around_sum > 1:
            self.redundant_parentheses = True
        if not joined:
            return left
        self.refuse_list_append(left)
        self.refuse_list_append(right)
        return Arithmetic(token.text, left, right)

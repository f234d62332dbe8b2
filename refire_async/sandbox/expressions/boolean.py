"""AND, OR, NOT and parentheses, for both languages.

Parentheses are kept on a stack of our own, so that no text, however deeply nested, can exhaust Python's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.expressions.nodes import AllOf, AnyOf, Condition, Not, Operand


class PredicateGrammar(Protocol):
    """What a language supplies: its tokens, and how one predicate is written."""

    redundant_parentheses: bool
    """Set here when parentheses enclose nothing but parentheses."""

    def take_not(self) -> bool:
        """Consume NOT if it comes next."""

    def take_open(self) -> bool:
        """Consume an opening parenthesis if it comes next."""

    def take_close(self) -> bool:
        """Consume a closing parenthesis if it comes next."""

    def take_joiner(self) -> str | None:
        """Consume AND or OR if it comes next, and say which."""

    def predicate(self) -> tuple[Any, bool]:
        """Parse what starts here: a whole condition (True) or a lone operand (False)."""

    def predicate_of(self, operand: Operand) -> tuple[Any, bool]:
        """Parse what follows an operand in parentheses: a condition (True), or the operand again (False)."""

    def unexpected(self) -> ServiceError:
        """The error for the token that comes next."""


@dataclass(slots=True)
class _Level:
    """What was read since one opening parenthesis: terms of the current AND, finished ANDs of the OR."""

    terms: list[Any] = field(default_factory=list)
    alternatives: list[Any] = field(default_factory=list)
    negations: int = 0
    only_a_group: bool = False

    @property
    def fresh(self) -> bool:
        return not (self.terms or self.alternatives or self.negations)

    def add(self, condition: Any, *, from_group: bool) -> None:
        self.only_a_group = from_group and self.fresh
        for _ in range(self.negations):
            condition = Not(condition)
        self.negations = 0
        self.terms.append(condition)

    def start_alternative(self) -> None:
        self.alternatives.append(_joined(AllOf, self.terms))
        self.terms = []

    def finish(self) -> Any:
        self.start_alternative()
        return _joined(AnyOf, self.alternatives)


def _joined(kind: type[AllOf | AnyOf], conditions: list[Any]) -> Any:
    return conditions[0] if len(conditions) == 1 else kind(tuple(conditions))


def parse_boolean(grammar: PredicateGrammar) -> Condition:
    """Parse as much as belongs to one boolean expression; the caller looks at what follows."""
    levels = [_Level()]
    while True:
        while grammar.take_not():
            levels[-1].negations += 1
        if grammar.take_open():
            levels.append(_Level())
            continue
        node, complete = grammar.predicate()
        if not complete:
            node = _close_operand(grammar, levels, node)
        levels[-1].add(node, from_group=False)
        if not _at_next_term(grammar, levels):
            if len(levels) > 1:
                raise grammar.unexpected()
            return levels[0].finish()  # type: ignore[no-any-return]


def _close_operand(grammar: PredicateGrammar, levels: list[_Level], operand: Any) -> Any:
    """A lone operand makes sense only in parentheses of its own, as in ``(a) = :v``."""
    complete = False
    groups = 0
    while not complete:
        if len(levels) == 1 or not levels[-1].fresh or not grammar.take_close():
            raise grammar.unexpected()
        levels.pop()
        groups += 1
        if groups > 1:
            grammar.redundant_parentheses = True
        operand, complete = grammar.predicate_of(operand)
    return operand


def _at_next_term(grammar: PredicateGrammar, levels: list[_Level]) -> bool:
    """Close parentheses after a complete condition; whether AND or OR then asks for another one."""
    while True:
        joiner = grammar.take_joiner()
        if joiner is not None:
            levels[-1].only_a_group = False
            if joiner == "OR":
                levels[-1].start_alternative()
            return True
        if len(levels) == 1 or not grammar.take_close():
            return False
        closed = levels.pop()
        if closed.only_a_group:
            grammar.redundant_parentheses = True
        levels[-1].add(closed.finish(), from_group=True)

"""Statements (Developer Guide: PartiQL select, update, insert and delete statements for DynamoDB)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.expressions.nodes import Condition, Literal, Parameter, Path
from refire_async.sandbox.partiql.conditions import ConditionParser
from refire_async.sandbox.partiql.lexer import Token, not_well_formed
from refire_async.sandbox.partiql.syntax import (
    Action,
    Assignment,
    DeleteSyntax,
    ExistsSyntax,
    InsertSyntax,
    Removal,
    SelectSyntax,
    SetFunction,
    StatementSyntax,
    UpdateSyntax,
)

_SET_FUNCTIONS = frozenset({"set_add", "set_delete"})


def parse(statement: str) -> tuple[StatementSyntax, int]:
    """The syntax tree of one statement, and how many ``?`` it has. Raises ValidationException."""
    parser = _StatementParser(statement)
    tree = parser.statement()
    parser.finish()
    return tree, parser.parameters


class _StatementParser(ConditionParser):
    def statement(self) -> StatementSyntax:
        token = self.token
        statements: dict[str, Callable[[], StatementSyntax]] = {
            "SELECT": self._select,
            "INSERT": self._insert,
            "UPDATE": self._update,
            "DELETE": self._delete,
            "FROM": self._update_from,
            "EXISTS": self._exists,
        }
        if token.kind == "keyword" and token.text in statements:
            self.next()
            return statements[token.text]()
        if token.kind == "keyword" and token.text in {"CREATE", "DROP"}:
            raise validation(f"Unsupported operation: {token.text.capitalize()}")
        raise not_well_formed("Expected data manipulation")

    def finish(self) -> None:
        """Only a semicolon may follow a statement."""
        self.take_symbol(";")
        if self.token.kind != "end":
            raise not_well_formed("Unexpected token after expression")

    # -- parts

    def _table(self) -> tuple[str, str | None]:
        components = [self.name()]
        while self.take_symbol("."):
            components.append(self.name())
        if len(components) > 2:
            raise validation("A path may contain at most 2 components in the FROM clause")
        return components[0], components[1] if len(components) == 2 else None

    def _written_table(self) -> str:
        table, index = self._table()
        if index is not None:
            raise validation(
                "FROM clause may only contain a single table name in data manipulation statements"
            )
        return table

    def _refuse_alias(self) -> None:
        if self.token.kind == "name" or self.at_keyword("AS"):
            raise validation("Aliasing is not supported")

    def _where(self) -> Condition | None:
        return self.condition() if self.take_keyword("WHERE") else None

    def _returning(self) -> str | None:
        if not self.take_keyword("RETURNING"):
            return None
        # MODIFIED, ALL, OLD and NEW are keywords.
        scope, image = self.next(), self.next()
        if scope.text not in {"ALL", "MODIFIED"} or image.text not in {"OLD", "NEW"}:
            raise not_well_formed("Expected ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause")
        if not self.take_symbol("*"):
            raise not_well_formed("Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause")
        if self.at_symbol(","):
            raise validation("Invalid syntax with multiple returning elements in RETURNING clause")
        return f"{scope.text} {image.text}"

    # -- SELECT

    def _select(self) -> SelectSyntax:
        paths: list[Path] = []
        if not self.take_symbol("*"):
            paths = self.listed(self._projected)
        self.expect_keyword("FROM")
        table, index = self._table()
        self._refuse_alias()
        if self.at_symbol(","):
            raise validation("Only select from a single table or index is supported.")
        where = self._where()
        order: list[tuple[str, bool]] = []
        if self.take_keyword("ORDER"):
            self.expect_keyword("BY")
            order = self.listed(self._sorted_by)
            if where is None:
                if self.at_keyword("WHERE"):
                    raise not_well_formed("Unexpected token after expression")
                raise validation("Must have WHERE clause in the statement when using ORDER BY clause.")
        if self.at_keyword("LIMIT", "OFFSET", "GROUP", "HAVING"):
            raise validation(f"Unsupported clause: {self.token.text}")
        return SelectSyntax(tuple(paths), table, index, where, tuple(order))

    def _exists(self) -> ExistsSyntax:
        self.expect_symbol("(")
        self.expect_keyword("SELECT")
        select = self._select()
        self.expect_symbol(")")
        return ExistsSyntax(select)

    def _projected(self) -> Path:
        token = self.token
        if self.at_keyword("VALUE", "PIVOT"):
            raise validation("Select projection doesn't support value or pivot keywords")
        if self.at_keyword("DISTINCT"):
            raise validation("Unsupported token in expression: DISTINCT")
        if token.kind != "name" or self._at_call():
            if token.kind == "end" or self.at_keyword("FROM"):
                raise self.unexpected()
            raise self.error_at("Unexpected path component", token)
        path = self.path()
        self._refuse_alias()
        if not (self.at_symbol(",") or self.at_keyword("FROM") or self.token.kind == "end"):
            raise self.error_at("Unexpected path component", self.token)
        return path

    def _at_call(self) -> bool:
        return self.following.kind == "symbol" and self.following.text == "("

    def _sorted_by(self) -> tuple[str, bool]:
        name = self.name()
        if self.take_keyword("DESC"):
            return name, True
        self.take_keyword("ASC")
        return name, False

    # -- INSERT

    def _insert(self) -> InsertSyntax:
        self.expect_keyword("INTO")
        table = self._written_table()
        if not self.take_keyword("VALUE"):
            raise not_well_formed("Unexpected token after expression")
        opening = self.token
        if not self.take_symbol("{"):
            raise self.error_at(
                "Unsupported format in item expression. Please use struct format {...} to express item values "
                "for insert statement.",
                opening,
            )
        members = tuple((name, self._inserted()) for name in self.member_names("root"))
        if self.at_keyword("RETURNING"):
            raise validation("RETURNING is not supported in INSERT")
        return InsertSyntax(table, members)

    def _inserted(self) -> Literal | Parameter:
        token = self.token
        if self.take_symbol("?"):
            self.parameters += 1
            return Parameter(self.parameters - 1)
        if token.kind == "keyword" and not self.at_literal():
            raise self._unsupported(self.next(), "root")
        value = self.literal()
        if not (self.at_symbol(",") or self.at_symbol("}")):
            raise self.error_at(f"Unsupported data type: {self.token.text} under key root", self.token)
        return Literal(value)

    # -- UPDATE

    def _update(self) -> UpdateSyntax:
        table = self._written_table()
        self._refuse_alias()
        actions = self._actions()
        where = self._where()
        return UpdateSyntax(table, actions, where, self._returning())

    def _update_from(self) -> UpdateSyntax:
        """``FROM table WHERE condition SET … REMOVE …``, the form with the clauses the other way round."""
        table = self._written_table()
        self._refuse_alias()
        if not self.at_keyword("WHERE"):
            raise self.unexpected()
        where = self._where()
        return UpdateSyntax(table, self._actions(), where, self._returning())

    def _actions(self) -> tuple[Action, ...]:
        actions: list[Action] = []
        while True:
            if self.take_keyword("SET"):
                actions += self.listed(self._assignment)
            elif self.take_keyword("REMOVE"):
                actions.append(Removal(self.path()))
            elif actions:
                return tuple(actions)
            else:
                raise self.unexpected()

    def _assignment(self) -> Action:
        path = self.path()
        self.expect_symbol("=")
        token = self.token
        if token.kind == "name" and token.text.lower() in _SET_FUNCTIONS and self._at_call():
            return self._set_function(path, token)
        return Assignment(path, self.assigned())

    def _set_function(self, path: Path, token: Token) -> SetFunction:
        function = token.text.lower()
        self.next()
        self.next()
        first = self.token
        arguments = self.listed(self._value_operand)
        self.expect_symbol(")")
        shown = function.upper()
        if len(arguments) != 2:
            raise self.error_at(f"{shown} must have exactly two arguments", token)
        if arguments[0] != path:
            raise self.error_at(f"The first argument to {shown} must equal the assignment value", token)
        members = arguments[1]
        if isinstance(members, Parameter):
            return SetFunction(path, function, members)
        if not isinstance(members, Literal) or not is_set(members.value):
            raise self.error_at(not_a_set(function), first)
        return SetFunction(path, function, members)

    # -- DELETE

    def _delete(self) -> DeleteSyntax:
        self.expect_keyword("FROM")
        table = self._written_table()
        self._refuse_alias()
        where = self._where()
        returning = self._returning()
        if returning not in {None, "ALL OLD"}:
            raise _invalid_returning(returning)
        return DeleteSyntax(table, where, returning)


def is_set(value: dict[str, Any]) -> bool:
    """Whether an attribute value is a set."""
    return not {"SS", "NS", "BS"}.isdisjoint(value)


def not_a_set(function: str) -> str:
    """The complaint about a second argument that is no set."""
    return f"The second argument to {function.upper()} must be a value with type SET"


def _invalid_returning(returning: str | None) -> ServiceError:
    return validation(
        f"Invalid returning clause: RETURNING {returning} *. "
        "Only RETURNING ALL OLD * is allowed in DELETE statements."
    )

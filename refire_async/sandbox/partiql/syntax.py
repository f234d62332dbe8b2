"""Statements as they are written: what the parser makes of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from refire_async.sandbox.expressions.nodes import Condition, Literal, Operand, Parameter, Path


@dataclass(frozen=True, slots=True)
class Assignment:
    """``SET path = operand``"""

    path: Path
    operand: Operand


@dataclass(frozen=True, slots=True)
class SetFunction:
    """``SET path = set_add(path, members)`` or ``set_delete``"""

    path: Path
    function: str
    members: Literal | Parameter


@dataclass(frozen=True, slots=True)
class Removal:
    """``REMOVE path``"""

    path: Path


Action: TypeAlias = Assignment | SetFunction | Removal


@dataclass(frozen=True, slots=True)
class SelectSyntax:
    """``SELECT paths FROM table[.index] [WHERE condition] [ORDER BY …]``; no paths stand for ``*``."""

    paths: tuple[Path, ...]
    table: str
    index: str | None
    where: Condition | None
    order: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class ExistsSyntax:
    """``EXISTS(SELECT …)``"""

    select: SelectSyntax


@dataclass(frozen=True, slots=True)
class InsertSyntax:
    """``INSERT INTO table VALUE {…}``"""

    table: str
    members: tuple[tuple[str, Literal | Parameter], ...]


@dataclass(frozen=True, slots=True)
class UpdateSyntax:
    """``UPDATE table SET … REMOVE … WHERE condition [RETURNING …]``"""

    table: str
    actions: tuple[Action, ...]
    where: Condition | None
    returning: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteSyntax:
    """``DELETE FROM table WHERE condition [RETURNING …]``"""

    table: str
    where: Condition | None
    returning: str | None = None


StatementSyntax: TypeAlias = SelectSyntax | ExistsSyntax | InsertSyntax | UpdateSyntax | DeleteSyntax

"""Bytes that UpdateItem charges for the update itself when it enforces the item size limit.

The service compares with 409,600 not only the changed item but also what the statement writes plus a cost for each
of its clauses, so an item just below the limit may refuse an update that hardly changes it. The figures were
measured on the service by a third party and hold in most regions; PartiQL and transactions charge the item alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from refire_async.sandbox.expressions.nodes import Arithmetic, Call, Path, Substitute
from refire_async.sandbox.expressions.paths import DocumentPath
from refire_async.sandbox.expressions.update_grammar import Action, DeleteAction, RemoveAction
from refire_async.sandbox.values import AttributeValue, text_size, value_size

_UPDATE_BYTES = 3
_WRITE_BYTES = 19
_REMOVE_BYTES = 1
_PATH_BYTES = 1
_PATH_ELEMENT_BYTES = 14
_TARGET_ELEMENT_BYTES = 4
_FUNCTION_BYTES = {"+": 34, "-": 37, "if_not_exists": 39, "list_append": 37}


class Resolver(Protocol):
    """Replaces substitutes for names and values."""

    def path(self, node: Path) -> DocumentPath:
        """The path behind a node."""

    def substitute(self, node: Substitute) -> AttributeValue:
        """The value behind a node."""


def update_bytes(actions: Sequence[Action], paths: Sequence[DocumentPath], resolver: Resolver) -> int:
    """Bytes charged for an update of ``paths``."""
    return _UPDATE_BYTES + sum(
        _action_bytes(action, path, resolver) for action, path in zip(actions, paths, strict=True)
    )


def _action_bytes(action: Action, path: DocumentPath, resolver: Resolver) -> int:
    target = _element_bytes(path[0]) + sum(_TARGET_ELEMENT_BYTES + _element_bytes(e) for e in path[1:])
    if isinstance(action, RemoveAction | DeleteAction):
        return _REMOVE_BYTES + target
    return _WRITE_BYTES + target + _operand_bytes(action.operand, resolver)


def _operand_bytes(node: Any, resolver: Resolver) -> int:
    if isinstance(node, Path):
        return _PATH_BYTES + sum(_PATH_ELEMENT_BYTES + _element_bytes(e) for e in resolver.path(node))
    if isinstance(node, Substitute):
        return value_size(resolver.substitute(node))
    if isinstance(node, Arithmetic):
        function, operands = node.operator, (node.left, node.right)
    else:
        assert isinstance(node, Call)  # noqa: S101 - the grammar allows nothing else
        function, operands = node.function, node.arguments
    return _FUNCTION_BYTES[function] + sum(_operand_bytes(operand, resolver) for operand in operands)


def _element_bytes(element: str | int) -> int:
    return text_size(element) if isinstance(element, str) else len(str(element))

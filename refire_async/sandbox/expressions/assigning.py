"""Operands of SET in both languages; ``if_not_exists`` is not in PartiQL's grammar."""

from __future__ import annotations

from typing import Any

from refire_async.sandbox.expressions import changes
from refire_async.sandbox.expressions.binder import Binder, Bound
from refire_async.sandbox.expressions.nodes import Arithmetic, Call

_NUMBER = frozenset({"N"})
_LIST = frozenset({"L"})


class AssigningBinder(Binder):
    """Binds operands that only updates have."""

    def assigned(self, node: Any) -> Bound:
        """An operand of SET."""
        if isinstance(node, Arithmetic):
            left, right = self.assigned(node.left), self.assigned(node.right)
            self.require_type(left, _NUMBER, node.operator)
            self.require_type(right, _NUMBER, node.operator)
            reads = changes.required(left.read), changes.required(right.read)
            return Bound(changes.arithmetic(node.operator, *reads), type="N")
        if not isinstance(node, Call):
            return self.operand(node)
        first, second = self.counted(node, [self.assigned(argument) for argument in node.arguments])
        if node.function == "if_not_exists":
            self.require_path(first, node.function)
            return Bound(changes.if_not_exists(first.read, second.read))
        self.require_type(first, _LIST, node.function)
        self.require_type(second, _LIST, node.function)
        read_list = changes.list_append(changes.required(first.read), changes.required(second.read))
        return Bound(read_list, type="L")

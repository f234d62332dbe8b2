"""Changing an item: what SET, REMOVE, ADD and DELETE do, and how several of them change one item together.

All changes see the item as it was. A changed item is new, and so is every map and list on the way to a change;
everything else is shared with the item as it was (Developer Guide: Using update expressions).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.expressions.paths import DocumentPath, selector
from refire_async.sandbox.expressions.runtime import Read
from refire_async.sandbox.numbers import add, subtract
from refire_async.sandbox.values import AttributeValue, Item, check_nesting, sorted_set

Compute: TypeAlias = Callable[[AttributeValue | None, Item, Any], AttributeValue | None]
"""From the value at a path (or None), the item as it was and the parameters: the new value, None to remove it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of the value at one path."""

    path: DocumentPath
    compute: Compute
    removes: bool = False
    """Written as REMOVE: the path does not belong to what UPDATED_NEW and MODIFIED NEW show."""


# -- values to assign


def required(read: Read) -> Read:
    """An operand of SET, which must exist."""

    def read_required(item: Item, parameters: Any) -> AttributeValue:
        value = read(item, parameters)
        if value is None:
            raise validation("The provided expression refers to an attribute that does not exist in the item")
        return value

    return read_required


def if_not_exists(stored: Read, default: Read) -> Read:
    """``if_not_exists(path, default)``"""

    def read(item: Item, parameters: Any) -> AttributeValue | None:
        value = stored(item, parameters)
        return default(item, parameters) if value is None else value

    return read


def list_append(first: Read, second: Read) -> Read:
    """``list_append(first, second)``"""

    def read(item: Item, parameters: Any) -> AttributeValue:
        left, right = first(item, parameters), second(item, parameters)
        if left is None or right is None or "L" not in left or "L" not in right:
            raise incorrect_operand()
        return {"L": left["L"] + right["L"]}

    return read


def arithmetic(operator: str, first: Read, second: Read) -> Read:
    """``first + second`` or ``first - second``"""
    compute = add if operator == "+" else subtract

    def read(item: Item, parameters: Any) -> AttributeValue:
        left, right = first(item, parameters), second(item, parameters)
        if left is None or right is None or "N" not in left or "N" not in right:
            raise incorrect_operand()
        return {"N": compute(left["N"], right["N"])}

    return read


# -- what becomes of a value


def assign(path: DocumentPath, value: Read) -> Change:
    """``SET path = value``"""
    if len(path) == 1:
        return Change(path, lambda _, item, parameters: value(item, parameters))

    def compute(_: AttributeValue | None, item: Item, parameters: Any) -> AttributeValue | None:
        assigned = value(item, parameters)
        if assigned is not None:
            check_nesting(assigned, len(path))
        return assigned

    return Change(path, compute)


def remove(path: DocumentPath) -> Change:
    """``REMOVE path``"""
    return Change(path, lambda _value, _item, _parameters: None, removes=True)


def add_to(path: DocumentPath, operand: Read) -> Change:
    """``ADD path operand``: a number to a number, members to a set; a missing value becomes the operand."""

    def compute(value: AttributeValue | None, item: Item, parameters: Any) -> AttributeValue | None:
        added = operand(item, parameters)
        if value is None or added is None:
            return added
        ((type_, content),) = added.items()
        if type_ not in value:
            raise incorrect_operand()
        if type_ == "N":
            return {"N": add(value["N"], content)}
        return {type_: sorted_set(type_, {*value[type_], *content})}

    return Change(path, compute)


def delete_from(path: DocumentPath, operand: Read) -> Change:
    """``DELETE path operand``: members from a set; an empty set is removed."""

    def compute(value: AttributeValue | None, item: Item, parameters: Any) -> AttributeValue | None:
        taken = operand(item, parameters)
        if value is None or taken is None:
            return None
        ((type_, content),) = taken.items()
        if type_ not in value:
            raise incorrect_operand()
        rest = set(value[type_]).difference(content)
        return {type_: sorted_set(type_, rest)} if rest else None

    return Change(path, compute)


def incorrect_operand() -> ServiceError:
    """A stored value has a type that the action cannot work with."""
    return validation("An operand in the update expression has an incorrect data type")


# -- several changes of one item


class Changes:
    """Changes of paths that neither overlap nor conflict, ready to be applied to any number of items."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = tuple(changes)
        self.names = tuple(str(change.path[0]) for change in changes)
        self.attributes = frozenset(self.names)
        """Names of the top-level attributes that are changed, wholly or in part."""
        self.apply: Callable[[Item, Any], Item]
        """The changed item, from an item and the statement's parameters; the item itself is left alone."""
        if all(len(change.path) == 1 for change in changes):
            self.apply = _apply_to_attributes(self._changes)
        else:
            self.apply = _apply_to_documents(self._changes)

    def old(self, item: Item | None) -> Item:
        """The changed parts as they were: UPDATED_OLD, MODIFIED OLD."""
        return {} if item is None else selector([change.path for change in self._changes])(item)

    def new(self, item: Item) -> Item:
        """The changed parts as they are: UPDATED_NEW, MODIFIED NEW. Parts that were removed do not count."""
        return selector([change.path for change in self._changes if not change.removes])(item)


def _apply_to_documents(changes: Sequence[Change]) -> Callable[[Item, Any], Item]:
    tree = _tree(changes)
    return lambda item, parameters: _change_members(item, tree, item, parameters)


def _apply_to_attributes(changes: Sequence[Change]) -> Callable[[Item, Any], Item]:
    """The common case, in which no change reaches into a document."""
    plan = tuple((str(change.path[0]), change.compute) for change in changes)
    if len(plan) == 1:
        ((only_name, only_compute),) = plan

        def apply_one(item: Item, parameters: Any) -> Item:
            value = only_compute(item.get(only_name), item, parameters)
            changed = item.copy()
            if value is None:
                changed.pop(only_name, None)
            else:
                changed[only_name] = value
            return changed

        return apply_one

    def apply(item: Item, parameters: Any) -> Item:
        changed = item.copy()
        for name, compute in plan:
            value = compute(item.get(name), item, parameters)
            if value is None:
                changed.pop(name, None)
            else:
                changed[name] = value
        return changed

    return apply


_Tree: TypeAlias = "dict[Any, Change | _Tree]"


def _tree(changes: Sequence[Change]) -> _Tree:
    root: _Tree = {}
    for change in changes:
        node: Any = root
        for element in change.path[:-1]:
            node = node.setdefault(element, {})
        node[change.path[-1]] = change
    return root


def _change_value(value: AttributeValue | None, tree: _Tree, item: Item, parameters: Any) -> AttributeValue:
    if value is not None:
        names = isinstance(next(iter(tree)), str)
        if names and "M" in value:
            return {"M": _change_members(value["M"], tree, item, parameters)}
        if not names and "L" in value:
            return {"L": _change_elements(value["L"], tree, item, parameters)}
    raise validation("The document path provided in the update expression is invalid for update")


def _changed(
    value: AttributeValue | None, node: Change | _Tree, item: Item, parameters: Any
) -> AttributeValue | None:
    if isinstance(node, Change):
        return node.compute(value, item, parameters)
    return _change_value(value, node, item, parameters)


def _change_members(members: Item, tree: _Tree, item: Item, parameters: Any) -> Item:
    changed = members.copy()
    for name, node in tree.items():
        value = _changed(members.get(name), node, item, parameters)
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
    return changed


def _change_elements(
    elements: list[AttributeValue], tree: _Tree, item: Item, parameters: Any
) -> list[AttributeValue]:
    """Indexes count in the list as it was; values beyond its end are appended in the order of their indexes."""
    kept: list[AttributeValue | None] = list(elements)
    for index in sorted(tree):
        value = elements[index] if index < len(elements) else None
        changed = _changed(value, tree[index], item, parameters)
        if index < len(elements):
            kept[index] = changed
        else:
            kept.append(changed)
    return [element for element in kept if element is not None]

"""Update expressions (Developer Guide: Using update expressions)."""

from __future__ import annotations

from collections.abc import Collection

from refire_async.sandbox.errors import validation
from refire_async.sandbox.expressions import changes
from refire_async.sandbox.expressions.assigning import AssigningBinder
from refire_async.sandbox.expressions.changes import Change, Changes
from refire_async.sandbox.expressions.nodes import Arithmetic, Substitute
from refire_async.sandbox.expressions.paths import DocumentPath, clash
from refire_async.sandbox.expressions.placeholders import Placeholders
from refire_async.sandbox.expressions.update_grammar import (
    Action,
    AddAction,
    DeleteAction,
    RemoveAction,
    SetAction,
    parse_update,
)
from refire_async.sandbox.values import AttributeValue, Item

_UPDATE_BYTES = 3
_WRITE_BYTES = 19
_ARITHMETIC_BYTES = 50
_CLEAR_BYTES = 2

_ADDABLE = frozenset({"N", "SS", "NS", "BS"})
_DELETABLE = frozenset({"SS", "NS", "BS"})
_TYPE_NAMES = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "SS": "STRING_SET",
    "NS": "NUMBER_SET",
    "BS": "BINARY_SET",
    "M": "MAP",
    "L": "LIST",
    "NULL": "NULL",
    "BOOL": "BOOLEAN",
}


class Update:
    """A compiled update.

    ``attributes`` are the names of the top-level attributes that it changes. ``request_bytes`` is what standalone
    UpdateItem adds to the changed item without its key when it enforces the item size limit: an item just below
    the limit may refuse an update that PartiQL would carry out (measured on the service by a third party).
    ``creates`` is False for an update of REMOVE and DELETE actions alone: without an item there is nothing to take
    away, so it does nothing, whatever its paths are (public conformance tests that pass on the service).
    """

    def __init__(self, changes_: Changes, request_bytes: int, *, creates: bool) -> None:
        self.creates = creates
        self._changes = changes_
        self.attributes = changes_.attributes
        self.request_bytes = request_bytes

    def apply(self, item: Item) -> Item:
        """The changed item. ``item`` is left alone (an item that does not exist yet is just its key).

        Raises ValidationException when the update does not fit the item, such as a path through a missing map.
        """
        return self._changes.apply(item, None)

    def refuse_keys(self, key_attributes: Collection[str]) -> None:
        """Raise ValidationException if it changes one of these attributes, which are a table's key."""
        refuse_key_attributes([(name,) for name in self._changes.names], key_attributes)

    def changed_old(self, item: Item | None) -> Item:
        """UPDATED_OLD: the changed parts of the item as it was, None if it did not exist."""
        return self._changes.old(item)

    def changed_new(self, item: Item) -> Item:
        """UPDATED_NEW: the changed parts of the changed item, without those that REMOVE names."""
        return self._changes.new(item)


def compile_update(text: str, placeholders: Placeholders, key_attributes: Collection[str]) -> Update:
    """Compile an UpdateExpression for a table whose key consists of ``key_attributes``.

    Raises ValidationException.
    """
    binder = _UpdateBinder(placeholders, "Invalid UpdateExpression: ")
    actions = parse_update(text)
    paths = [binder.path(action.path) for action in actions]
    complaint = clash(paths)
    if complaint is not None:
        raise binder.error(complaint)
    bound = [binder.change(action, path) for action, path in zip(actions, paths, strict=True)]
    refuse_key_attributes(paths, key_attributes)
    creates = not all(isinstance(action, RemoveAction | DeleteAction) for action in actions)
    return Update(Changes(bound), _UPDATE_BYTES + sum(map(_action_bytes, actions)), creates=creates)


def _action_bytes(action: Action) -> int:
    if isinstance(action, RemoveAction | DeleteAction):
        return _CLEAR_BYTES
    if isinstance(action.operand, Arithmetic):
        return _WRITE_BYTES + _ARITHMETIC_BYTES
    return _WRITE_BYTES


def refuse_key_attributes(paths: Collection[DocumentPath], key_attributes: Collection[str]) -> None:
    """Raise ValidationException when one of the changed paths is part of the table's key."""
    for path in paths:
        if path[0] in key_attributes:
            raise validation(
                "One or more parameter values were invalid: "
                f"Cannot update attribute {path[0]}. This attribute is part of the key"
            )


class _UpdateBinder(AssigningBinder):
    """Binds the actions of an update expression."""

    def change(self, action: Action, path: DocumentPath) -> Change:
        if isinstance(action, SetAction):
            return changes.assign(path, changes.required(self.assigned(action.operand).read))
        if isinstance(action, RemoveAction):
            return changes.remove(path)
        assert isinstance(action.operand, Substitute)  # noqa: S101 - the grammar allows nothing else
        value = self.substitute(action.operand)
        if isinstance(action, AddAction):
            self._require_member(value, _ADDABLE, "ADD")
            return changes.add_to(path, lambda _item, _: value)
        self._require_member(value, _DELETABLE, "DELETE")
        return changes.delete_from(path, lambda _item, _: value)

    def _require_member(self, value: AttributeValue, allowed: frozenset[str], section: str) -> None:
        type_ = next(iter(value))
        if type_ not in allowed:
            raise self.error(
                "Incorrect operand type for operator or function; "
                f"operator: {section}, operand type: {_TYPE_NAMES[type_]}, "
                f"typeSet: ALLOWED_FOR_{section}_OPERAND"
            )

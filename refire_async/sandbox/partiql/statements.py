"""Compiled statements: what the server asks of each kind.

A statement is compiled once and executed with any number of parameter lists. ``bind`` makes a list ready; every
other method takes the list that ``bind`` returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from refire_async.sandbox.errors import serialization, validation
from refire_async.sandbox.expressions import changes
from refire_async.sandbox.expressions.assigning import AssigningBinder
from refire_async.sandbox.expressions.binder import Binder
from refire_async.sandbox.expressions.changes import Change, Changes
from refire_async.sandbox.expressions.key_condition import KeyCondition
from refire_async.sandbox.expressions.paths import DocumentPath, clash, read
from refire_async.sandbox.expressions.runtime import Decide
from refire_async.sandbox.expressions.update import refuse_key_attributes
from refire_async.sandbox.partiql.keys import KeyReader, key_conditions, key_reader, value_of
from refire_async.sandbox.partiql.parser import is_set, not_a_set, parse
from refire_async.sandbox.partiql.syntax import (
    Action,
    Assignment,
    DeleteSyntax,
    ExistsSyntax,
    InsertSyntax,
    Removal,
    SelectSyntax,
    UpdateSyntax,
)
from refire_async.sandbox.values import AttributeValue, Item, validate_values

Parameters: TypeAlias = Sequence[AttributeValue]


class Statement:
    """What all kinds of statements have in common."""

    table: str

    def __init__(self, table: str, parameters: int, checks: Sequence[Callable[[Any], None]]) -> None:
        self.table = table
        self.parameters = parameters
        """How many ``?`` there are."""
        self._checks = tuple(checks)

    def bind(self, parameters: Any) -> list[AttributeValue]:
        """Canonical values of the request's Parameters (None for no such member).

        Raises ValidationException for a wrong number of them, for values that DynamoDB refuses, and for values of
        types that the statement cannot work with.
        """
        if parameters is None:
            parameters = []
        if type(parameters) is not list:
            raise serialization("Unexpected field type")
        if len(parameters) != self.parameters:
            raise validation("Number of parameters in request and statement don't match.")
        values = validate_values(parameters)
        for check in self._checks:
            check(values)
        return values


class _Conditional(Statement):
    """A statement with a WHERE clause, bound by ``binder`` after whatever stands before it."""

    def __init__(
        self, syntax: SelectSyntax | UpdateSyntax | DeleteSyntax, parameters: int, binder: Binder
    ) -> None:
        self._where = syntax.where
        self._decide: Decide = _always if syntax.where is None else binder.condition(syntax.where)
        super().__init__(syntax.table, parameters, binder.deferred)


class Select(_Conditional):
    """``SELECT``. ``index`` is None for the table itself."""

    def __init__(self, syntax: SelectSyntax, parameters: int) -> None:
        binder = Binder()
        super().__init__(syntax, parameters, binder)
        self.index = syntax.index
        self.filter_attributes = frozenset(binder.attributes)
        """Names of the top-level attributes that WHERE looks at."""
        self.projection: tuple[DocumentPath, ...] | None = None
        """The selected paths, None for ``*``."""
        self._names: tuple[str, ...] = ()
        self._order = syntax.order
        if syntax.paths:
            self.projection = tuple(binder.path(path) for path in syntax.paths)
            self._names = _result_names(self.projection)

    def key(self, parameters: Parameters, key_names: tuple[str, ...]) -> Item | None:
        """The primary key if WHERE pins the whole of it by equality, else None."""
        reader = key_reader(self._where, key_names)
        return None if reader is None else reader(parameters)

    def key_conditions(
        self, parameters: Parameters, hash_names: Sequence[str], range_names: Sequence[str] = ()
    ) -> list[KeyCondition] | None:
        """The Query, or Queries, that find all items for which WHERE can hold; None when it takes a Scan.

        ``matches`` still has to be asked about each item found.
        """
        return key_conditions(self._where, parameters, hash_names, range_names)

    def descending(self, key_names: Sequence[str]) -> bool:
        """Whether ORDER BY wants the last attribute it names in descending order.

        Raises ValidationException when it names an attribute that is not part of the key.
        """
        for name, _ in self._order:
            if name not in key_names:
                raise validation(
                    f"Variable reference {name} in ORDER BY clause must be part of the primary key"
                )
        return bool(self._order) and self._order[-1][1]

    def matches(self, item: Item, parameters: Parameters) -> bool:
        """Whether WHERE holds for an item."""
        return self._decide(item, parameters)

    def project(self, item: Item) -> Item:
        """What the statement returns of an item: a path goes by its last name and the indexes after it."""
        if self.projection is None:
            return item
        result = {}
        for name, path in zip(self._names, self.projection, strict=True):
            value = read(item, path)
            if value is not None:
                result[name] = value
        return result


class Exists(Statement):
    """``EXISTS(SELECT …)``: a condition of a transaction. The item must be there and ``select`` match it."""

    def __init__(self, syntax: ExistsSyntax, parameters: int) -> None:
        self.select = Select(syntax.select, parameters)
        super().__init__(self.select.table, parameters, ())
        self.bind = self.select.bind  # type: ignore[method-assign]


class Insert(Statement):
    """``INSERT``."""

    def __init__(self, syntax: InsertSyntax, parameters: int) -> None:
        super().__init__(syntax.table, parameters, ())
        self._members = syntax.members

    def item(self, parameters: Parameters) -> Item:
        """The item to insert, canonical; its key is for the server to check."""
        return {name: value_of(node, parameters) for name, node in self._members}


class _KeyedWrite(_Conditional):
    """A write of one item, whose key WHERE pins by equality."""

    def __init__(self, syntax: UpdateSyntax | DeleteSyntax, parameters: int, binder: Binder) -> None:
        super().__init__(syntax, parameters, binder)
        self.returning = syntax.returning
        """"ALL OLD", "ALL NEW", "MODIFIED OLD", "MODIFIED NEW" or None."""
        self.condition_holds: Callable[[Item, Parameters], bool] = self._decide
        """Whether WHERE holds for the item, given with the parameters; an item that does not exist is its key."""
        self._key_readers: dict[tuple[str, ...], KeyReader] = {}

    def key(self, parameters: Parameters, key_names: tuple[str, ...]) -> Item:
        """The key of the item to write, its attributes in the order of ``key_names``.

        Raises ValidationException when WHERE does not pin the whole key, or when the key would be changed. Types
        of the values are for the server to check.
        """
        reader = self._key_readers.get(key_names)
        if reader is None:
            reader = self._key_readers[key_names] = self._key_reader(key_names)
        return reader(parameters)

    def _key_reader(self, key_names: tuple[str, ...]) -> KeyReader:
        reader = key_reader(self._where, key_names)
        if reader is None:
            raise validation("Where clause does not contain a mandatory equality on all key attributes")
        return reader


class Update(_KeyedWrite):
    """``UPDATE``. It never creates an item: without one, the condition has failed."""

    def __init__(self, syntax: UpdateSyntax, parameters: int) -> None:
        binder = _UpdateBinder()
        paths = [binder.path(action.path) for action in syntax.actions]
        complaint = clash(paths)
        if complaint is not None:
            raise binder.error(complaint)
        bound = [binder.change(action, path) for action, path in zip(syntax.actions, paths, strict=True)]
        super().__init__(syntax, parameters, binder)
        self._paths = paths
        self._changes = Changes(bound)
        self.attributes = self._changes.attributes
        """Names of the top-level attributes that are changed, wholly or in part."""
        self.apply: Callable[[Item, Parameters], Item] = self._changes.apply
        """The changed item, from an item and the parameters; the item itself is left alone.

        Raises ValidationException when the update does not fit the item, such as ``r = r + 1`` without ``r``.
        """

    def _key_reader(self, key_names: tuple[str, ...]) -> KeyReader:
        refuse_key_attributes(self._paths, key_names)
        return super()._key_reader(key_names)

    def returned(self, before: Item, after: Item) -> list[Item]:
        """What RETURNING asks for: at most one item."""
        if self.returning is None:
            return []
        scope, image = self.returning.split()
        returned = before if image == "OLD" else after
        if scope == "MODIFIED":
            returned = self._changes.old(before) if image == "OLD" else self._changes.new(after)
        return [returned] if returned else []


class Delete(_KeyedWrite):
    """``DELETE``. Without an item it succeeds, unless the condition does not hold for its key alone."""

    def __init__(self, syntax: DeleteSyntax, parameters: int) -> None:
        super().__init__(syntax, parameters, Binder())

    def returned(self, before: Item | None) -> list[Item]:
        """What RETURNING asks for: the deleted item, if there was one."""
        return [before] if self.returning is not None and before is not None else []


def _always(_item: Item, _parameters: Any) -> bool:
    return True


def _result_names(paths: Sequence[DocumentPath]) -> tuple[str, ...]:
    names: list[str] = []
    for path in paths:
        last = max(position for position, element in enumerate(path) if isinstance(element, str))
        name = str(path[last]) + "".join(f"[{index}]" for index in path[last + 1 :])
        if name in names:
            raise validation(f"Duplicate identifiers in select clause: {name}")
        names.append(name)
    complaint = clash(paths)
    if complaint is not None:
        raise validation(complaint)
    return tuple(names)


class _UpdateBinder(AssigningBinder):
    """Binds the actions of an UPDATE."""

    def change(self, action: Action, path: DocumentPath) -> Change:
        if isinstance(action, Assignment):
            return changes.assign(path, changes.required(self.assigned(action.operand).read))
        if isinstance(action, Removal):
            return changes.remove(path)
        members = self.operand(action.members)
        if members.parameter is not None:
            complaint = not_a_set(action.function)

            def require_set(value: AttributeValue) -> None:
                if not is_set(value):
                    raise validation(complaint)

            self.defer(members.parameter, require_set)
        if action.function == "set_add":
            return changes.add_to(path, members.read)
        return changes.delete_from(path, members.read)


def compile_uncached(statement: str) -> Select | Exists | Insert | Update | Delete:
    """Compile one statement."""
    syntax, parameters = parse(statement)
    if isinstance(syntax, SelectSyntax):
        return Select(syntax, parameters)
    if isinstance(syntax, ExistsSyntax):
        return Exists(syntax, parameters)
    if isinstance(syntax, InsertSyntax):
        return Insert(syntax, parameters)
    if isinstance(syntax, UpdateSyntax):
        return Update(syntax, parameters)
    return Delete(syntax, parameters)

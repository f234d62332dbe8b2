"""Document paths: reading along them, telling whether two of them clash, projecting an item on a set of them.

A path is a tuple of names (``str``) and list indexes (``int``), its first element an attribute's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from refire_async.sandbox.values import AttributeValue, Item

DocumentPath: TypeAlias = tuple[str | int, ...]

MAX_PATH_LEVELS = 32


def describe(path: DocumentPath) -> str:
    """How the service writes a path in messages: ``[m, x, [0]]``."""
    return "[" + ", ".join(f"[{e}]" if isinstance(e, int) else e for e in path) + "]"


def read(item: Item, path: DocumentPath) -> AttributeValue | None:
    """The value at ``path``, None when there is none."""
    value = item.get(path[0])  # type: ignore[arg-type]  # the first element is a name
    for element in path[1:]:
        if value is None:
            return None
        value = child(value, element)
    return value


def child(value: AttributeValue, element: str | int) -> AttributeValue | None:
    """The member of a map or list value, None when there is none."""
    if isinstance(element, str):
        members = value.get("M")
        return None if members is None else members.get(element)
    elements = value.get("L")
    if elements is None or element >= len(elements):
        return None
    return elements[element]  # type: ignore[no-any-return]


def clash(paths: Sequence[DocumentPath]) -> str | None:
    """The service's complaint about the first two paths that cannot be used together, None when all can."""
    tree: dict[Any, Any] = {}
    for position, later in enumerate(paths):
        if _fits(tree, later):
            continue
        for earlier in paths[:position]:
            kind = _relation(earlier, later)
            if kind is not None:
                return (
                    f"Two document paths {kind} with each other; must remove or rewrite one of these paths; "
                    f"path one: {describe(earlier)}, path two: {describe(later)}"
                )
    return None


def _fits(tree: dict[Any, Any], path: DocumentPath) -> bool:
    """Add a path to a tree with a None at the end of each; whether it neither overlaps nor conflicts there."""
    node = tree
    for element in path[:-1]:
        if node and isinstance(element, str) is not isinstance(next(iter(node)), str):
            return False
        deeper = node.setdefault(element, {})
        if deeper is None:
            return False
        node = deeper
    last = path[-1]
    if last in node or (node and isinstance(last, str) is not isinstance(next(iter(node)), str)):
        return False
    node[last] = None
    return True


def _relation(one: DocumentPath, two: DocumentPath) -> str | None:
    for first, second in zip(one, two, strict=False):
        if first != second:
            return None if isinstance(first, str) is isinstance(second, str) else "conflict"
    return "overlap"


Selection: TypeAlias = dict[Any, "Selection | None"]
"""Paths as a tree; None is a leaf, whatever is below it belongs to the selection."""


def selection(paths: Iterable[DocumentPath]) -> Selection:
    """The tree of paths of which none is part of another."""
    root: Selection = {}
    for path in paths:
        node = root
        for element in path[:-1]:
            deeper = node.setdefault(element, {})
            assert deeper is not None  # noqa: S101 - clash() has refused paths that contain one another
            node = deeper
        node[path[-1]] = None
    return root


def select(item: Item, tree: Selection) -> Item:
    """The parts of ``item`` that ``tree`` selects, in their maps and lists; elements of lists close ranks."""
    found = {}
    for name, deeper in tree.items():
        value = item.get(name)
        if value is not None and deeper is not None:
            value = _select_within(value, deeper)
        if value is not None:
            found[name] = value
    return found


def _select_within(value: AttributeValue, tree: Selection) -> AttributeValue | None:
    if "M" in value:
        members = select(value["M"], tree)
        return {"M": members} if members else None
    if "L" in value and all(isinstance(index, int) for index in tree):
        elements = []
        for index in sorted(tree):
            element = child(value, index)
            deeper = tree[index]
            if element is not None and deeper is not None:
                element = _select_within(element, deeper)
            if element is not None:
                elements.append(element)
        return {"L": elements} if elements else None
    return None


def selector(paths: Sequence[DocumentPath]) -> Callable[[Item], Item]:
    """A function that projects an item on ``paths``."""
    tree = selection(paths)
    if all(deeper is None for deeper in tree.values()):
        names = tuple(tree)
        return lambda item: {name: item[name] for name in names if name in item}
    return lambda item: select(item, tree)

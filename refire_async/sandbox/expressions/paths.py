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
    if len(paths) < 2 or _all_apart(paths):
        return None
    for position, later in enumerate(paths):
        for earlier in paths[:position]:
            kind = _relation(earlier, later)
            if kind is not None:
                return (
                    f"Two document paths {kind} with each other; must remove or rewrite one of these paths; "
                    f"path one: {describe(earlier)}, path two: {describe(later)}"
                )
    return None


def _all_apart(paths: Sequence[DocumentPath]) -> bool:
    # Nearly always each path starts at an attribute of its own.
    return len({path[0] for path in paths}) == len(paths)


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

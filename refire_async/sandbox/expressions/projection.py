"""Projection expressions (Developer Guide: Using projection expressions)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from refire_async.sandbox.expressions.binder import Binder
from refire_async.sandbox.expressions.grammar import parse_projection
from refire_async.sandbox.expressions.paths import DocumentPath, clash, selector
from refire_async.sandbox.expressions.placeholders import Placeholders
from refire_async.sandbox.values import Item


@dataclass(frozen=True, slots=True)
class Projection:
    """A compiled projection.

    ``apply`` returns a new item with the selected parts, perhaps empty; elements selected from a list close ranks in
    the order of the list.
    """

    paths: tuple[DocumentPath, ...]
    apply: Callable[[Item], Item]

    @property
    def attributes(self) -> frozenset[str]:
        """Names of the top-level attributes that are selected, wholly or in part."""
        return frozenset(str(path[0]) for path in self.paths)


def compile_projection(text: str, placeholders: Placeholders) -> Projection:
    """Compile a ProjectionExpression. Raises ValidationException."""
    binder = Binder(placeholders, "Invalid ProjectionExpression: ")
    paths = [binder.path(node) for node in parse_projection(text)]
    complaint = clash(paths)
    if complaint is not None:
        raise binder.error(complaint)
    return project_on(paths)


def project_on(paths: Sequence[DocumentPath]) -> Projection:
    """A projection on paths of which none is part of another, as AttributesToGet and index projections need it."""
    return Projection(tuple(paths), selector(paths))

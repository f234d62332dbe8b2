"""Names of the attributes that a filter expression looks at. Pure."""

import re
from collections.abc import Sequence

_WORD = re.compile(
    r"""
      :[A-Za-z0-9_]+                            # a value
    | \.\s*\#?[A-Za-z0-9_]+                     # further down in a document
    | (?P<function>[A-Za-z_]+)\s*\(
    | (?P<name>\#?[A-Za-z_][A-Za-z0-9_]*)
    """,
    re.VERBOSE,
)
_KEYWORDS = frozenset(("AND", "OR", "NOT", "BETWEEN", "IN"))
_FUNCTIONS = frozenset(
    ("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size")
)


def attributes_of(expression: str, names: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Top-level attributes that a FilterExpression with the placeholders `names` looks at, each once, in its order."""
    placeholders = dict(names)
    found: dict[str, None] = {}
    for match in _WORD.finditer(expression):
        word = match["name"] or match["function"]
        if word is None or word.upper() in _KEYWORDS or (match["function"] and word in _FUNCTIONS):
            continue
        found[placeholders.get(word, word)] = None
    return tuple(found)

"""Shapes of requests: JSON types first, then constraints, worded as DynamoDB words them.

A shape is a function ``(value, path, failures)``. It raises SerializationException for a wrong JSON type, as the
service's JSON layer does, and appends broken constraints to ``failures``, all of which one ValidationException
reports. Unknown members are ignored (the service drops them). ``path`` is written in the service's way:
``statements.1.member.statement``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from refire_async.sandbox.errors import serialization, validation

Shape = Callable[[Any, str, list[str]], None]

# The service lists at most this many broken constraints.
_MAX_FAILURES = 10
# And this many characters of a value.
_SHOWN = 256
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


def check(shape: Shape, request: Any) -> dict[str, Any]:
    """Return ``request`` if it has ``shape``; raise SerializationException or ValidationException if not."""
    if type(request) is not dict:
        raise serialization("Unexpected value type in payload")
    failures: list[str] = []
    shape(request, "", failures)
    if failures:
        count = len(failures)
        plural = "s" if count > 1 else ""
        raise validation(f"{count} validation error{plural} detected: {'; '.join(failures[:_MAX_FAILURES])}")
    return request


def structure(required: Mapping[str, Shape] | None = None, /, **optional: Shape) -> Shape:
    """An object with these members; null means absent."""
    members = [(name, shape, True) for name, shape in (required or {}).items()]
    members += [(name, shape, False) for name, shape in optional.items()]
    camel = {name: name[0].lower() + name[1:] for name, _, _ in members}

    def check_structure(value: Any, path: str, failures: list[str]) -> None:
        if type(value) is not dict:
            raise _unexpected(value, "structure")
        for name, shape, needed in members:
            content = value.get(name)
            if content is not None:
                shape(content, f"{path}.{camel[name]}" if path else camel[name], failures)
            elif needed:
                failures.append(_failure("null", path, camel[name], "Member must not be null"))
            elif name in value:
                del value[name]

    return check_structure


def text(
    shortest: int = 0, longest: int | None = None, *, pattern: str | None = None, of: Sequence[str] = ()
) -> Shape:
    """A string within lengths (in characters), of a pattern, or one of a set of values."""
    compiled = re.compile(pattern) if pattern else None
    allowed = frozenset(of)

    def check_text(value: Any, path: str, failures: list[str]) -> None:
        if type(value) is not str:
            raise _unexpected(value, "String")
        if len(value) < shortest:
            failures.append(_length(value, path, "greater", shortest))
        if longest is not None and len(value) > longest:
            failures.append(_length(value, path, "less", longest))
        if compiled is not None and not compiled.fullmatch(value):
            failures.append(
                _failure(
                    f"'{value[:_SHOWN]}'",
                    path,
                    "",
                    f"Member must satisfy regular expression pattern: {pattern}",
                )
            )
        if allowed and value not in allowed:
            failures.append(
                _failure(
                    f"'{value[:_SHOWN]}'", path, "", f"Member must satisfy enum value set: [{', '.join(of)}]"
                )
            )

    return check_text


def integer(lowest: int = _LOWEST, highest: int = _HIGHEST) -> Shape:
    """A whole number between two bounds."""

    def check_integer(value: Any, path: str, failures: list[str]) -> None:
        if type(value) is not int:
            raise _unexpected(value, "Integer")
        if value < lowest:
            failures.append(
                _failure(f"'{value}'", path, "", f"Member must have value greater than or equal to {lowest}")
            )
        if value > highest:
            failures.append(
                _failure(f"'{value}'", path, "", f"Member must have value less than or equal to {highest}")
            )

    return check_integer


def decimal(value: Any, _path: str, _failures: list[str]) -> None:
    """A number, whole or not, such as a time in seconds."""
    if type(value) not in (int, float):
        raise _unexpected(value, "Double")


def boolean(value: Any, _path: str, _failures: list[str]) -> None:
    """True or false."""
    if type(value) is not bool:
        raise _unexpected(value, "Boolean")


def anything(_value: Any, _path: str, _failures: list[str]) -> None:
    """Checked elsewhere."""


def mapping_of_anything(value: Any, _path: str, _failures: list[str]) -> None:
    """An object whose members are checked elsewhere: an item, a key, placeholders."""
    if type(value) is not dict:
        raise _unexpected(value, "structure")


def list_of(shape: Shape, shortest: int = 0, longest: int | None = None) -> Shape:
    """An array within lengths."""

    def check_list(value: Any, path: str, failures: list[str]) -> None:
        if type(value) is not list:
            raise _unexpected(value, "list")
        if len(value) < shortest:
            failures.append(_length(value, path, "greater", shortest))
        if longest is not None and len(value) > longest:
            failures.append(_length(value, path, "less", longest))
            return
        if shape is anything:
            return
        for number, member in enumerate(value, 1):
            if member is None:
                failures.append(_failure("null", f"{path}.{number}", "member", "Member must not be null"))
            else:
                shape(member, f"{path}.{number}.member", failures)

    return check_list


def map_of(shape: Shape, shortest: int = 0, longest: int | None = None) -> Shape:
    """An object with arbitrary names and values of one shape."""

    def check_map(value: Any, path: str, failures: list[str]) -> None:
        if type(value) is not dict:
            raise _unexpected(value, "structure")
        if len(value) < shortest:
            failures.append(_length(value, path, "greater", shortest))
        if longest is not None and len(value) > longest:
            failures.append(_length(value, path, "less", longest))
            return
        for name, member in value.items():
            if member is None:
                failures.append(_failure("null", f"{path}.{name}", "member", "Member must not be null"))
            else:
                shape(member, f"{path}.{name}.member", failures)

    return check_map


def _failure(shown: str, path: str, member: str, constraint: str) -> str:
    where = f"{path}.{member}" if path and member else path or member
    return f"Value {shown} at '{where}' failed to satisfy constraint: {constraint}"


def _length(value: Any, path: str, side: str, bound: int) -> str:
    if isinstance(value, str):
        shown = f"'{value[:_SHOWN]}'"
    else:
        brackets = "[]" if isinstance(value, list) else "{}"
        shown = f"'{brackets[0]}{f'{len(value)} members' if value else ''}{brackets[1]}'"
    return _failure(shown, path, "", f"Member must have length {side} than or equal to {bound}")


def _unexpected(value: Any, wanted: str) -> Exception:
    if type(value) is dict:
        return serialization("Start of structure or map found where not expected")
    if type(value) is list:
        if wanted == "structure":
            return serialization("Unrecognized collection type class java.util.LinkedHashMap")
        return serialization("Start of list found where not expected")
    if wanted in ("structure", "list"):
        return serialization("Unexpected field type")
    if wanted == "Boolean":
        return serialization("Unexpected token received from parser")
    token = {bool: str(value).upper() + "_VALUE", str: "STRING_VALUE", float: "DECIMAL_VALUE"}
    return serialization(f"{token.get(type(value), 'NUMBER_VALUE')} cannot be converted to {wanted}")

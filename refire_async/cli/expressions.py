"""The placeholders of expressions in `--names` and `--values`, checked before any request to AWS."""

import json
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from refire_async.cli.params import quoted
from refire_async.errors import UsageError
from refire_async.model.keys import AttributeValue

Names = tuple[tuple[str, str], ...]
Values = tuple[tuple[str, AttributeValue], ...]

_PLACEHOLDER = re.compile(r"[#:][A-Za-z0-9_]+")
_STRING_TYPES = ("S", "N", "B")
_SET_TYPES = ("SS", "NS", "BS")


@dataclass(frozen=True, slots=True)
class _Number:
    """A JSON number exactly as it was written."""

    text: str


def parse_names(text: str, where: str) -> Names:
    """`{"#s": "status"}` as pairs. Raises UsageError that names `where` the text was given."""
    pairs = []
    for placeholder, name in _object(text, where, '{"#s": "status"}').items():
        _check_placeholder(placeholder, "#", where)
        if not isinstance(name, str) or not name:
            raise UsageError(
                f"{where}: {placeholder} must be the name of an attribute",
                'for example {"#s": "status"}',
            )
        pairs.append((placeholder, name))
    return tuple(pairs)


def parse_values(text: str, where: str) -> Values:
    """`{":d": "2026-01-31"}` or `{":d": {"S": "2026-01-31"}}` as pairs of placeholder and DynamoDB JSON.

    An object with a single member that is named and shaped like a DynamoDB type is DynamoDB JSON; any other is a
    map. Numbers keep their digits. Raises UsageError that names `where` the text was given.
    """
    pairs = []
    for placeholder, value in _object(text, where, '{":d": "2026-01-31"}').items():
        _check_placeholder(placeholder, ":", where)
        try:
            pairs.append((placeholder, to_attribute_value(value)))
        except ValueError as error:
            raise UsageError(
                f"{where}: {placeholder}: {error}", "see `refire run --help` for examples"
            ) from None
    return tuple(pairs)


def check_placeholders(option: str, expression: str | None, names: Names, values: Values) -> None:
    """Refuse what the service would refuse later: placeholders that are undefined or unused.

    `expression` was given as `option`. Raises UsageError.
    """
    defined = {placeholder for placeholder, _ in (*names, *values)}
    used = _PLACEHOLDER.findall(expression or "")
    for placeholder in used:
        if placeholder not in defined:
            where, example = (
                ("--names", '"status"') if placeholder.startswith("#") else ("--values", '"OPEN"')
            )
            raise UsageError(
                f"{option} uses {placeholder}, which {where} does not define",
                f"""add {where} '{{"{placeholder}": {example}}}'""",
            )
    for placeholder in sorted(defined.difference(used)):
        where = "--names" if placeholder.startswith("#") else "--values"
        raise UsageError(
            f"{where} defines {placeholder}, which {option} does not use", "use it or leave it out"
        )


def to_attribute_value(value: Any) -> AttributeValue:  # noqa: PLR0911 - one return per type
    """A parsed JSON value as DynamoDB JSON. Raises ValueError with a reason."""
    match value:
        case _Number(text):
            return {"N": check_number(text)}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case None:
            return {"NULL": True}
        case list():
            return {"L": [to_attribute_value(member) for member in value]}
        case dict() if len(value) == 1 and _is_typed(*next(iter(value.items()))):
            return _typed(*next(iter(value.items())))
        case _:
            return {"M": {name: to_attribute_value(member) for name, member in value.items()}}


def check_number(text: str) -> str:
    """The text, if it is a number that DynamoDB can hold. Raises ValueError with a reason.

    That is 38 digits and 1E-130 to 9.9E+125 (Developer Guide: Naming rules and data types).
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{quoted(text)} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{quoted(text)} is not a number")
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if len(digits) > 38 or (digits and not -130 <= number.adjusted() <= 125):
        raise ValueError(f"{quoted(text)} has more digits than DynamoDB's 38, or is out of its range")
    return str(text)


def check_base64(text: str) -> str:
    """The text, if it is base64. Raises ValueError with a reason."""
    try:
        b64decode(text, validate=True)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not base64") from None
    return text


def _object(text: str, where: str, example: str) -> dict[str, Any]:
    try:
        parsed = json.loads(
            text,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_no_constant,
            object_pairs_hook=_without_doubles,
        )
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not valid JSON: {error}", f"for example '{example}'") from None
    if not isinstance(parsed, dict):
        raise UsageError(f"{where} must be a JSON object, not {quoted(text)}", f"for example '{example}'")
    return parsed


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in DynamoDB")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{quoted(name)} occurs twice")
        found[name] = value
    return found


def _check_placeholder(placeholder: str, first: str, where: str) -> None:
    if not placeholder.startswith(first) or not _PLACEHOLDER.fullmatch(placeholder):
        raise UsageError(
            f"{where}: {quoted(placeholder)} is not a placeholder",
            f"begin it with {first} and use letters, digits and _ only, such as {first}a",
        )


def _is_typed(kind: str, content: Any) -> bool:
    """Whether `{kind: content}` has the shape of a typed value."""
    if kind in _STRING_TYPES:
        return isinstance(content, str)
    if kind in _SET_TYPES or kind == "L":
        return isinstance(content, list)
    return (kind == "M" and isinstance(content, dict)) or (
        kind in ("BOOL", "NULL") and isinstance(content, bool)
    )


def _typed(kind: str, content: Any) -> AttributeValue:  # noqa: PLR0911 - one return per type
    match kind:
        case "N":
            return {"N": check_number(content)}
        case "B":
            return {"B": check_base64(content)}
        case "SS" | "NS" | "BS":
            return {kind: _set(kind[0], content)}
        case "L":
            return {"L": [to_attribute_value(member) for member in content]}
        case "M":
            return {"M": {name: to_attribute_value(member) for name, member in content.items()}}
        case "S":
            return {"S": str(content)}
        case _:
            return {kind: content}


def _set(kind: str, members: list[Any]) -> list[str]:
    if not members or not all(isinstance(member, str) for member in members):
        raise ValueError(f"{kind}S must be a list of strings with at least one member")
    checks: dict[str, Callable[[str], str]] = {"N": check_number, "B": check_base64, "S": str}
    return [checks[kind](member) for member in members]

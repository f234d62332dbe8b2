"""ExpressionAttributeNames and ExpressionAttributeValues of one request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.values import AttributeValue, check_name, validate_value

_NAME_KEY = re.compile(r"#[A-Za-z0-9_]+")
_VALUE_KEY = re.compile(r":[A-Za-z0-9_]+")


class Placeholders:
    """What stands for ``#name`` and ``:value`` in all the expressions of one request, and what of it was used.

    Compile every expression of the request with the same object, then call ``check_all_used``. Values become
    canonical here. Raises ValidationException for malformed keys, names and values.
    """

    def __init__(
        self, names: Mapping[str, Any] | None = None, values: Mapping[str, Any] | None = None
    ) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, AttributeValue] = {}
        self._unused_names: dict[str, None] = {}
        self._unused_values: dict[str, None] = {}
        if names is not None:
            self._names = _checked("ExpressionAttributeNames", names, _NAME_KEY, _attribute_name)
            self._unused_names = dict.fromkeys(names)
        if values is not None:
            self._values = _checked("ExpressionAttributeValues", values, _VALUE_KEY, validate_value)
            self._unused_values = dict.fromkeys(values)

    def name(self, key: str) -> str:
        """The attribute name that ``#key`` stands for. Raises KeyError."""
        name = self._names[key]
        self._unused_names.pop(key, None)
        return name

    def value(self, key: str) -> AttributeValue:
        """The canonical value that ``:key`` stands for. Raises KeyError."""
        value = self._values[key]
        self._unused_values.pop(key, None)
        return value

    def check_all_used(self, *, expressions: bool = True) -> None:
        """Raise ValidationException for names and values that no expression used.

        ``expressions`` is False when the request had no expression at all, which has a wording of its own.
        """
        for member, unused in (
            ("ExpressionAttributeNames", self._unused_names),
            ("ExpressionAttributeValues", self._unused_values),
        ):
            if unused and not expressions:
                raise validation(f"{member} can only be specified when using expressions")
            if unused:
                raise validation(f"Value provided in {member} unused in expressions: keys: {_listed(unused)}")


def _listed(keys: Iterable[str]) -> str:
    return "{" + ", ".join(sorted(keys)) + "}"


def _checked(member: str, given: Mapping[str, Any], key_form: re.Pattern[str], check: Any) -> dict[str, Any]:
    if not given:
        raise validation(f"{member} must not be empty")
    for key in given:
        if not key_form.fullmatch(key):
            raise validation(f'{member} contains invalid key: Syntax error; key: "{key}"')
    checked = {}
    for key, value in given.items():
        try:
            checked[key] = check(value)
        except ServiceError as error:
            if error.type != "ValidationException":
                raise
            message = f"{member} contains invalid value: {error.message} for key {key}"
            raise validation(message) from None
    return checked


def _attribute_name(name: Any) -> str:
    if not isinstance(name, str):
        raise validation("Empty attribute name")
    check_name(name)
    return name

"""Converts key values to the canonical text that DynamoDB returns for equal values. Pure."""

import base64
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_DIGITS, MIN_EXPONENT, MAX_EXPONENT = 38, -130, 125
"""The range of DynamoDB's numbers (DynamoDB Developer Guide: Naming rules and data types)."""


def canonical(text: str, key_type: str) -> str:
    """The canonical text of a key value of `key_type`. Raises ValueError with the reason if it is none."""
    if key_type == "N":
        return canonical_number(text)
    return canonical_base64(text) if key_type == "B" else text


def canonical_base64(text: str) -> str:
    """Base64 text in canonical form, which is the same for equal bytes. Raises ValueError."""
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode()
    except ValueError:
        raise ValueError("a key attribute is not base64") from None


def canonical_number(value: Any) -> str:
    """A number in canonical form, which is the same for equal numbers. Raises ValueError."""
    if not isinstance(value, str | Decimal):
        raise ValueError("a key attribute is not a number")  # noqa: TRY004 - bad data, not a bad call
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError("a key attribute is not a number") from None
    if not number.is_finite():
        raise ValueError("a key attribute is not a finite number")
    if not number:
        return "0"
    # Not `normalize`: it rounds to the 28 digits of the default context.
    sign, digits, _ = number.as_tuple()
    significant = "".join(map(str, digits)).strip("0")
    last = number.adjusted() - len(significant) + 1
    if len(significant) > MAX_DIGITS or not MIN_EXPONENT <= number.adjusted() <= MAX_EXPONENT:
        raise ValueError("a key attribute is a number that DynamoDB cannot hold")
    return format(Decimal((sign, tuple(map(int, significant)), last)), "f")

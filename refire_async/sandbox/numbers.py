"""Numbers as DynamoDB keeps them: exact decimals of up to 38 significant digits, between 1E-130 and 9.9…E+125.

A number travels and rests as text. Its *canonical* text is what DynamoDB returns: plain notation without exponent,
plus sign, leading or trailing zeros (``1E+20`` is ``100000000000000000000``, ``-0.0`` is ``0``). Everything else in
the sandbox relies on stored numbers being canonical, so that equal numbers are equal texts.

Sources: DynamoDB Developer Guide, "Data types: Number" and "Item sizes and formats"; exponent limits and the
byte-exact size were measured on the service by third parties.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal

from refire_async.sandbox.errors import ServiceError, validation

MAX_DIGITS = 38
_MAX_MAGNITUDE = 125
_MIN_MAGNITUDE = -130

_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")
# Two 38-digit numbers at both ends of the range need 38 + 125 + 130 digits for an exact sum.
_EXACT = Context(prec=400, Emax=999_999, Emin=-999_999)


def canonical_number(text: str) -> str:
    """The text DynamoDB returns for the number ``text``.

    Raises ValidationException for what is not a number, is out of range, or has more than 38 significant digits.
    """
    if len(text) <= MAX_DIGITS and text.isdigit() and text.isascii() and (text[0] != "0" or text == "0"):
        return text
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise _not_numeric(text)
    sign, whole, fraction, exponent_text = match.groups()
    fraction = fraction or ""
    written = whole + fraction
    exponent = int(exponent_text) if exponent_text and len(exponent_text) < 25 else 0
    if not written or (exponent_text and (len(exponent_text) >= 25 or abs(exponent) >= 2**63)):
        raise _not_numeric(text)
    digits = written.lstrip("0")
    # Zero is range-checked by the exponent it is written with.
    magnitude = exponent - len(fraction) + max(len(digits), 1) - 1
    if magnitude > _MAX_MAGNITUDE:
        raise _overflow()
    if magnitude < _MIN_MAGNITUDE:
        raise _underflow()
    significant = digits.rstrip("0")
    if len(significant) > MAX_DIGITS:
        raise validation("Attempting to store more than 38 significant digits in a Number")
    if not significant:
        return "0"
    scale = exponent - len(fraction) + len(digits) - len(significant)
    canonical = ("-" if sign == "-" else "") + _plain(significant, scale)
    return text if canonical == text else canonical


def _plain(digits: str, scale: int) -> str:
    """``digits`` times ten to the power of ``scale``, without exponent."""
    if scale >= 0:
        return digits + "0" * scale
    point = len(digits) + scale
    if point > 0:
        return f"{digits[:point]}.{digits[point:]}"
    return "0." + "0" * -point + digits


def number_size(text: str) -> int:
    """Bytes that a canonical number adds to the size of an item.

    One byte, one for each two significant digits before the point and for each two after it (rounded up each), and
    one for a minus sign. Zeros at either end are not significant.
    """
    if text.isdigit():
        return 1 + (len(text.rstrip("0")) + 1 >> 1)
    negative = text[0] == "-"
    whole, _, fraction = text[negative:].partition(".")
    if not fraction:
        whole = whole.rstrip("0")
    elif whole == "0":
        whole = ""
        fraction = fraction.lstrip("0")
    return 1 + (len(whole) + 1 >> 1) + (len(fraction) + 1 >> 1) + negative


def number_order(text: str) -> int | Decimal:
    """A Python number that compares as the canonical number ``text`` does; integers stay integers for speed."""
    try:
        return int(text)
    except ValueError:
        return Decimal(text)


def add(left: str, right: str) -> str:
    """Canonical text of the sum of two canonical numbers; ValidationException when it leaves the range."""
    if left.isdigit() and right.isdigit():
        text = str(int(left) + int(right))
        if len(text) <= MAX_DIGITS:
            return text
    return _stored(_EXACT.add(Decimal(left), Decimal(right)))


def subtract(left: str, right: str) -> str:
    """Canonical text of ``left - right``; ValidationException when it leaves the range."""
    return _stored(_EXACT.subtract(Decimal(left), Decimal(right)))


def _stored(value: Decimal) -> str:
    # The service does not round: a result of more than 38 digits is an error. Zero carries no exponent here.
    return canonical_number(str(value)) if value else "0"


def _not_numeric(text: str) -> ServiceError:
    return validation(f"The parameter cannot be converted to a numeric value: {text}")


def _overflow() -> ServiceError:
    return validation(
        "Number overflow. Attempting to store a number with magnitude larger than supported range"
    )


def _underflow() -> ServiceError:
    return validation(
        "Number underflow. Attempting to store a number with magnitude smaller than supported range"
    )

"""Expands ranges of hash key values: days, months or whole numbers. Pure."""

import re
from collections.abc import Iterator
from datetime import date, timedelta

from refire_async.errors import UsageError

MAX_KEY_VALUES = 10_000
"""Most hash keys of one run, because each is a segment with a cursor in the checkpoint."""

_DAY = re.compile(r"(?s)(.*?)([0-9]{4}-[0-9]{2}-[0-9]{2})")
_MONTH = re.compile(r"(?s)(.*?)([0-9]{4}-[0-9]{2})")
_NUMBER = re.compile(r"(?s)(.*?)([0-9]+)")
_WHOLE = re.compile(r"\s*([+-]?[0-9]{1,38})\s*")

_HOW = "for example 2026-11-01..2026-11-20, 2026-01..2026-03 or 1..100"


def expand_range(text: str, key_type: str) -> list[str]:
    """All values of the range `FIRST..LAST`, including both.

    For a key of type S both ends may begin with the same text (`DAY#2026-11-01..DAY#2026-11-20`), and numbers keep
    leading zeros (`007..120`).

    Raises UsageError if it is not a range, its ends are in the wrong order, or it has more than `MAX_KEY_VALUES`
    values.
    """
    first, dots, last = text.partition("..")
    if not dots:
        raise UsageError(f"--key-value-range {_short(text)} is not a range", _HOW)
    if key_type == "B":
        raise UsageError(
            "--key-value-range does not support keys of type B", "give each value with --key-value"
        )
    if key_type == "N":
        ends = _WHOLE.fullmatch(first), _WHOLE.fullmatch(last)
        if ends[0] is None or ends[1] is None:
            raise UsageError(
                f"--key-value-range {_short(text)} is not a range of whole numbers", "for example 1..100"
            )
        return _numbers(text, "", ends[0][1], ends[1][1])
    return _texts(text, first, last)


def _texts(text: str, first: str, last: str) -> list[str]:
    for form in (_DAY, _MONTH, _NUMBER):
        ends = form.fullmatch(first), form.fullmatch(last)
        if ends[0] is None or ends[1] is None or ends[0][1] != ends[1][1]:
            continue
        prefix, low, high = ends[0][1], ends[0][2], ends[1][2]
        if form is _NUMBER:
            return _numbers(text, prefix, low, high)
        try:
            return _dates(text, prefix, low, high)
        except ValueError:
            raise UsageError(f"--key-value-range {_short(text)} contains an invalid date", _HOW) from None
    raise UsageError(f"--key-value-range {_short(text)} is not a range of days, months or numbers", _HOW)


def _numbers(text: str, prefix: str, low: str, high: str) -> list[str]:
    padded = any(end.startswith("0") and len(end) > 1 for end in (low, high))
    if padded and len(low) != len(high):
        raise UsageError(
            f"--key-value-range {_short(text)} has ends of different width", "write both with leading zeros"
        )
    width = len(low) if padded else 0
    _check_size(text, int(high) - int(low) + 1)
    return [f"{prefix}{number:0{width}d}" for number in range(int(low), int(high) + 1)]


def _dates(text: str, prefix: str, low: str, high: str) -> list[str]:
    whole_months = len(low) == len("2026-01")
    first, last = (date.fromisoformat(f"{end}-01" if whole_months else end) for end in (low, high))
    if whole_months:
        _check_size(text, (last.year - first.year) * 12 + last.month - first.month + 1)
        return [f"{prefix}{month:%Y-%m}" for month in _months(first, last)]
    _check_size(text, (last - first).days + 1)
    return [f"{prefix}{first + timedelta(days=n):%Y-%m-%d}" for n in range((last - first).days + 1)]


def _months(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first = date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _check_size(text: str, size: int) -> None:
    if size < 1:
        raise UsageError(
            f"--key-value-range {_short(text)} has its ends in the wrong order", "put the lower end first"
        )
    if size > MAX_KEY_VALUES:
        raise UsageError(
            f"--key-value-range {_short(text)} has {size:,} values, more than {MAX_KEY_VALUES:,}",
            "split it into several runs",
        )


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:50]}…")

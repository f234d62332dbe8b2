"""Claims and changes as rows of fixed width, so that millions of them fit on disk and meet by key. Pure."""

from collections.abc import Callable, Sequence
from decimal import Context, Decimal, InvalidOperation
from functools import partial
from hashlib import blake2b
from struct import Struct
from typing import TypeAlias

import orjson

from refire_async.model.keys import AttributeValue, Item

CLAIM = Struct("=16sqqQB")
CHANGE = Struct("=16sqqIB")

Claim: TypeAlias = tuple[bytes, int, int, int, int]
"""(digest of the key, marker that the run read first, marker that it wrote, number of the claim, kind), markers as
codes. The second is not the one before the third where another writer came between.
"""

Change: TypeAlias = tuple[bytes, int, int, int, int]
"""(digest of the key, marker before, marker after, second since the epoch, flags): what a stream record tells."""

TOUCHED, ALREADY, READ, FOREIGN, OPENED = 0, 1, 2, 3, 4
"""Kinds of claims. READ says what an item's marker was when the run read it first, of an item that has another claim or
none yet; FOREIGN is a touch of another run; OPENED has, in place of the markers, the
first seconds of records that may be a touch too many, and of those that may be the very touch.
"""

TOUCH, BEFORE, AFTER = 1, 2, 4
"""Flags of changes. TOUCH: nothing but the marker has changed, as a run changes it (both images tell). BEFORE, AFTER:
there is an image, so the code of the marker on that side is known.
"""

BOTH = BEFORE | AFTER
SURE = TOUCH | BOTH
"""A touch is only known where both images are."""

ABSENT = -(1 << 62)
"""Code for no item at all: before an INSERT, after a REMOVE."""

_HASHED = 1 << 62
_EXACT = Context(prec=40)
_PLAIN_DIGITS = 18
_MOST_CODES = 10_000
MAX_NUMBER_CODE: int = 10**_PLAIN_DIGITS
"""The largest code that is a number."""


def digest(names: Sequence[str], item: Item) -> bytes:
    """16 bytes that stand for the key of `item`: two among 10^9 keys are equal by chance once in 10^20 runs."""
    return digester(names)(item)


def digester(names: Sequence[str]) -> Callable[[Item], bytes]:
    """`digest` for many items. Made for speed: it is called for every record."""
    dumps, new_hash = orjson.dumps, partial(blake2b, digest_size=16)
    first, *more = names
    if not more:
        return lambda item: new_hash(dumps(item[first])).digest()
    (second,) = more
    return lambda item: new_hash(dumps((item[first], item[second]))).digest()


class Codes(dict[str, int]):
    """Codes of numbers by their text. Revisions are few distinct numbers."""

    def of(self, value: AttributeValue | None) -> int:
        """`code(value)`, remembered."""
        if value is None:
            return 0
        text = value.get("N")
        if text is None:
            return code(value)
        known = self.get(text)
        if known is None:
            known = code(value)
            if len(self) < _MOST_CODES:
                self[text] = known
        return known


def code(value: AttributeValue | None) -> int:
    """A marker as a 64-bit number: of what is counted up, the number itself. A missing marker counts as 0.

    Whatever is no whole number of up to 18 digits (a stamp, 1.5) gets a code of 56 bits of its hash.
    """
    if value is None:
        return 0
    text = value.get("N")
    if text is None:
        return _hashed(orjson.dumps(value))
    if len(text) <= _PLAIN_DIGITS:
        try:
            return int(text)
        except ValueError:
            pass
    return _number(text)


def _number(text: str) -> int:
    """The code of a number that is large, broken, or written in an unusual way."""
    try:
        number = Decimal(text)
        if number == number.to_integral_value() and abs(number) < MAX_NUMBER_CODE:
            return int(number)
        text = str(number.normalize(_EXACT))
    except InvalidOperation:
        pass
    return _hashed(text.encode())


def _hashed(data: bytes) -> int:
    return _HASHED | int.from_bytes(blake2b(data, digest_size=7).digest(), "big")


def is_number(marker: int) -> bool:
    """Whether the code is that of a whole number, which has a next one."""
    return -MAX_NUMBER_CODE <= marker <= MAX_NUMBER_CODE

"""Encodes expected and observed changes as fixed-width rows, so that millions fit on disk and join by key. Pure."""

from collections.abc import Callable, Sequence
from decimal import Context, Decimal, InvalidOperation
from functools import partial
from hashlib import blake2b
from struct import Struct
from typing import TypeAlias

import orjson

from refire_async.model.keys import AttributeValue, Item

EXPECTED_STRUCT = Struct("=16sqqQB")
OBSERVED_STRUCT = Struct("=16sqqIB")

ExpectedRow: TypeAlias = tuple[bytes, int, int, int, int]
"""(digest of the key, marker that the run read first, marker that it wrote, number of the row, kind); markers as codes.

If another writer changed the item in between, the marker that the run wrote is not the successor of the one it read
first.
"""

ObservedRow: TypeAlias = tuple[bytes, int, int, int, int]
"""(digest of the key, marker before, marker after, second since the epoch, flags): the content of a stream record."""

TOUCHED, ALREADY, READ, FOREIGN, OPENED = 0, 1, 2, 3, 4
"""Kinds of expected rows.

READ: the marker of an item when the run read it first; the item may have a TOUCHED or ALREADY row later. FOREIGN: a
touch by another run. OPENED: instead of markers it has two seconds since the epoch, the earliest of an additional
touch and the earliest of the run's own touch.
"""

TOUCH, BEFORE, AFTER = 1, 2, 4
"""Flags of observed rows. TOUCH: both images show that only the marker changed, in the way a run changes it. BEFORE,
AFTER: the record has the old or new image, so the code of the marker on that side is known.
"""

BOTH = BEFORE | AFTER
CERTAIN_TOUCH = TOUCH | BOTH
"""Only both images together identify a touch."""

ABSENT = -(1 << 62)
"""Code for a missing item: before an INSERT, after a REMOVE."""

_HASHED = 1 << 62
_EXACT = Context(prec=40)
_PLAIN_DIGITS = 18
MAX_CACHED_CODES = 10_000
MAX_NUMBER_CODE: int = 10**_PLAIN_DIGITS
"""The largest code that is a number."""


def digest(names: Sequence[str], item: Item) -> bytes:
    """16 bytes that identify the key of `item`: the chance that any two of 10^9 keys collide is below 10^-20."""
    return digester(names)(item)


def digester(names: Sequence[str]) -> Callable[[Item], bytes]:
    """`digest` for many items. Optimized, because it is called for every record."""
    dumps, new_hash = orjson.dumps, partial(blake2b, digest_size=16)
    first, *more = names
    if not more:
        return lambda item: new_hash(dumps(item[first])).digest()
    (second,) = more
    return lambda item: new_hash(dumps((item[first], item[second]))).digest()


class Codes(dict[str, int]):
    """A cache of codes by the text of the number. Most items share few distinct revisions."""

    def of(self, value: AttributeValue | None) -> int:
        """`code(value)`, cached."""
        if value is None:
            return 0
        text = value.get("N")
        if text is None:
            return code(value)
        known = self.get(text)
        if known is None:
            known = code(value)
            if len(self) < MAX_CACHED_CODES:
                self[text] = known
        return known


def code(value: AttributeValue | None) -> int:
    """A marker as a 64-bit number: a whole number of up to 18 digits is its own code, a missing marker is 0.

    Every other value (a stamp, 1.5) gets a code from 56 bits of its hash.
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
    """The code of a number that is large, malformed, or written in an unusual way."""
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
    """Whether the code is a whole number, so that it has a successor."""
    return -MAX_NUMBER_CODE <= marker <= MAX_NUMBER_CODE

"""Items made from their number: keys, order, sizes, text, all by arithmetic, so that none need be kept.

Items belong to hash keys; the spread says how many each of them has. Hash keys stand evenly in the hash space, in an
order that has nothing to do with their numbers, so the n-th key of the hash order is known without sorting.
"""

from __future__ import annotations

import math
import random
from base64 import b64decode, b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import orjson

from refire_async.sandbox.numbers import number_order, number_size
from refire_async.sandbox.store.keys import HASH_SPACE, KeySchema, OrderKey, hash_position
from refire_async.sandbox.store.rows import Row
from refire_async.sandbox.values import AttributeValue, Item, item_size, text_size

# Items of one table cycle through this many sizes, which stand for the distribution.
SIZE_CLASSES = 1024
_TEXT = 409_600
_HASH_BITS = HASH_SPACE.bit_length() - 1


class Spread:
    """How ``count`` items fall to ``keys`` hash keys: the items of key k are numbered from first(k) to first(k + 1)."""

    def __init__(self, count: int, keys: int, first: Callable[[int], int]) -> None:
        self.count = count
        self.keys = keys
        self.first = first

    def key_of(self, number: int) -> int:
        """The hash key of an item."""
        low, high = 0, self.keys - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.first(middle) <= number:
                low = middle
            else:
                high = middle - 1
        return low


def uniform(count: int, keys: int) -> Spread:
    """Every hash key has as many items as any other, give or take one."""
    return Spread(count, keys, lambda key: key * count // keys)


def hot_keys(count: int, keys: int, shares: Sequence[float]) -> Spread:
    """The first hash keys have these shares of all items, the others share the rest evenly.

    Neighbours among the first ones stand far apart in the hash space (see Generator): in different partitions.
    """
    starts = [0, *(round(count * part) for part in accumulate(shares))]
    hot, others = len(shares), keys - len(shares)
    rest = count - starts[-1]

    def first(key: int) -> int:
        return starts[key] if key < hot else starts[-1] + (key - hot) * rest // others

    return Spread(count, keys, first)


def zipf(count: int, keys: int, exponent: float) -> Spread:
    """The k-th hash key has items in proportion to 1 / k ** exponent, by the integral that approximates the sum."""

    def mass(key: int) -> float:
        if exponent == 1.0:
            return math.log1p(key)
        return (math.pow(key + 1, 1.0 - exponent) - 1.0) / (1.0 - exponent)

    total = mass(keys)

    def first(key: int) -> int:
        return count if key >= keys else int(count * mass(key) / total)

    return Spread(count, keys, first)


class Generator:
    """The items of one generated table. Without a sort key, item k is the one of hash key k.

    ``sizes`` holds the item sizes in bytes, up to ``SIZE_CLASSES`` of them, that items cycle through; each must
    leave room for keys, ``attributes`` and the filler's name. The filler attribute makes up the rest.
    """

    def __init__(
        self,
        schema: KeySchema,
        spread: Spread,
        *,
        hash_prefix: str,
        range_prefix: str,
        attributes: Item,
        filler: str,
        sizes: Sequence[int],
        seed: int = 0,
    ) -> None:
        self.count = spread.count
        self._spread = spread
        self._keys = spread.keys
        self._hash = _KeyForm(schema.hashes[0][1], hash_prefix)
        self._range = _KeyForm(schema.ranges[0][1], range_prefix) if schema.ranges else None
        self._schema = schema
        self.filler = filler
        self._sizes = sizes
        self._fixed_size = item_size(attributes) + text_size(filler)
        self._fixed_size += sum(map(text_size, schema.names))
        middle = orjson.dumps(attributes)[1:-1]
        self._middle = (b"," + middle if middle else b"") + b"," + orjson.dumps(filler) + b':{"S":"'
        self._hash_head = b"{" + orjson.dumps(schema.hash_names[0]) + b":"
        self._range_head = b"," + orjson.dumps(schema.range_names[0]) + b":" if schema.ranges else b""
        # Where keys are strings only numbers and filler differ from row to row, so that one template does.
        self._template = self._brief = b""
        self._fillers: list[int] = []
        if set(schema.types.values()) == {"S"}:
            template = _literal(self._hash_head) + self._hash.template
            used = self._fixed_size + self._hash.largest(self._keys)
            if self._range is not None:
                template += _literal(self._range_head) + self._range.template
                used += self._range.largest(self.count)
            self._template = template + _literal(self._middle) + b'%b"}}'
            self._brief = template + _literal(b"," + middle if middle else b"") + b"}"
            self._fillers = [size - used for size in sizes]
        letters = random.Random(seed)  # noqa: S311 - filler, not secrets
        self._text = bytes(letters.choices(b"abcdefghijklmnopqrstuvwxyz0123456789", k=2 * _TEXT))
        # Keys stand in the hash order at step * key mod keys; a step near the golden ratio spreads neighbours.
        self._step = _coprime(round(self._keys * 0.6180339887498949), self._keys)
        self._back = pow(self._step, -1, self._keys)

    # Keys and order

    def position(self, value: AttributeValue) -> int:
        """Where a hash key stands in the hash space: its place among the generated ones, or its plain hash."""
        key = self._hash.parse(value)
        return (
            hash_position(value)
            if key is None or key >= self._keys
            else self._position(key * self._step % self._keys)
        )

    def _position(self, place: int) -> int:
        return (place << _HASH_BITS) // self._keys

    def find(self, key: OrderKey) -> tuple[int, int] | None:
        """(number, hash key) of the item at an order key; None if there was never one generated there."""
        position, keys = key[0], self._keys
        place = (position * keys + HASH_SPACE - 1) >> _HASH_BITS
        if place >= keys or (place << _HASH_BITS) // keys != position:
            return None
        hash_key = place * self._back % keys
        if self._range is None:
            return hash_key, hash_key
        first, after = self._spread.first(hash_key), self._spread.first(hash_key + 1)
        within = self._range.parse_order(key[1])
        if within is None or within >= after - first:
            return None
        return first + within, hash_key

    def hash_key_of(self, number: int) -> int:
        """The hash key that an item belongs to."""
        return number if self._range is None else self._spread.key_of(number)

    def between(
        self, low: OrderKey, high: OrderKey, *, inclusive: tuple[bool, bool], reverse: bool
    ) -> Iterator[tuple[OrderKey, int, int]]:
        """(order key, number, hash key) of each item in a range of order keys, as ``Rows.between`` has it."""
        first = max(-(-low[0] * self._keys // HASH_SPACE), 0)
        last = min(high[0] * self._keys // HASH_SPACE + 1, self._keys - 1)
        places = range(last, first - 1, -1) if reverse else range(first, last + 1)
        if self._range is None:
            yield from self._singles(places, low, high, inclusive)
            return
        order = self._range.order
        for place in places:
            position = self._position(place)
            hash_key = place * self._back % self._keys
            start, end = self._spread.first(hash_key), self._spread.first(hash_key + 1)
            numbers = range(start, end)
            if not low[0] < position < high[0]:
                # Only the first and the last hash key can lie partly outside.
                numbers = _part(numbers, order, (position, low, high), inclusive)
            if reverse:
                numbers = numbers[::-1]
            for number in numbers:
                yield (position, order(number - start)), number, hash_key

    def _singles(
        self, places: range, low: OrderKey, high: OrderKey, inclusive: tuple[bool, bool]
    ) -> Iterator[tuple[OrderKey, int, int]]:
        """``between`` for a table without a sort key."""
        keys, back = self._keys, self._back
        for place in places:
            key = ((place << _HASH_BITS) // keys,)
            if (low < key or (inclusive[0] and key == low)) and (
                key < high or (inclusive[1] and key == high)
            ):
                hash_key = place * back % keys
                yield key, hash_key, hash_key

    # Items

    def row(self, number: int, hash_key: int) -> Row:
        """The row of an item that belongs to a hash key."""
        at, start = number % len(self._sizes), number * 7919 % _TEXT
        size = self._sizes[at]
        if self._template:
            filler_text = self._text[start : start + self._fillers[at]]
            if self._range is None:
                return self._template % (hash_key, filler_text), size
            within = number - self._spread.first(hash_key)
            return self._template % (hash_key, within, filler_text), size
        hash_json, used = self._hash.json(hash_key)
        text = self._hash_head + hash_json
        if self._range is not None:
            range_json, range_used = self._range.json(number - self._spread.first(hash_key))
            text += self._range_head + range_json
            used += range_used
        filler = size - self._fixed_size - used
        return text + self._middle + self._text[start : start + filler] + b'"}}', size

    def brief_row(self, number: int, hash_key: int) -> Row:
        """The row of an item, its filler left out if that is less work; the size is that of the whole item."""
        if not self._brief:
            return self.row(number, hash_key)
        size = self._sizes[number % len(self._sizes)]
        if self._range is None:
            return self._brief % hash_key, size
        return self._brief % (hash_key, number - self._spread.first(hash_key)), size

    def total_bytes(self) -> int:
        """Sum of all item sizes."""
        rounds, rest = divmod(self.count, len(self._sizes))
        return rounds * sum(self._sizes) + sum(self._sizes[:rest])

    @property
    def smallest_size(self) -> int:
        """Bytes that the largest keys, the attributes and an empty filler take."""
        keys = self._hash.largest(self._keys) + (self._range.largest(self.count) if self._range else 0)
        return self._fixed_size + keys

    @property
    def smallest_asked(self) -> int:
        """The least item size that was asked for."""
        return min(self._sizes)


class _KeyForm:
    """How numbers are written as key values: ``prefix`` and ten digits, the number, or eight bytes."""

    def __init__(self, type_: str, prefix: str) -> None:
        self._type = type_
        self._prefix = prefix
        self._head = b'{"S":"' + orjson.dumps(prefix)[1:-1]
        self.template = _literal(self._head) + b'%010d"}'
        """Of values of type S."""
        self._prefix_size = text_size(prefix)
        orders: dict[str, Callable[[int], Any]] = {"S": self._string, "N": int, "B": self._binary}
        self.order = orders[type_]

    def json(self, number: int) -> tuple[bytes, int]:
        """The attribute value and its size."""
        if self._type == "S":
            return b'%b%010d"}' % (self._head, number), self._prefix_size + 10
        if self._type == "N":
            text = str(number)
            return b'{"N":"%b"}' % text.encode(), number_size(text)
        return b'{"B":"%b"}' % b64encode(number.to_bytes(8, "big")), 8

    def largest(self, numbers: int) -> int:
        """Size of the largest value of that many."""
        return {"S": self._prefix_size + 10, "N": 2 + len(str(numbers)) // 2, "B": 8}[self._type]

    def parse(self, value: AttributeValue) -> int | None:
        """The number that a canonical value stands for, None if it is of another form."""
        content = value[self._type]
        return self.parse_order(
            number_order(content)
            if self._type == "N"
            else b64decode(content)
            if self._type == "B"
            else content
        )

    def parse_order(self, order: Any) -> int | None:
        """The number behind what ``order`` returned, None for a key of another form."""
        if self._type == "N":
            return order if isinstance(order, int) and order >= 0 else None
        if self._type == "B":
            return int.from_bytes(order, "big") if len(order) == 8 else None
        digits = order[len(self._prefix) :]
        if len(digits) != 10 or not digits.isdecimal() or not digits.isascii():
            return None
        return int(digits) if order.startswith(self._prefix) else None

    def _string(self, number: int) -> str:
        return f"{self._prefix}{number:010d}"

    @staticmethod
    def _binary(number: int) -> bytes:
        return number.to_bytes(8, "big")


def _literal(text: bytes) -> bytes:
    """``text`` as a part of a template for ``%``."""
    return text.replace(b"%", b"%%")


def _part(
    numbers: range,
    order: Callable[[int], Any],
    bounds: tuple[int, OrderKey, OrderKey],
    inclusive: tuple[bool, bool],
) -> range:
    """Those of the items of one hash key, at a position, that lie between two order keys."""
    position, low, high = bounds

    def key(number: int) -> OrderKey:
        return position, order(number - numbers.start)

    first = bisect_left(numbers, low, key=key) if inclusive[0] else bisect_right(numbers, low, key=key)
    after = bisect_right(numbers, high, key=key) if inclusive[1] else bisect_left(numbers, high, key=key)
    return numbers[first:after]


def _coprime(near: int, to: int) -> int:
    """The least number from ``near`` on, at least 1, without a divisor in common with ``to``."""
    candidate = max(near, 1)
    while math.gcd(candidate, to) != 1:
        candidate += 1
    return candidate

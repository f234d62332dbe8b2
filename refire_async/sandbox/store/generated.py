"""Rows of a generated table: made on demand from their number, kept only as far as they were changed.

Ten million items take four bytes each here, plus what differs from the generated form; equal differences, such
as ``"revision": {"N": "1"}``, are kept once however many items share them. Stream records of such rows are sixteen
bytes each. Items that were never generated live in ``MemoryRows`` beside them.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Collection, Iterator, MutableSequence
from typing import Any

import orjson

from refire_async.sandbox.store.generator import Generator
from refire_async.sandbox.store.keys import OrderKey
from refire_async.sandbox.store.rows import MemoryRows, Row, row_of
from refire_async.sandbox.values import Item, item_size

_UNCHANGED = 0
_REMOVED = 1

# A snapshot is a number: 0 for no row, (item + 1) << 32 | difference for a generated one, or, with the top bit set,
# the place of a row that was never generated in a list.
_OTHER = 1 << 63
_DIFFERENCE_BITS = 32
_DIFFERENCE_MASK = (1 << _DIFFERENCE_BITS) - 1


class _Difference:
    """What a changed item has in place of, or beside, its generated attributes."""

    __slots__ = ("attributes", "removed", "tail", "tail_size")

    def __init__(self, attributes: Item, removed: tuple[str, ...], *, tail: bytes | None) -> None:
        self.attributes = attributes
        self.removed = removed
        # Text that replaces the closing brace, if all that differs is attributes at the end.
        self.tail = tail
        self.tail_size = item_size(attributes)

    def apply(self, row: Row) -> Row:
        if self.tail is not None:
            return row[0][:-1] + self.tail, row[1] + self.tail_size
        item = orjson.loads(row[0])
        for name in self.removed:
            del item[name]
        item.update(self.attributes)
        return row_of(item, item_size(item))


class GeneratedRows:
    """``Rows`` of a table whose first items come from a generator."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._states = array("I", bytes(4 * generator.count))
        self._removed = 0
        self._differences: list[_Difference | None] = [None, None]
        self._numbers: dict[bytes, int] = {}
        self._others = MemoryRows()
        self._snapshots: list[Row] = []
        # What ``get`` found last, for the ``replace`` that follows: an order key, its item's place, its generated text.
        self._latest: tuple[OrderKey, tuple[int, int], bytes] = ((), (0, 0), b"")

    def __len__(self) -> int:
        return self._generator.count - self._removed + len(self._others)

    def get(self, key: OrderKey, /) -> Row | None:
        found = self._generator.find(key)
        if found is None:
            return self._others.get(key)
        row = self._generator.row(*found)
        self._latest = key, found, row[0]
        state = self._states[found[0]]
        if state == _UNCHANGED:
            return row
        difference = self._differences[state]
        return None if difference is None else difference.apply(row)

    def replace(self, key: OrderKey, old: Row | None, new: Row | None, /) -> tuple[int, int]:
        if key is self._latest[0]:
            _, (number, _), base = self._latest
        else:
            found = self._generator.find(key)
            if found is None:
                self._others.replace(key, old, new)
                return self._snapshot_of(old), self._snapshot_of(new)
            number, base = found[0], self._generator.row(*found)[0]
        before = self._states[number]
        after = _REMOVED if new is None else self._difference(base, new[0])
        self._states[number] = after
        self._removed += (after == _REMOVED) - (before == _REMOVED)
        place = (number + 1) << _DIFFERENCE_BITS
        return 0 if before == _REMOVED else place | before, 0 if after == _REMOVED else place | after

    def between(
        self,
        low: OrderKey,
        high: OrderKey,
        *,
        inclusive: tuple[bool, bool] = (True, True),
        reverse: bool = False,
        names: Collection[str] | None = None,
    ) -> Iterator[tuple[OrderKey, Row]]:
        places = self._generator.between(low, high, inclusive=inclusive, reverse=reverse)
        brief = names is not None and self._generator.filler not in names
        generated = self._generated(places, self._generator.brief_row if brief else self._generator.row)
        if not len(self._others):
            return generated
        others = self._others.between(low, high, inclusive=inclusive, reverse=reverse)
        return heapq.merge(generated, others, key=lambda pair: pair[0], reverse=reverse)

    def _generated(
        self, places: Iterator[tuple[OrderKey, int, int]], make: Callable[[int, int], Row]
    ) -> Iterator[tuple[OrderKey, Row]]:
        """The rows at places of the generator, those that were removed left out."""
        states, differences = self._states, self._differences
        for key, number, hash_key in places:
            state = states[number]
            if state == _UNCHANGED:
                yield key, make(number, hash_key)
            elif state != _REMOVED:
                difference = differences[state]
                assert difference is not None  # noqa: S101 - only the two states above have none
                row = self._generator.row if difference.tail is None else make
                yield key, difference.apply(row(number, hash_key))

    # Differences

    def _row(self, number: int, hash_key: int, state: int) -> Row | None:
        if state == _REMOVED:
            return None
        row = self._generator.row(number, hash_key)
        difference = self._differences[state]
        return row if difference is None else difference.apply(row)

    def _difference(self, base: bytes, text: bytes) -> int:
        """The number of the difference between two texts of an item; equal ones share it."""
        if text == base:
            return _UNCHANGED
        if text.startswith(base[:-1]):
            # Attributes were added behind those that were generated: the usual touch.
            tail = text[len(base) - 1 :]
            number = self._numbers.get(tail)
            if number is None:
                number = self._add(tail, _Difference(orjson.loads(b"{" + tail[1:]), (), tail=tail))
            return number
        old, new = orjson.loads(base), orjson.loads(text)
        attributes = {name: value for name, value in new.items() if old.get(name) != value}
        removed = tuple(name for name in old if name not in new)
        if not attributes and not removed:
            return _UNCHANGED
        identity = orjson.dumps([attributes, removed])
        number = self._numbers.get(identity)
        if number is None:
            number = self._add(identity, _Difference(attributes, removed, tail=None))
        return number

    def _add(self, identity: bytes, difference: _Difference) -> int:
        number = len(self._differences)
        self._differences.append(difference)
        self._numbers[identity] = number
        return number

    # Snapshots

    def _snapshot_of(self, row: Row | None) -> int:
        if row is None:
            return 0
        self._snapshots.append(row)
        return _OTHER | len(self._snapshots) - 1

    def restore(self, snapshot: int, /) -> Row | None:
        if snapshot == 0:
            return None
        if snapshot & _OTHER:
            return self._snapshots[snapshot ^ _OTHER]
        number = (snapshot >> _DIFFERENCE_BITS) - 1
        return self._row(number, self._generator.hash_key_of(number), snapshot & _DIFFERENCE_MASK)

    def snapshot_bytes(self, snapshot: int, /) -> int:
        return len(self._snapshots[snapshot ^ _OTHER][0]) + 117 if snapshot & _OTHER else 0

    def new_column(self) -> MutableSequence[Any]:
        return array("Q")

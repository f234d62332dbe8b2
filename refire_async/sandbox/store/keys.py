"""Keys: what a key schema asks of them, and the order that items of a table have.

An *order key* is the tuple that sorts items as DynamoDB does: the position of the hash key in the hash space, then
the sort key; in an index the order key of the base item follows, because index keys are not unique. The hash
space has 2**128 positions. DynamoDB does not publish its hash function; this one spreads as well.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from refire_async.sandbox.errors import validation
from refire_async.sandbox.values import AttributeValue, Item, key_order, validate_value, value_size

OrderKey = tuple[Any, ...]

HASH_SPACE = 1 << 128
# Sorts after every order key: the upper end of a range of index entries.
BEYOND: OrderKey = (HASH_SPACE,)

PUT_INDEX_KEY = "A value specified for a secondary index key is not supported."
UPDATE_INDEX_KEY = (
    "The update expression attempted to update a secondary index key to a value that is not supported."
)

_MAX_HASH_BYTES = 2048
_MAX_RANGE_BYTES = 1024
_NOT_VALID = "One or more parameter values are not valid. "
_EMPTY = "The AttributeValue for a key attribute cannot contain an empty {} value."


class _Above:
    """Sorts after every value and every order key: what follows a key attribute in the upper end of a range."""

    __slots__ = ()

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return other is not self


ABOVE = _Above()


def hash_position(value: AttributeValue) -> int:
    """Position of a canonical hash key value in the hash space; values of different types differ."""
    return _position(_hashed_bytes(value))


def hash_position_of_all(values: Iterable[AttributeValue]) -> int:
    """Position of several canonical hash attributes, which are hashed together.

    Each goes in with its length before it, so that ("a", "bc") and ("ab", "c") differ.
    """
    parts = map(_hashed_bytes, values)
    return _position(b"".join(len(part).to_bytes(4) + part for part in parts))


def _hashed_bytes(value: AttributeValue) -> bytes:
    for type_, content in value.items():
        return b"B" + b64decode(content) if type_ == "B" else (type_ + content).encode()
    raise AssertionError("unreachable: a value has one member")


def _position(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=16).digest())


def segment_bounds(segment: int, total: int) -> tuple[int, int]:
    """First position of a scan segment and first position after it; segments cut the space evenly."""
    return -(-segment * HASH_SPACE // total), -(-(segment + 1) * HASH_SPACE // total)


class KeySchema:
    """Names and types of the key attributes of a table or index.

    A table has one hash attribute and at most one range attribute, a global secondary index up to four of each
    (Developer Guide: Global secondary indexes, Multi-attribute key schema); ``hashes`` and ``ranges`` hold their
    names and types in the order of the schema.
    """

    __slots__ = (
        "_of_one",
        "_surely_fits",
        "_typed",
        "hash_names",
        "hashes",
        "names",
        "position",
        "range_names",
        "ranges",
        "types",
    )

    def __init__(
        self,
        hashes: Sequence[tuple[str, str]],
        ranges: Sequence[tuple[str, str]] = (),
        *,
        position: Callable[[AttributeValue], int] = hash_position,
    ) -> None:
        self.hashes, self.ranges = tuple(hashes), tuple(ranges)
        self.hash_names = tuple(name for name, _ in self.hashes)
        self.range_names = tuple(name for name, _ in self.ranges)
        self.names = self.hash_names + self.range_names
        self.types = dict((*self.hashes, *self.ranges))
        self.position = position
        """Where one hash attribute lies in the hash space; several are hashed together."""
        self._typed = self.hashes + self.ranges
        self._of_one = self.hash_names[0] if len(self.hashes) == 1 else None
        # A character has four bytes at most: the sizes of attributes no longer than this need not be added up.
        self._surely_fits = _MAX_RANGE_BYTES // 4 // max(len(self.hashes), len(self.ranges))

    def hash_position(self, key: Mapping[str, AttributeValue]) -> int:
        """Position in the hash space of a key or item with canonical hash attributes."""
        if self._of_one is not None:
            return self.position(key[self._of_one])
        return hash_position_of_all(key[name] for name in self.hash_names)

    def order_key(self, item: Mapping[str, AttributeValue]) -> OrderKey:
        """The order key of an item or key with canonical key attributes."""
        name = self._of_one
        position = self.position(item[name]) if name is not None else self.hash_position(item)
        names = self.range_names
        if not names:
            return (position,)
        if len(names) == 1:
            return (position, key_order(item[names[0]]))
        return (position, *(key_order(item[name]) for name in names))

    def covers(self, item: Mapping[str, AttributeValue]) -> bool:
        """Whether a sparse index holds the item: it has every key attribute in its declared type.

        Values that cannot be keys, being empty or too long, do not count. No write stores them while the index is
        there, but an item may be older than the index (Developer Guide: Detecting and correcting index key
        violations).
        """
        surely_fits = True
        for name, type_ in self._typed:
            value = item.get(name)
            if value is None or not (content := value.get(type_)):
                return False
            surely_fits = surely_fits and len(content) <= self._surely_fits
        return surely_fits or self._oversized(item) is None

    def key_of(self, item: Mapping[str, AttributeValue]) -> Item:
        """The key attributes of an item."""
        return {name: item[name] for name in self.names}

    def validate_key(self, key: Any) -> Item:
        """The canonical form of a ``Key`` parameter; ValidationException if it does not fit the schema."""
        if type(key) is not dict:
            raise validation("The provided key element does not match the schema")
        canonical = {name: validate_value(value) for name, value in key.items()}
        if canonical.keys() != set(self.names):
            raise validation("The provided key element does not match the schema")
        for name, type_ in self._typed:
            if type_ not in canonical[name]:
                raise validation("The provided key element does not match the schema")
        self.check_values(canonical)
        return canonical

    def refuse_empty(self, item: Mapping[str, AttributeValue]) -> None:
        """ValidationException if one of the key attributes that an item has is empty."""
        for name, type_ in self._typed:
            if item.get(name, {}).get(type_) == "":
                raise validation(f"{_NOT_VALID}{_EMPTY.format(_KINDS[type_])} Key: {name}")

    def check_pinned(self, key: Mapping[str, AttributeValue]) -> None:
        """ValidationException if what a statement's WHERE pins has another type than the key, or cannot be a key."""
        for name, type_ in self._typed:
            if type_ not in key[name]:
                raise validation(
                    f"Key attribute's data type should match its data type in table's schema: Key {name}"
                )
        self.check_values(key)

    def check_item(self, item: Mapping[str, AttributeValue]) -> None:
        """ValidationException if a canonical item lacks a key attribute or has it in another type."""
        for name, type_ in self._typed:
            value = item.get(name)
            if value is None:
                raise validation(
                    f"One or more parameter values were invalid: Missing the key {name} in the item"
                )
            if type_ not in value:
                raise validation(
                    "One or more parameter values were invalid: "
                    f"Type mismatch for key {name} expected: {type_} actual: {next(iter(value))}"
                )
        self.check_values(item)

    def check_values(self, key: Mapping[str, AttributeValue]) -> None:
        """ValidationException for empty or oversized key values of a base table."""
        surely_fits = True
        for name, type_ in self._typed:
            content = key[name][type_]
            if not content:
                raise validation(f"{_NOT_VALID}{_EMPTY.format(_KINDS[type_])} Key: {name}")
            surely_fits = surely_fits and len(content) <= self._surely_fits
        if not surely_fits:
            self._check_sizes(key)

    def check_index_values(
        self, item: Mapping[str, AttributeValue], index: str, refusal: str = PUT_INDEX_KEY
    ) -> None:
        """ValidationException if an item may not be stored because of this index's key attributes.

        ``refusal`` is how an empty value is spoken of, which differs between PutItem and updates.
        """
        surely_fits = True
        for name, type_ in self._typed:
            value = item.get(name)
            if value is None:
                continue
            if type_ not in value:
                raise validation(
                    "One or more parameter values were invalid: Type mismatch for Index Key "
                    f"{name} Expected: {type_} Actual: {next(iter(value))} IndexName: {index}"
                )
            content = value[type_]
            if not content:
                where = f" IndexName: {index}, IndexKey: {name}" if refusal is PUT_INDEX_KEY else ""
                raise validation(f"{_NOT_VALID}{refusal} {_EMPTY.format(_KINDS[type_])}{where}")
            surely_fits = surely_fits and len(content) <= self._surely_fits
        if not surely_fits:
            self._check_sizes(item)

    def _check_sizes(self, item: Mapping[str, AttributeValue]) -> None:
        complaint = self._oversized(item)
        if complaint is not None:
            raise validation(f"One or more parameter values were invalid: {complaint}")

    def _oversized(self, item: Mapping[str, AttributeValue]) -> str | None:
        """How the service says that key attributes are too long; those of a kind count together."""
        if _bytes_of(item, self.hash_names) > _MAX_HASH_BYTES:
            return f"Size of hashkey has exceeded the maximum size limit of{_MAX_HASH_BYTES} bytes"
        if _bytes_of(item, self.range_names) > _MAX_RANGE_BYTES:
            return (
                f"Aggregated size of all range keys has exceeded the size limit of {_MAX_RANGE_BYTES} bytes"
            )
        return None


def _bytes_of(item: Mapping[str, AttributeValue], names: Iterable[str]) -> int:
    return sum(value_size(value) for name in names if (value := item.get(name)) is not None)


_KINDS = {"S": "string", "B": "binary", "N": "number"}

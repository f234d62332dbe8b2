"""Keys: what a key schema asks of them, and the order that items of a table have.

An *order key* is the tuple that sorts items as DynamoDB does: the position of the hash key in the hash space, then
the sort key; in an index the order key of the base item follows, because index keys are not unique. The hash
space has 2**128 positions. DynamoDB does not publish its hash function; this one spreads as well.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

from refire_async.sandbox.errors import ServiceError, validation
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
# A character has four bytes at most, so the size of a shorter key need not be computed.
_SURELY_FITS = _MAX_RANGE_BYTES // 4
_NOT_VALID = "One or more parameter values are not valid. "
_EMPTY = "The AttributeValue for a key attribute cannot contain an empty {} value."


def hash_position(value: AttributeValue) -> int:
    """Position of a canonical hash key value in the hash space; values of different types differ."""
    for type_, content in value.items():
        data = b"B" + b64decode(content) if type_ == "B" else (type_ + content).encode()
        return int.from_bytes(blake2b(data, digest_size=16).digest())
    raise AssertionError("unreachable: a value has one member")


def segment_bounds(segment: int, total: int) -> tuple[int, int]:
    """First position of a scan segment and first position after it; segments cut the space evenly."""
    return -(-segment * HASH_SPACE // total), -(-(segment + 1) * HASH_SPACE // total)


class KeySchema:
    """Names and types of the key attributes of a table or index."""

    __slots__ = ("_typed", "hash_name", "hash_type", "names", "position", "range_name", "range_type")

    def __init__(
        self,
        hash_name: str,
        hash_type: str,
        range_name: str | None = None,
        range_type: str | None = None,
        *,
        position: Callable[[AttributeValue], int] = hash_position,
    ) -> None:
        self.hash_name = hash_name
        self.hash_type = hash_type
        self.range_name = range_name
        self.range_type = range_type
        self.names = (hash_name,) if range_name is None else (hash_name, range_name)
        self.position = position
        self._typed: tuple[tuple[str, str], ...] = ((hash_name, hash_type),)
        if range_name is not None and range_type is not None:
            self._typed += ((range_name, range_type),)

    def order_key(self, item: Mapping[str, AttributeValue]) -> OrderKey:
        """The order key of an item or key with canonical key attributes."""
        if self.range_name is None:
            return (self.position(item[self.hash_name]),)
        return (self.position(item[self.hash_name]), key_order(item[self.range_name]))

    def covers(self, item: Mapping[str, AttributeValue]) -> bool:
        """Whether the item has every key attribute in its declared type: whether a sparse index holds it."""
        value = item.get(self.hash_name)
        if value is None or self.hash_type not in value:
            return False
        if self.range_name is None:
            return True
        value = item.get(self.range_name)
        return value is not None and self.range_type in value

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
        for name, type_ in self._typed:
            value = key[name]
            content = value[type_]
            if not content:
                raise validation(f"{_NOT_VALID}{_EMPTY.format(_KINDS[type_])} Key: {name}")
            if len(content) > _SURELY_FITS and type_ != "N":
                self._check_size(name, value_size(value))

    def check_index_values(
        self, item: Mapping[str, AttributeValue], index: str, refusal: str = PUT_INDEX_KEY
    ) -> None:
        """ValidationException if an item may not be stored because of this index's key attributes.

        ``refusal`` is how an empty value is spoken of, which differs between PutItem and updates.
        """
        for name, type_ in self._typed:
            value = item.get(name)
            if value is None:
                continue
            if type_ not in value:
                raise validation(
                    "One or more parameter values were invalid: Type mismatch for Index Key "
                    f"{name} Expected: {type_} Actual: {next(iter(value))} IndexName: {index}"
                )
            if not value[type_]:
                where = f" IndexName: {index}, IndexKey: {name}" if refusal is PUT_INDEX_KEY else ""
                raise validation(f"{_NOT_VALID}{refusal} {_EMPTY.format(_KINDS[type_])}{where}")
            if len(value[type_]) > _SURELY_FITS and type_ != "N":
                self._check_size(name, value_size(value))

    def _check_size(self, name: str, size: int) -> None:
        if name == self.hash_name and size > _MAX_HASH_BYTES:
            raise _too_long(f"Size of hashkey has exceeded the maximum size limit of{_MAX_HASH_BYTES} bytes")
        if name == self.range_name and size > _MAX_RANGE_BYTES:
            raise _too_long(
                f"Aggregated size of all range keys has exceeded the size limit of {_MAX_RANGE_BYTES} bytes"
            )


_KINDS = {"S": "string", "B": "binary", "N": "number"}


def _too_long(what: str) -> ServiceError:
    return validation(f"One or more parameter values were invalid: {what}")

"""Items and keys: plain DynamoDB JSON, without an object per item."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

AttributeValue: TypeAlias = dict[str, Any]
"""One value in DynamoDB JSON, such as `{"S": "a"}` or `{"N": "1"}`."""

Item: TypeAlias = dict[str, AttributeValue]
"""Attributes by name. Sources project only the key, the marker and the TTL attribute."""

Key: TypeAlias = dict[str, AttributeValue]
"""Key attributes by name; the LastEvaluatedKey of an index has those of the index and the table."""

Cursor: TypeAlias = dict[str, Any]
"""Where a source continues in a segment: a LastEvaluatedKey, or a position in a file. Plain JSON."""


KeyAttribute: TypeAlias = tuple[str, str]
"""Name and type (`S`, `N` or `B`) of a key attribute."""


@dataclass(frozen=True, slots=True)
class KeySchema:
    """Names and types (`S`, `N` or `B`) of a table's key attributes: one hash key and an optional sort key."""

    hash_name: str
    hash_type: str
    range_name: str | None = None
    range_type: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The name of the hash key, then of the sort key if there is one."""
        return (self.hash_name,) if self.range_name is None else (self.hash_name, self.range_name)

    @property
    def hashes(self) -> tuple[KeyAttribute, ...]:
        """The hash key, as `IndexKeys.hashes`."""
        return ((self.hash_name, self.hash_type),)

    @property
    def ranges(self) -> tuple[KeyAttribute, ...]:
        """The sort key if there is one, as `IndexKeys.ranges`."""
        return () if self.range_name is None else ((self.range_name, self.range_type or ""),)

    def key_of(self, item: Mapping[str, AttributeValue]) -> Key:
        """The part of `item` that is its key. Raises KeyError if an attribute is missing."""
        return {name: item[name] for name in self.names}


@dataclass(frozen=True, slots=True)
class IndexKeys:
    """The key attributes of an index, each kind in the order of its schema.

    A global index has one to four of each kind (DynamoDB Developer Guide: Multi-attribute keys), a local one has one.
    An item is in the index only if it has all of them.
    """

    hashes: tuple[KeyAttribute, ...]
    ranges: tuple[KeyAttribute, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all key attributes, hash attributes first."""
        return tuple(name for name, _ in (*self.hashes, *self.ranges))


def identity(key_names: Sequence[str], item: Mapping[str, AttributeValue]) -> tuple[Any, ...]:
    """A hashable identity of an item's key, equal for equal keys as DynamoDB returns them.

    DynamoDB returns numbers in canonical form, so the text identifies the value.
    """
    return tuple(next(iter(item[name].items())) for name in key_names)

"""Items that are decoded when they are accessed: most keys of a list are only copied from it into a request."""

from collections.abc import Iterator, Sequence
from typing import overload

import orjson

from refire_async.model.keys import Item


class LazyItems(Sequence[Item]):
    """Lines of DynamoDB JSON with their ends, one well-formed item each; the creator guarantees the form."""

    __slots__ = ("_lines",)

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> "LazyItems": ...
    def __getitem__(self, place: int | slice) -> "Item | LazyItems":
        if isinstance(place, slice):
            return LazyItems(self._lines[place])
        item: Item = orjson.loads(self._lines[place])
        return item

    def __iter__(self) -> Iterator[Item]:
        return map(orjson.loads, self._lines)

    def as_json(self) -> orjson.Fragment:
        """All items as a JSON array, for a request."""
        return orjson.Fragment(b"[" + b"".join(self._lines).rstrip(b"\n").replace(b"\n", b",") + b"]")

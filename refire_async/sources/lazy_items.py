"""Items that are text until somebody looks at them: most keys of a list only travel from it into a request."""

from collections.abc import Iterator, Sequence
from typing import overload

import orjson

from refire_async.model.keys import Item


class Undecoded(Sequence[Item]):
    """Lines of DynamoDB JSON, one item each, with their ends. Whole and well formed: that is for whoever made them."""

    __slots__ = ("_lines",)

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> "Undecoded": ...
    def __getitem__(self, place: int | slice) -> "Item | Undecoded":
        if isinstance(place, slice):
            return Undecoded(self._lines[place])
        item: Item = orjson.loads(self._lines[place])
        return item

    def __iter__(self) -> Iterator[Item]:
        return map(orjson.loads, self._lines)

    def as_json(self) -> orjson.Fragment:
        """All of them as a JSON array, to be put in a request."""
        return orjson.Fragment(b"[" + b"".join(self._lines).rstrip(b"\n").replace(b"\n", b",") + b"]")

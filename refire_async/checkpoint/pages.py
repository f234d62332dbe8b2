"""The history of a run: the pages that left its ledger, in a form that `verify` can compare with the stream.

The items of a page are stored as they were when the page was opened; the few with another outcome than "touched once,
from the marker that was read" have a note. Compression reduces an item from 50-100 bytes to 9-35, and since SQLite
then writes less, it costs little time (docs/checkpoint.md).
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import orjson

from refire_async.errors import StoppedError
from refire_async.model.keys import Item, identity

NoteKind: TypeAlias = Literal["conflict", "already", "none", "read"]
"""`conflict`: touched from the marker in the note.

`already`: changed since it was read, by a write whose answer was lost or by another writer. `none`: no event is
expected (vanished or failed). `read`: no outcome yet; the note has the item as an earlier attempt read it first.
"""

Note: TypeAlias = tuple[NoteKind, Item]
"""The outcome of an item that was not touched from the marker in the ledger; the item's key and marker."""

MAX_PAGE_BYTES = 32 << 20
"""Most bytes of a page's items as JSON.

5,000 items with keys of the maximum length (3 KB) take half of that; a file with more was crafted to exhaust the
memory.
"""

MAX_PAGE_ITEMS = 10_000
"""Most items of a page; a run reads at most half as many (pipeline/readers.py)."""

_FAST = 1
"""zlib's fastest level: 0.2 to 0.5 µs per item, of which the smaller SQLite writes save a third to a half."""


@dataclass(frozen=True, slots=True)
class AcknowledgedPage:
    """The items of a page as they were read, and notes on some. No write was sent before `opened` (epoch seconds)."""

    number: int
    opened: float
    items: list[Item]
    notes: list[Note]


def pack(items: Sequence[Item]) -> bytes:
    """Items in the checkpoint's format. Raises StoppedError for more than `unpack` accepts."""
    plain = orjson.dumps(items)
    if len(plain) > MAX_PAGE_BYTES:
        raise StoppedError(
            f"a page of {len(items):,} items takes {len(plain):,} bytes, more than a checkpoint page can hold",
            "the marker or TTL attribute of these items is too large: name another --marker-attribute",
        )
    return zlib.compress(plain, _FAST)


def unpack(data: bytes) -> list[Item]:
    """The items that `pack` encoded. Raises ValueError on anything else, without using more than `MAX_PAGE_BYTES`."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, MAX_PAGE_BYTES + 1)
    except (zlib.error, TypeError) as error:
        raise ValueError(f"compressed items: {error}") from error
    if len(plain) > MAX_PAGE_BYTES:
        raise ValueError("compressed items: too many")
    if not stream.eof or stream.unused_data:
        raise ValueError("compressed items: cut off, or more than one")
    items: list[Item] = orjson.loads(plain)
    if len(items) > MAX_PAGE_ITEMS:
        raise ValueError("compressed items: too many")
    return items


EMPTY = pack(())


def amended(
    names: Sequence[str], items: Sequence[Item], present: Sequence[Item]
) -> tuple[list[Item], list[Note]]:
    """A page's items with those of `present` in their places, and notes with the states that they replace.

    `names` are those of the key attributes.
    """
    again = {identity(names, item): item for item in present}
    notes: list[Note] = [("read", item) for item in items if identity(names, item) in again]
    return [again.get(identity(names, item), item) for item in items], notes


def shrunk(
    names: Sequence[str], items: Sequence[Item], rest: Sequence[Item]
) -> tuple[list[Item], list[Note]]:
    """The items that a page of which only `rest` stays open acknowledges, and notes on the rest.

    They keep the marker that was read first where another writer has changed it since.
    """
    left = {identity(names, item): item for item in rest}
    acknowledged: list[Item] = []
    notes: list[Note] = []
    for item in items:
        still = left.get(identity(names, item))
        if still is None:
            acknowledged.append(item)
        elif still != item:
            notes.append(("read", item))
    return acknowledged, notes

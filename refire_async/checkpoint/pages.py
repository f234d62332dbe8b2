"""What a run keeps of the pages that have left its ledger: enough to prove later, from the stream, what it did.

A page's items stay as they were when the page was opened, and the few that went another way than "touched once,
from the marker that was read" have a note. Compressed: 9 to 35 bytes an item instead of 50 to 100, and since SQLite
then has less to write, the run hardly notices (docs/checkpoint.md).
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import orjson

from refire_async.errors import StoppedError
from refire_async.model.keys import Item

NoteKind: TypeAlias = Literal["conflict", "already", "none", "read"]
"""`conflict`: touched from the marker in the note. `already`: changed since it was read, by an attempt whose answer
was lost or by somebody else. `none`: the run does not say that it fired (gone, or failed). `read`: not settled yet;
the note is what an earlier sitting read first.
"""

Note: TypeAlias = tuple[NoteKind, Item]
"""What became of an item that was not touched from the marker that the ledger has; the item's key, and its marker."""

LARGEST_PAGE = 32 << 20
"""Bytes of a page's items as JSON. A page of 5,000 items with the longest keys there are (3 KB) has half of that; a
file that says more was made to fill the memory."""

MOST_ITEMS = 10_000
"""Items of a page; a run reads at most half as many at once (pipeline/readers.py)."""

_FAST = 1
"""zlib's quickest level: 0.2 to 0.5 µs an item, of which SQLite gives back a third to a half."""


@dataclass(frozen=True, slots=True)
class SettledPage:
    """Items of a page as they were read, and notes on some. `opened`: no write was sent before it (epoch seconds)."""

    number: int
    opened: float
    items: list[Item]
    notes: list[Note]


def pack(items: Sequence[Item]) -> bytes:
    """Items as the checkpoint keeps them. Raises StoppedError for more than `unpack` would take."""
    plain = orjson.dumps(items)
    if len(plain) > LARGEST_PAGE:
        raise StoppedError(
            f"a page of {len(items):,} items takes {len(plain):,} bytes, more than a checkpoint holds",
            "the marker or TTL attribute of these items is too large: name another --marker-attribute",
        )
    return zlib.compress(plain, _FAST)


def unpack(data: bytes) -> list[Item]:
    """The items that `pack` packed. Raises ValueError on anything else, before it takes more than `LARGEST_PAGE`."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, LARGEST_PAGE + 1)
    except (zlib.error, TypeError) as error:
        raise ValueError(f"compressed items: {error}") from error
    if len(plain) > LARGEST_PAGE:
        raise ValueError("compressed items: too many")
    if not stream.eof or stream.unused_data:
        raise ValueError("compressed items: cut off, or more than one")
    items: list[Item] = orjson.loads(plain)
    if len(items) > MOST_ITEMS:
        raise ValueError("compressed items: too many")
    return items


EMPTY = pack(())

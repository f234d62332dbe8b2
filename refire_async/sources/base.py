"""What every source gives: pages of items, each with the position to go on from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from refire_async.model.keys import Cursor, Item


@dataclass(frozen=True, slots=True)
class SourcePage:
    """One page. `cursor` is where the next one begins, None at the segment's end.

    `rcu` is what reading it consumed. `item_bytes` is the mean size of the table's items in it, None where
    the read does not tell (an index entry is not the item).
    """

    items: Sequence[Item]
    cursor: Cursor | None
    rcu: float
    item_bytes: float | None


class Source(Protocol):
    """A selection that can be read page by page, in segments that do not overlap.

    `carries_marker`: its items hold the marker's present value; else the table has to be asked for it.
    `may_repeat`: the same item can come twice in a run, also in one page.
    """

    @property
    def total_segments(self) -> int: ...

    @property
    def carries_marker(self) -> bool: ...

    @property
    def may_repeat(self) -> bool: ...

    async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
        """Read one page of at most `limit` items after `cursor` (None: from the start). One attempt.

        Raises:
            WireError: the read failed; nothing is lost by trying again.
            UsageError: the source itself is bad (a file that is not a list of keys).
        """
        ...

"""The interface of all sources: pages of items, each with the position at which to continue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from refire_async.model.keys import Cursor, Item


@dataclass(frozen=True, slots=True)
class SourcePage:
    """One page. `cursor` is where the next page begins, None at the end of the segment.

    `rcu` is what the read consumed. `item_bytes` is the mean size of the page's items in the table, None if the read
    does not show it (an index entry is not the item).
    """

    items: Sequence[Item]
    cursor: Cursor | None
    rcu: float
    item_bytes: float | None


class Source(Protocol):
    """A selection that can be read page by page, in segments that do not overlap.

    `carries_marker`: its items contain the present marker; otherwise it is read from the table.
    `may_repeat`: the source can return an item more than once in a run, even in one page.
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
            AwsError: the read failed; it can be repeated.
            UsageError: the source is invalid (a file that is not a list of keys).
        """
        ...

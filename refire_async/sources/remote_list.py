"""Read a run's list of keys from where no file system is: each task reads the byte ranges of its own segments only.

The list is that of `key_list`, made once by the machine that starts the run, and stored as it is (an object in S3, or
items of a table). Segments and cursors are those of `KeyListSource`, so a run can continue with either.
"""

from collections.abc import Awaitable, Callable, Sequence
from itertools import islice

from refire_async.model.keys import Cursor, Item
from refire_async.sources.base import SourcePage
from refire_async.sources.key_list import KeyList, damaged, segment_border
from refire_async.sources.lazy_items import LazyItems

ReadRange = Callable[[int, int], Awaitable[bytes]]
"""The bytes from an offset on, of a length; fewer at the end. Raises AwsError, or what the store raises."""

MORE_LINES = 1.25
"""A read asks for this many times the mean size of the lines that are wanted, since lines differ."""

MIN_READ_BYTES = 4 << 10


class RemoteListSource:
    """Reads the items of `found` in `total_segments` byte ranges by `read_range`. As `KeyListSource`.

    A read takes about the bytes of a page; what belongs to the next page is read again.
    """

    may_repeat = False

    def __init__(
        self, found: KeyList, read_range: ReadRange, total_segments: int, *, carries_marker: bool
    ) -> None:
        self._found = found
        self._read_range = read_range
        self.total_segments = total_segments
        self.carries_marker = carries_marker

    async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
        """See `Source.read`. Raises CheckpointRefusedError for a damaged list, and what `read_range` raises."""
        end = self._border(segment + 1)
        if cursor is not None:
            lines, offset = await self._lines(cursor["offset"], end, limit)
        else:
            # A line belongs to the segment in which it begins: the rest of one that began before is left out.
            begin = self._border(segment) - 1
            lines, offset = await self._lines(begin, end, limit + 1)
            if not lines:
                raise damaged(self._found.path)
            lines = lines[1:]
        items: Sequence[Item] = LazyItems(lines)
        if self.carries_marker:
            items = list(items)
        return SourcePage(items, {"offset": offset} if offset < end else None, 0.0, None)

    async def _lines(self, begin: int, end: int, most: int) -> tuple[list[bytes], int]:
        """At most `most` lines from `begin` on that begin before `end`, and the offset after them."""
        wanted = max(MIN_READ_BYTES, int(most * MORE_LINES * self._found.size / max(1, self._found.items)))
        text = b""
        while True:
            length = min(wanted, self._found.size - begin - len(text))
            more = await self._read_range(begin + len(text), length)
            if len(more) != length:
                raise damaged(self._found.path)
            text += more
            lines, offset = [], begin
            for line in islice(text.splitlines(keepends=True), most):
                if offset >= end or not line.endswith(b"\n"):
                    break
                lines.append(line)
                offset += len(line)
            if len(lines) == most or offset >= end:
                return lines, offset
            if begin + len(text) >= self._found.size:
                raise damaged(self._found.path)  # the last line has no end

    def _border(self, segment: int) -> int:
        return segment_border(self._found.size, segment, self.total_segments)

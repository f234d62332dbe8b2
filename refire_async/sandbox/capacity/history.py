"""Accepted and throttled units of the last 600 seconds, kept only for seconds in which something happened."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

KEPT_SECONDS = 600
COLUMNS = (
    "second",
    "accepted_read_units",
    "accepted_write_units",
    "throttled_read_units",
    "throttled_write_units",
)

_WIDTH = len(COLUMNS)
_TRIM_AT = 2 * KEPT_SECONDS * _WIDTH


class History:
    """Rows of ``COLUMNS``, oldest first. At most 1,200 rows of 40 bytes are held, those older are dropped in bulk."""

    __slots__ = ("_cells",)

    def __init__(self) -> None:
        self._cells = array("d")

    def add(self, second: int, counts: Iterable[float]) -> None:
        """Append the row of a second, which must be later than all before it."""
        cells = self._cells
        cells.append(second)
        cells.extend(counts)
        if len(cells) >= _TRIM_AT:
            del cells[: len(cells) - KEPT_SECONDS * _WIDTH]

    def rows(self, now_second: int) -> list[list[float]]:
        """The rows of the 600 seconds up to and with ``now_second``; the first column is a whole number."""
        cells = self._cells
        oldest = now_second - KEPT_SECONDS
        return [
            [int(cells[at]), *cells[at + 1 : at + _WIDTH]]
            for at in range(0, len(cells), _WIDTH)
            if cells[at] > oldest
        ]

    def last_second(self) -> int:
        """The second of the newest row, -1 if there is none."""
        return int(self._cells[-_WIDTH]) if self._cells else -1

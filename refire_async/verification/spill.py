"""Rows on disk, by partition of the key's digest: what is held against each other fits in memory, a part at a time.

Memory: `partitions` x 2 x `_CHUNK_BYTES` while rows are added (8 MB for 128), and the rows of one call; then one
partition. Disk: 41 bytes a claim, 37 bytes a change. The file has no name, is for its owner only, and is gone with the
process.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import Struct
from typing import Self

from refire_async.errors import StoppedError
from refire_async.verification.encoding import CHANGE, CLAIM, Change, Claim

_CHUNK_BYTES = 32 * 1024
FEWEST, MOST = 64, 1024
_ROWS_EACH = 150_000
"""Claims that a partition should have: about 60 MB of memory when they are held against changes."""


class Spill:
    """Claims and changes, in the order of adding within each partition. Use it in a `with` block, in one thread."""

    def __init__(self, folder: Path, expected: int) -> None:
        """`expected` is a guess of how many claims there will be: it only sets how much memory a partition takes.

        Raises StoppedError if there can be no file in `folder`.
        """
        partitions = FEWEST
        while partitions < MOST and partitions * _ROWS_EACH < expected:
            partitions *= 2
        self.partitions = partitions
        self._folder = folder
        with _saving(folder):
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed in __exit__
        self._end = 0
        self._claims = _Rows(self, CLAIM, partitions)
        self._changes = _Rows(self, CHANGE, partitions)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add_claims(self, claims: Iterable[Claim]) -> None:
        """Add claims. Raises StoppedError if there is no room."""
        self._claims.add(claims)

    def add_changes(self, changes: Iterable[Change]) -> None:
        """Add changes. Raises StoppedError if there is no room."""
        self._changes.add(changes)

    def claims(self, partition: int) -> Iterator[Claim]:
        """The claims of one partition."""
        return self._claims.rows(partition)  # type: ignore[return-value] # as they were added

    def changes(self, partition: int) -> Iterator[Change]:
        """The changes of one partition."""
        return self._changes.rows(partition)  # type: ignore[return-value] # as they were added

    def changes_in(self, partition: int) -> int:
        """How many changes one partition has."""
        return self._changes.count(partition)

    def write(self, data: bytearray) -> tuple[int, int]:
        """Append; gives where it is. Raises StoppedError."""
        place = (self._end, len(data))
        with _saving(self._folder):
            view = memoryview(data)
            while view:
                written = os.pwrite(self._file.fileno(), view, self._end)
                self._end += written
                view = view[written:]
        return place

    def read(self, place: tuple[int, int]) -> bytes:
        """What was written at `place`."""
        start, size = place
        return os.pread(self._file.fileno(), size, start)


class _saving:  # noqa: N801 - used like a function
    """Translates what a full disk or a folder without permission does into StoppedError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None: ...

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise StoppedError(
                f"no room for the proof's temporary file in {self._folder}: {error.strerror}",
                "make room (80 bytes for each item), then run refire verify",
            ) from error


class _Rows:
    """Rows of one kind."""

    def __init__(self, spill: Spill, shape: Struct, partitions: int) -> None:
        self._spill = spill
        self._shape = shape
        self._full = _CHUNK_BYTES // shape.size * shape.size
        self._waiting = [bytearray() for _ in range(partitions)]
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(partitions)]
        self._mask = partitions - 1

    def add(self, rows: Iterable[Claim] | Iterable[Change]) -> None:
        pack, waiting, mask, full = self._shape.pack, self._waiting, self._mask, self._full
        if mask < 256:
            for row in rows:
                waiting[row[0][1] & mask] += pack(*row)
        else:
            for row in rows:
                key = row[0]
                waiting[(key[0] << 8 | key[1]) & mask] += pack(*row)
        for partition, chunk in enumerate(waiting):
            if len(chunk) >= full:
                self._places[partition].append(self._spill.write(chunk))
                chunk.clear()

    def count(self, partition: int) -> int:
        written = sum(size for _, size in self._places[partition])
        return (written + len(self._waiting[partition])) // self._shape.size

    def rows(self, partition: int) -> Iterator[tuple[bytes | int, ...]]:
        for place in self._places[partition]:
            yield from self._shape.iter_unpack(self._spill.read(place))
        yield from self._shape.iter_unpack(self._waiting[partition])

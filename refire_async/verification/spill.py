"""Expected and observed rows on disk, partitioned by the digest of the key: only one partition at a time is in memory.

Memory: `partitions` x 2 chunks while rows are added (8 MB for 128 partitions, at most 64 MB), and the rows of one
call; then one partition. Disk: 41 bytes per expected row, 37 bytes per observed row. The file has no name, only its
owner can open it, and the kernel deletes it when the process ends.
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from struct import Struct
from typing import Self

from refire_async.errors import StoppedError
from refire_async.verification.encoding import EXPECTED_STRUCT, OBSERVED_STRUCT, ExpectedRow, ObservedRow

_CHUNK_BYTES = 32 * 1024
_MAX_WAITING_BYTES = 64 << 20
"""Chunks become smaller where there are more partitions than 1,024."""

MIN_PARTITIONS, MAX_PARTITIONS = 64, 1 << 14
_ROWS_PER_PARTITION = 150_000
"""Expected rows per partition: about 60 MB of memory while they are compared with the observed ones. The most
partitions are enough for 2.4 x 10^9 rows."""


class Spill:
    """Expected and observed rows, in the order of adding within each partition.

    Use it in a `with` block, in one thread.
    """

    def __init__(self, folder: Path, expected: int) -> None:
        """`expected` estimates the number of expected rows; it only determines how much memory a partition takes.

        Raises StoppedError if no file can be created in `folder`.
        """
        partitions = MIN_PARTITIONS
        while partitions < MAX_PARTITIONS and partitions * _ROWS_PER_PARTITION < expected:
            partitions *= 2
        self.partitions = partitions
        self._folder = folder
        with _reporting_disk_errors(folder):
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed in __exit__
        self._end = 0
        self._expected = _Rows(self, EXPECTED_STRUCT, partitions)
        self._observed = _Rows(self, OBSERVED_STRUCT, partitions)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add_expected(self, rows: Iterable[ExpectedRow]) -> None:
        """Add expected rows. Raises StoppedError if the disk is full."""
        self._expected.add(rows)

    def add_observed(self, rows: Iterable[ObservedRow]) -> None:
        """Add observed rows. Raises StoppedError if the disk is full."""
        self._observed.add(rows)

    def expected(self, partition: int) -> bytes:
        """The packed expected rows of one partition."""
        return self._expected.rows(partition)

    def observed(self, partition: int) -> bytes:
        """The packed observed rows of one partition."""
        return self._observed.rows(partition)

    def count_observed(self, partition: int) -> int:
        """The number of observed rows in one partition."""
        return self._observed.count(partition)

    def write(self, data: bytearray) -> tuple[int, int]:
        """Append `data` and return (offset, length). Raises StoppedError."""
        place = (self._end, len(data))
        with _reporting_disk_errors(self._folder):
            view = memoryview(data)
            while view:
                written = os.pwrite(self._file.fileno(), view, self._end)
                self._end += written
                view = view[written:]
        return place

    def read(self, place: tuple[int, int]) -> bytes:
        """The data at `place`, an (offset, length) that `write` returned."""
        start, size = place
        return os.pread(self._file.fileno(), size, start)


class _reporting_disk_errors:  # noqa: N801 - used like a function
    """Translates an OSError (a full disk, a folder without permission) into StoppedError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None: ...

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise StoppedError(
                f"cannot write the verification's temporary file in {self._folder}: {error.strerror}",
                "free 80 bytes of disk space per item, then run refire verify",
            ) from error


class _Rows:
    """Rows of one kind."""

    def __init__(self, spill: Spill, shape: Struct, partitions: int) -> None:
        self._spill = spill
        self._shape = shape
        chunk_bytes = min(_CHUNK_BYTES, _MAX_WAITING_BYTES // (2 * partitions))
        self._full = chunk_bytes // shape.size * shape.size
        self._waiting = [bytearray() for _ in range(partitions)]
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(partitions)]
        self._mask = partitions - 1

    def add(self, rows: Iterable[ExpectedRow] | Iterable[ObservedRow]) -> None:
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

    def rows(self, partition: int) -> bytes:
        return b"".join([*map(self._spill.read, self._places[partition]), self._waiting[partition]])

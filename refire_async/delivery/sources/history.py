"""The order of the records of each key, when there are more keys than fit in memory.

Rows lie in partitions by a hash of the key: in memory while there are few, then in one temporary file without a name,
for its owner only, gone with the process. At the end one partition at a time is looked at.

Memory: `_PARTITIONS` x `_CHUNK_BYTES` (8 MB) while rows are added, then one partition. Disk: the key and
20 bytes a row.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Self
from zlib import crc32

from refire_async.delivery.digests import DigestSet
from refire_async.delivery.record import EventRecord
from refire_async.errors import StoppedError

_PARTITIONS = 256
_CHUNK_BYTES = 32 * 1024
_NUMBER_BYTES = 17
"""Of a sequence number of up to 40 digits, big-endian."""

_HEAD = Struct(f"<H?{_NUMBER_BYTES}s")
"""Bytes of the key, whether the record is delivered, its sequence number."""

_NAMED = 3


class KeyHistory:
    """Records in any order, and whether they are delivered. Use it in a `with` block, in one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """`folder` is for the temporary file."""
        self._folder = folder
        self._file = -1
        self._end = 0
        self._waiting = [bytearray() for _ in range(_PARTITIONS)]
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(_PARTITIONS)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._file >= 0:
            os.close(self._file)

    def add(self, records: Iterable[EventRecord], *, delivered: bool) -> None:
        """Add records. Raises StoppedError if the disk is full."""
        for record in records:
            key = record.key
            partition = crc32(key) % _PARTITIONS
            chunk = self._waiting[partition]
            chunk += _HEAD.pack(len(key), delivered, _number(record.sequence))
            chunk += key
            if len(chunk) >= _CHUNK_BYTES:
                self._places[partition].append(self._write(chunk))
                chunk.clear()

    def stale(self) -> tuple[int, tuple[str, ...]]:
        """How many delivered records have a later record of their key that is not delivered, and up to three keys."""
        count = 0
        named: list[str] = []
        for partition in range(_PARTITIONS):
            later = self._last_left_out(partition)
            if not later:
                continue
            for key, delivered, number in self._rows(partition):
                if delivered and number < later.get(key, b""):
                    count += 1
                    name = key.decode()
                    if len(named) < _NAMED and name not in named:
                        named.append(name)
        return count, tuple(named)

    def latest(self) -> "LatestRecords":
        """The delivered records that are the last of their key, with no later one that is not delivered."""
        found = DigestSet()
        for partition in range(_PARTITIONS):
            later = self._last_left_out(partition)
            last: dict[bytes, bytes] = {}
            for key, delivered, number in self._rows(partition):
                if delivered and number > max(last.get(key, b""), later.get(key, b"")):
                    last[key] = number
            found.add(number + key for key, number in last.items())
        return LatestRecords(found)

    def _last_left_out(self, partition: int) -> dict[bytes, bytes]:
        """The last number of each key that is not delivered."""
        last: dict[bytes, bytes] = {}
        for key, delivered, number in self._rows(partition):
            if not delivered and number > last.get(key, b""):
                last[key] = number
        return last

    def _rows(self, partition: int) -> Iterator[tuple[bytes, bool, bytes]]:
        """Key, whether it is delivered, and number of each record of the partition."""
        for place in self._places[partition]:
            yield from _unpacked(os.pread(self._file, place[1], place[0]))
        yield from _unpacked(bytes(self._waiting[partition]))

    def _write(self, data: bytearray) -> tuple[int, int]:
        place = (self._end, len(data))
        try:
            if self._file < 0:
                with tempfile.TemporaryFile(dir=self._folder, buffering=0) as file:
                    self._file = os.dup(file.fileno())
            view = memoryview(data)
            while view:
                written = os.pwrite(self._file, view, self._end)
                self._end += written
                view = view[written:]
        except OSError as error:
            raise StoppedError(
                f"no room for the keys in {self._folder}: {error.strerror}",
                "make room (100 bytes per record), or narrow the window",
            ) from error
        return place


class LatestRecords:
    """Records that are the last of their key, in 8 bytes each (delivery/digests.py)."""

    def __init__(self, digests: DigestSet) -> None:
        self._digests = digests

    def __len__(self) -> int:
        return len(self._digests)

    def __contains__(self, record: EventRecord) -> bool:
        return _number(record.sequence) + record.key in self._digests


def _number(sequence: int) -> bytes:
    return sequence.to_bytes(_NUMBER_BYTES, "big")


def _unpacked(data: bytes) -> Iterator[tuple[bytes, bool, bytes]]:
    at = 0
    while at < len(data):
        size, delivered, number = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        yield data[at : at + size], delivered, number
        at += size

"""The run's own list of the keys of a file or an export, each once, beside the checkpoint.

The input can be a pipe, can change, or can be compressed so that it cannot be read from the middle; the list can
always be read. It is created once, before the first write, and read in segments by position. Its keys are ordered by
a hash of the hash key, so that a hot hash key is in few segments and slows down only their lanes.

    line 1: a header of `HEADER_BYTES`, JSON padded with spaces: {"refire_keys": 1, "items": n, "bytes": size, "crc32":
            of everything after it}
    then one item per line, in DynamoDB JSON: its key, and its marker if the source has it

Mode 0600: keys can be personal data.
"""

import contextlib
import os
import random
import tempfile
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import orjson
from anyio import to_thread

from refire_async.errors import CheckpointRefusedError, RefusedError
from refire_async.model.keys import Cursor, Item, Key, KeySchema
from refire_async.private import NOFOLLOW, replacing, why_foreign
from refire_async.sources.base import SourcePage
from refire_async.sources.lazy_items import LazyItems
from refire_async.sources.plain_lines import PlainKeys

HEADER_BYTES = 128
FORMAT = 1

BUCKETS = 256
BUFFER = 1 << 16
"""Bytes that are buffered per bucket before they are written: 16 MB in total."""

DISTINCT_BYTES = 16 << 20
"""Bytes of keys that are compared in memory at a time; about 50 MB as Python objects."""

SEGMENT_ITEMS = 2_000
MAX_SEGMENTS = 256


def list_path(checkpoint: Path) -> Path:
    """The path of the list of the run in `checkpoint`. It may be deleted together with the checkpoint."""
    real = checkpoint.resolve()
    return real.with_name(real.name + ".keys")


@dataclass(frozen=True, slots=True)
class KeyList:
    """The header of a list: the number of distinct `items`, the `size` in bytes, the `crc32` of the lines."""

    path: Path
    items: int
    size: int
    crc32: int

    @property
    def segments(self) -> int:
        """The number of segments in which it is read."""
        return choose_segments(self.items)


def choose_segments(items: int) -> int:
    """The number of segments in which a list of this many items is read."""
    return max(1, min(MAX_SEGMENTS, items // SEGMENT_ITEMS))


def draw_items(found: KeyList, most: int, draw: random.Random) -> list[Item]:
    """At most `most` distinct random items of a list, with a slight bias to long lines; all items of a short list.

    Raises CheckpointRefusedError if the list cannot be read.
    """
    try:
        with found.path.open("rb") as file:
            if found.items <= most:
                file.seek(HEADER_BYTES)
                items: list[Item] = [orjson.loads(line) for line in file]
                draw.shuffle(items)
                return items
            lines = {}
            for offset in draw.sample(range(HEADER_BYTES - 1, found.size), most):
                file.seek(offset)
                file.readline()
                begin = file.tell()
                lines[begin] = file.readline()
    except OSError:
        raise damaged(found.path) from None
    return [orjson.loads(line) for line in lines.values() if line]


def open_list(path: Path) -> KeyList:
    """Open the list at `path`. Raises CheckpointRefusedError if it is missing, truncated, foreign or not a list."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | NOFOLLOW), "rb") as file:
            why = why_foreign(os.fstat(file.fileno()))
            if why is not None:
                raise CheckpointRefusedError(
                    f"the run's list of keys {path} {why}", "start a new run, or remove these permissions"
                )
            head = orjson.loads(file.read(HEADER_BYTES))
            found = KeyList(path, head["items"], head["bytes"], head["crc32"])
            whole = head["refire_keys"] == FORMAT and os.fstat(file.fileno()).st_size == found.size
    except OSError as error:
        raise CheckpointRefusedError(
            f"the run's list of keys {path} cannot be read: {error.strerror}", "start a new run"
        ) from None
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise damaged(path)
    return found


def check_list(path: Path) -> KeyList:
    """As `open_list`, and check the CRC of the content. A list of 10 million keys takes about a second."""
    found = open_list(path)
    crc32 = 0
    with path.open("rb") as file:
        file.seek(HEADER_BYTES)
        while chunk := file.read(1 << 20):
            crc32 = zlib.crc32(chunk, crc32)
    if crc32 != found.crc32:
        raise damaged(path)
    return found


def segment_border(size: int, segment: int, total_segments: int) -> int:
    """The offset at which a segment of a list of `size` bytes begins; a line belongs to the segment it begins in."""
    return HEADER_BYTES + (size - HEADER_BYTES) * segment // total_segments


def damaged(path: Path) -> CheckpointRefusedError:
    """The error for a list that is not what was written."""
    return CheckpointRefusedError(f"the run's list of keys {path} is damaged", "start a new run")


class KeyListWriter:
    """Creates a list from items in any order and number, each once. Use it as a context manager.

    Added items are stored in a file without a name, which the kernel deletes when the process ends.
    """

    def __init__(self, path: Path, keys: KeySchema) -> None:
        self.taken = 0
        self._path = path
        self._hash_name, self._hash_type = keys.hash_name, keys.hash_type
        self._names = keys.names
        self._buffers = [bytearray() for _ in range(BUCKETS)]
        try:
            self._scratch = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise _write_error(path, error) from error
        self._added = Extents(self._scratch, BUCKETS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # its buffer cannot be flushed to a full disk
            self._scratch.close()

    def add(self, key: Key, more: Item | None = None) -> None:
        """Add the item with `key`; `more` are other attributes that the source has. Raises RefusedError."""
        line = orjson.dumps(key)
        if more is not None:
            line += b"\t" + orjson.dumps(more)  # JSON has no tabs of its own
        bucket = zlib.crc32(key[self._hash_name][self._hash_type].encode()) % BUCKETS
        buffer = self._buffers[bucket]
        buffer += line
        buffer += b"\n"
        self.taken += 1
        if len(buffer) >= BUFFER:
            self._flush(bucket)

    def add_plain(self, keys: PlainKeys) -> None:
        """Add the keys of a chunk of the input that are already encoded. Raises RefusedError."""
        buffers, bucket_of = self._buffers, zlib.crc32
        for value, line in zip(keys.hashes, keys.lines, strict=True):
            buffers[bucket_of(value) % BUCKETS] += line
        self.taken += len(keys.lines)
        for bucket, buffer in enumerate(buffers):
            if len(buffer) >= BUFFER:
                self._flush(bucket)

    def finish(self) -> KeyList:
        """Write the list; it is on disk when this returns. Raises RefusedError if the disk is full."""
        for bucket in range(BUCKETS):
            self._flush(bucket)
        items = crc32 = 0
        try:
            with replacing(self._path) as file:
                file.write(b" " * HEADER_BYTES)
                for bucket in range(BUCKETS):
                    for lines in self._distinct(bucket):
                        items += len(lines)
                        text = b"".join(lines)
                        crc32 = zlib.crc32(text, crc32)
                        file.write(text)
                size = file.tell()
                file.seek(0)
                head = orjson.dumps({"refire_keys": FORMAT, "items": items, "bytes": size, "crc32": crc32})
                file.write(head.ljust(HEADER_BYTES - 1) + b"\n")
        except OSError as error:
            raise _write_error(self._path, error) from error
        return KeyList(self._path, items, size, crc32)

    def _flush(self, bucket: int) -> None:
        try:
            self._added.append(bucket, self._buffers[bucket])
        except OSError as error:
            raise _write_error(self._path, error) from error

    def _distinct(self, bucket: int) -> Iterator[list[bytes]]:
        """The lines of a bucket, each key once, in blocks that fit into memory."""
        size = self._added.size(bucket)
        if size <= DISTINCT_BYTES:
            yield _first_of_each(b"".join(self._added.read(bucket)))
            return
        # Once more into smaller buckets, so that the time stays in proportion to the size of the list.
        smaller = -(-size // DISTINCT_BYTES)
        with tempfile.TemporaryFile(dir=self._path.parent) as file:
            extents = Extents(file, smaller)
            buffers = [bytearray() for _ in range(smaller)]
            for part in self._added.read(bucket):
                for line in part.splitlines(keepends=True):
                    # Not the number by which buckets are chosen: all keys of a hot hash key are in one of those.
                    buffers[zlib.crc32(line.partition(b"\t")[0].rstrip(b"\n")) % smaller] += line
                for number, buffer in enumerate(buffers):
                    if len(buffer) >= BUFFER:
                        extents.append(number, buffer)
            for number, buffer in enumerate(buffers):
                extents.append(number, buffer)
                yield _first_of_each(b"".join(extents.read(number)))


class Extents:
    """Buckets of lines in one file: where the blocks of each are. Each block holds complete lines."""

    def __init__(self, file: IO[bytes], buckets: int) -> None:
        self._file = file
        self._blocks: list[list[tuple[int, int]]] = [[] for _ in range(buckets)]
        self._end = 0

    def size(self, bucket: int) -> int:
        """Bytes in a bucket."""
        return sum(length for _, length in self._blocks[bucket])

    def append(self, bucket: int, buffer: bytearray) -> None:
        """Write `buffer` to a bucket, and clear it. Raises OSError."""
        if not buffer:
            return
        self._file.seek(self._end)
        self._file.write(buffer)
        self._file.flush()
        self._blocks[bucket].append((self._end, len(buffer)))
        self._end += len(buffer)
        buffer.clear()

    def read(self, bucket: int) -> Iterator[bytes]:
        """The blocks of a bucket."""
        for offset, length in self._blocks[bucket]:
            self._file.seek(offset)
            yield self._file.read(length)


def _first_of_each(text: bytes) -> list[bytes]:
    """The lines of a list, the first for each key."""
    if b"\t" not in text:  # keys only
        return list(dict.fromkeys(text.splitlines(keepends=True)))
    first: dict[bytes, bytes] = {}
    for line in text.splitlines():
        key, _, more = line.partition(b"\t")
        first.setdefault(key, more)
    return [_joined(key, more) for key, more in first.items()]


def _joined(key: bytes, more: bytes) -> bytes:
    """Merge two JSON objects into one line."""
    return key + b"\n" if more in (b"", b"{}") else key[:-1] + b"," + more[1:] + b"\n"


def _write_error(path: Path, error: OSError) -> RefusedError:
    return RefusedError(
        f"the list of keys {path} cannot be written: {error.strerror}",
        "free disk space, or choose another folder with --checkpoint",
    )


class KeyListSource:
    """Reads the items of a list in `total_segments` byte ranges. A cursor is the offset at which a line begins."""

    may_repeat = False

    def __init__(self, path: Path, total_segments: int, *, carries_marker: bool) -> None:
        self._path = path
        self.total_segments = total_segments
        self.carries_marker = carries_marker
        self._size: int | None = None
        self._checking = threading.Lock()

    async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
        """See `Source.read`. Reads in a worker thread. Raises CheckpointRefusedError for a damaged list."""
        return await to_thread.run_sync(self._read, segment, cursor, limit)

    def _read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
        size = self._checked_size()
        # A line belongs to the segment in which it begins.
        begin, end = (segment_border(size, number, self.total_segments) for number in (segment, segment + 1))
        with self._path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != size:
                raise damaged(self._path)
            if cursor is not None:
                offset = cursor["offset"]
                file.seek(offset)
            else:
                file.seek(begin - 1)
                file.readline()
                offset = file.tell()
            lines = []
            for line in islice(file, limit):
                if offset >= end:
                    break
                lines.append(line)
                offset += len(line)
        items: Sequence[Item] = LazyItems(lines)
        if self.carries_marker:  # every item will be accessed; decode them here and not in the event loop
            items = list(items)
        return SourcePage(items, {"offset": offset} if offset < end else None, 0.0, None)

    def _checked_size(self) -> int:
        """The size of the list in bytes. The first call checks its CRC."""
        with self._checking:
            if self._size is None:
                self._size = check_list(self._path).size
            return self._size

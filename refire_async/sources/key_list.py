"""The list of a run's own: the keys of a file or an export, each once, beside the checkpoint.

A file may be a pipe, a moving target or packed in a way that cannot be read from the middle; the list is none of that.
It is made once, before the first write, and read in segments by position. Its keys are in the order of a hash of the
hash key: so a hot hash key stays in few segments and holds back only their lanes.

    line 1: a header of `HEADER_BYTES`, JSON padded with blanks: {"refire_keys": 1, "items": n, "bytes": size, "crc32":
            that of all after it}
    then one item per line, in DynamoDB JSON: its key, and what else the origin knew of it

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
from typing import Self

import orjson
from anyio import to_thread

from refire_async.errors import CheckpointRefusedError, RefusedError
from refire_async.model.keys import Cursor, Item, Key, KeySchema
from refire_async.private import NOFOLLOW, replacing, why_foreign
from refire_async.sources.base import SourcePage
from refire_async.sources.lazy_items import Undecoded
from refire_async.sources.plain_lines import PlainKeys

HEADER_BYTES = 128
FORMAT = 1

BUCKETS = 256
BUFFER = 1 << 16
"""Bytes that gather per bucket before they go to the disk: 16 MB in all."""

SORTED_AT_ONCE = 16 << 20
"""Bytes of keys that are held against each other in memory at a time; as Python objects some 50 MB."""

SEGMENT_ITEMS = 2_000
MOST_SEGMENTS = 256


def list_path(checkpoint: Path) -> Path:
    """Where the list of the run in `checkpoint` lies. It may be deleted together with the checkpoint."""
    real = checkpoint.resolve()
    return real.with_name(real.name + ".keys")


@dataclass(frozen=True, slots=True)
class KeyList:
    """What the header of a list says: `items` that differ, in `size` bytes; `crc32` is of all after the header."""

    path: Path
    items: int
    size: int
    crc32: int

    @property
    def segments(self) -> int:
        """In how many parts it is best read."""
        return choose_segments(self.items)


def choose_segments(items: int) -> int:
    """In how many parts a list of so many items is best read."""
    return max(1, min(MOST_SEGMENTS, items // SEGMENT_ITEMS))


def draw_items(found: KeyList, most: int, draw: random.Random) -> list[Item]:
    """At most `most` different items of a list, drawn at random (long lines a little more often); all of a short one.

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
        raise _damaged(found.path) from None
    return [orjson.loads(line) for line in lines.values() if line]


def open_list(path: Path) -> KeyList:
    """The list at `path`. Raises CheckpointRefusedError if it is missing, cut, another user's or something else."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | NOFOLLOW), "rb") as file:
            why = why_foreign(os.fstat(file.fileno()))
            if why is not None:
                raise CheckpointRefusedError(
                    f"the run's list of keys {path} {why}", "begin a new run, or take that right away"
                )
            head = orjson.loads(file.read(HEADER_BYTES))
            found = KeyList(path, head["items"], head["bytes"], head["crc32"])
            whole = head["refire_keys"] == FORMAT and os.fstat(file.fileno()).st_size == found.size
    except OSError as error:
        raise CheckpointRefusedError(
            f"the run's list of keys {path} cannot be read: {error.strerror}", "begin a new run"
        ) from None
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise _damaged(path)
    return found


def check_list(path: Path) -> KeyList:
    """As `open_list`; and every byte is still what was written. A list of 10 million keys takes about a second."""
    found = open_list(path)
    crc32 = 0
    with path.open("rb") as file:
        file.seek(HEADER_BYTES)
        while piece := file.read(1 << 20):
            crc32 = zlib.crc32(piece, crc32)
    if crc32 != found.crc32:
        raise _damaged(path)
    return found


def _damaged(path: Path) -> CheckpointRefusedError:
    return CheckpointRefusedError(f"the run's list of keys {path} is damaged", "begin a new run")


class KeyListWriter:
    """Takes items in any order and number, and makes a list of them, each once. Use it as a context manager.

    What was taken in waits in a file without a name, which is gone when the process is.
    """

    def __init__(self, path: Path, keys: KeySchema) -> None:
        self.taken = 0
        self._path = path
        self._hash_name, self._hash_type = keys.hash_name, keys.hash_type
        self._names = keys.names
        self._buffers = [bytearray() for _ in range(BUCKETS)]
        self._extents: list[list[tuple[int, int]]] = [[] for _ in range(BUCKETS)]
        self._end = 0
        try:
            self._scratch = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise _no_room(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # what a full disk left in its buffer
            self._scratch.close()

    def add(self, key: Key, more: Item | None = None) -> None:
        """Take in the item with `key`; `more` are other attributes that the origin knew. Raises RefusedError."""
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
        """Take in keys that are text already, those of a piece of the input. Raises RefusedError."""
        buffers, bucket_of = self._buffers, zlib.crc32
        for value, line in zip(keys.hashes, keys.lines, strict=True):
            buffers[bucket_of(value) % BUCKETS] += line
        self.taken += len(keys.lines)
        for bucket, buffer in enumerate(buffers):
            if len(buffer) >= BUFFER:
                self._flush(bucket)

    def finish(self) -> KeyList:
        """Write the list, on disk when this returns. Raises RefusedError if there is no room."""
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
            raise _no_room(self._path, error) from error
        return KeyList(self._path, items, size, crc32)

    def _flush(self, bucket: int) -> None:
        buffer = self._buffers[bucket]
        if not buffer:
            return
        try:
            self._scratch.seek(self._end)
            self._scratch.write(buffer)
            self._scratch.flush()
        except OSError as error:
            raise _no_room(self._path, error) from error
        self._extents[bucket].append((self._end, len(buffer)))
        self._end += len(buffer)
        buffer.clear()

    def _distinct(self, bucket: int) -> Iterator[list[bytes]]:
        """The lines of a bucket, each key once, in parts that fit into memory."""
        size = sum(length for _, length in self._extents[bucket])
        passes = -(-size // SORTED_AT_ONCE)
        if passes == 1:
            whole = b"".join(self._parts(bucket))
            if b"\t" not in whole:  # nothing but keys
                yield list(dict.fromkeys(whole.splitlines(keepends=True)))
                return
        for number in range(passes):
            first: dict[bytes, bytes] = {}
            for line in self._lines(bucket):
                key, _, more = line.partition(b"\t")
                if passes == 1 or zlib.crc32(key) % passes == number:
                    first.setdefault(key, more)
            yield [_joined(key, more) for key, more in first.items()]

    def _lines(self, bucket: int) -> Iterator[bytes]:
        for part in self._parts(bucket):
            yield from part.splitlines()

    def _parts(self, bucket: int) -> Iterator[bytes]:
        """What was flushed of a bucket; whole lines."""
        for offset, length in self._extents[bucket]:
            self._scratch.seek(offset)
            yield self._scratch.read(length)


def _joined(key: bytes, more: bytes) -> bytes:
    """Two JSON objects as one."""
    return key + b"\n" if more in (b"", b"{}") else key[:-1] + b"," + more[1:] + b"\n"


def _no_room(path: Path, error: OSError) -> RefusedError:
    return RefusedError(
        f"the list of keys {path} cannot be written: {error.strerror}",
        "make room, or choose another place with --checkpoint",
    )


class KeyListSource:
    """The items of a list in `total_segments` ranges of bytes. The position is the byte at which a line begins."""

    may_repeat = False

    def __init__(self, path: Path, total_segments: int, *, carries_marker: bool) -> None:
        self._path = path
        self.total_segments = total_segments
        self.carries_marker = carries_marker
        self._size: int | None = None
        self._checking = threading.Lock()

    async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
        """See `Source.read`. Reading is done in a worker thread. Raises CheckpointRefusedError for a damaged list."""
        return await to_thread.run_sync(self._read, segment, cursor, limit)

    def _read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
        size = self._checked_size()
        # A line belongs to the segment in which it begins.
        begin, end = (self._border(number, size) for number in (segment, segment + 1))
        with self._path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != size:
                raise _damaged(self._path)
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
        items: Sequence[Item] = Undecoded(lines)
        if self.carries_marker:  # they will be looked at, every one; here that does not hold up the loop
            items = list(items)
        return SourcePage(items, {"offset": offset} if offset < end else None, 0.0, None)

    def _checked_size(self) -> int:
        """Bytes of the list, all of which have been looked at once."""
        with self._checking:
            if self._size is None:
                self._size = check_list(self._path).size
            return self._size

    def _border(self, segment: int, size: int) -> int:
        return HEADER_BYTES + (size - HEADER_BYTES) * segment // self.total_segments

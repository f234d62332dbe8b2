"""Decompresses a list that may be compressed with gzip. No I/O."""

import zlib
from collections.abc import Iterator

from refire_async.errors import UsageError

UNPACKED = 1 << 20
"""Most bytes that are decompressed at a time, because a small chunk of gzip can contain much more."""

_GZIP = b"\x1f\x8b"

_FOREIGN = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save the sheet as CSV"),
    (b"BZh", "packed with bzip2", "unpack it; gzip is read as it is"),
    (b"\xfd7zXZ", "packed with xz", "unpack it; gzip is read as it is"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "unpack it; gzip is read as it is"),
    (b"PAR1", "a Parquet file", "write the keys as JSON lines or CSV"),
    (b"\xe0\x01\x00\xea", "in Amazon Ion", "write the keys as JSON lines or CSV"),
)
"""Magic bytes of other kinds of files, their description, and what to do."""

_HEAD = max(len(magic) for magic, _, _ in _FOREIGN)


class Unpacker:
    """Decompresses gzip with one or several members; other data is passed on."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._head = b""
        self._gzip: bool | None = None
        self._member = zlib.decompressobj(wbits=31)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The plain content of `chunk`. Raises UsageError for damaged gzip, or a file of another kind."""
        if self._gzip is None:
            self._head += chunk
            if len(self._head) < _HEAD:
                return
            chunk = self._begin()
        yield from self._plain(chunk)

    def finish(self) -> Iterator[bytes]:
        """The rest. Raises UsageError for gzip that ends too early."""
        if self._gzip is None:
            yield from self._plain(self._begin())
        if self._gzip and not self._member.eof:
            raise UsageError(f"{self._name} ends too early for gzip", "copy or create it again")

    def _begin(self) -> bytes:
        """Recognize the kind of file by its first bytes. Returns them."""
        chunk, self._head = self._head, b""
        for magic, what, action in _FOREIGN:
            if chunk.startswith(magic):
                raise UsageError(f"{self._name} is {what}", action)
        self._gzip = chunk.startswith(_GZIP)
        return chunk

    def _plain(self, chunk: bytes) -> Iterator[bytes]:
        return self._unpack(chunk) if self._gzip else iter((chunk,))

    def _unpack(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._member.eof:
                chunk = chunk.lstrip(b"\0")  # some writers pad to a whole block
                if not chunk:
                    return
                self._member = zlib.decompressobj(wbits=31)
            try:
                plain = self._member.decompress(chunk, UNPACKED)
            except zlib.error:
                raise UsageError(f"{self._name} is damaged gzip", "copy or create it again") from None
            if plain:
                yield plain
            chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

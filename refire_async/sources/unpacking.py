"""Plain bytes of a list that may be gzip. No I/O."""

import zlib
from collections.abc import Iterator

from refire_async.errors import UsageError

UNPACKED = 1 << 20
"""Bytes unpacked at a time, however much a small piece of gzip holds."""

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
"""How files of other kinds begin, what they are and what to do."""

_HEAD = max(len(magic) for magic, _, _ in _FOREIGN)


class Unpacker:
    """Plain bytes of what may be gzip, of one member or several."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._head = b""
        self._gzip: bool | None = None
        self._member = zlib.decompressobj(wbits=31)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What `piece` brings. Raises UsageError for damaged gzip, or a file of another kind."""
        if self._gzip is None:
            self._head += piece
            if len(self._head) < _HEAD:
                return
            piece = self._begin()
        yield from self._plain(piece)

    def finish(self) -> Iterator[bytes]:
        """The rest. Raises UsageError for gzip that ends too early."""
        if self._gzip is None:
            yield from self._plain(self._begin())
        if self._gzip and not self._member.eof:
            raise UsageError(f"{self._name} ends too early for gzip", "copy or make it again")

    def _begin(self) -> bytes:
        """Tell by the first bytes what this is. Gives them."""
        piece, self._head = self._head, b""
        for magic, what, action in _FOREIGN:
            if piece.startswith(magic):
                raise UsageError(f"{self._name} is {what}", action)
        self._gzip = piece.startswith(_GZIP)
        return piece

    def _plain(self, piece: bytes) -> Iterator[bytes]:
        return self._unpack(piece) if self._gzip else iter((piece,))

    def _unpack(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            if self._member.eof:
                piece = piece.lstrip(b"\0")  # some writers pad to a whole block
                if not piece:
                    return
                self._member = zlib.decompressobj(wbits=31)
            try:
                plain = self._member.decompress(piece, UNPACKED)
            except zlib.error:
                raise UsageError(f"{self._name} is damaged gzip", "copy or make it again") from None
            if plain:
                yield plain
            piece = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

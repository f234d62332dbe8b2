"""UTF-8 with `\\n` at the ends of lines, whatever encoding and line ends a program has written. No I/O.

UTF-8 passes as it is. UTF-16 and UTF-32 are told by their byte order mark, UTF-16 without one by the zeros of its
first characters: no list in UTF-8 begins with a NUL or has one as its second byte. Lines end with `\\r` alone where
the first line does.
"""

import codecs

from refire_async.errors import UsageError

_MARKS = (
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before the one of UTF-16, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HEAD = 4
"""Bytes that tell the encoding."""

_DAMAGED = "surrogatepass"
"""Halves of characters go on to where a key with one is told by its line."""


class Recoder:
    """Text in UTF-8 of bytes that come in pieces."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._head: bytes | None = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._carriage_returns: bool | None = None
        self._held = b""

    def feed(self, piece: bytes, *, last: bool = False) -> bytes:
        """What `piece` brings, with `last` all that is left. Raises UsageError for text with an incomplete end."""
        if self._head is not None:
            self._head += piece
            if len(self._head) < _HEAD and not last:
                return b""
            piece, self._head = self._begin(self._head), None
        if self._decoder is not None:
            try:
                piece = self._decoder.decode(piece, last).encode("utf-8", _DAMAGED)
            except UnicodeDecodeError:
                raise UsageError(
                    f"{self._name} is damaged: it is no whole text in UTF-16 or UTF-32",
                    "copy or make it again",
                ) from None
        return self._with_line_ends(piece, last=last)

    def _begin(self, head: bytes) -> bytes:
        """Tell the encoding. Gives `head` without the mark."""
        encoding = ""
        for mark, encoding_of_mark in _MARKS:
            if head.startswith(mark):
                head, encoding = head[len(mark) :], encoding_of_mark
                break
        else:
            zeros = [byte == 0 for byte in head[:_HEAD]]
            if zeros in ([False, True], [False, True, False, True]):
                encoding = "utf-16-le"
            elif zeros in ([True, False], [True, False, True, False]):
                encoding = "utf-16-be"
        if encoding:
            self._decoder = codecs.getincrementaldecoder(encoding)(errors=_DAMAGED)
        return head

    def _with_line_ends(self, piece: bytes, *, last: bool) -> bytes:
        if self._carriage_returns is None:
            piece, self._held = self._held + piece, b""
            end, carriage_return = piece.find(b"\n"), piece.find(b"\r")
            if carriage_return < 0 or 0 <= end < carriage_return:
                if end >= 0:
                    self._carriage_returns = False
                return piece
            after = piece[carriage_return + 1 : carriage_return + 2]
            if not after and not last:
                # What follows tells what the line ends with.
                piece, self._held = piece[:carriage_return], piece[carriage_return:]
                return piece
            self._carriage_returns = after != b"\n"
        return piece.replace(b"\r", b"\n") if self._carriage_returns else piece

"""Converts text in any common encoding and with any line ends to UTF-8 with `\\n` at the ends of lines. No I/O.

UTF-8 is not changed. UTF-16 and UTF-32 are recognized by their byte order mark, UTF-16 without one by the zero bytes
of its first characters: no list in UTF-8 has NUL as its first or second byte. `\\r` alone ends lines if it ends the
first one.
"""

import codecs

from refire_async.errors import UsageError

_MARKS = (
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is a prefix of it
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HEAD = 4
"""Number of bytes that identify the encoding."""

_DAMAGED = "surrogatepass"
"""Unpaired surrogates are passed on, so that the key decoder reports a key with one by its line."""


class Recoder:
    """Converts text to UTF-8, chunk by chunk."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._head: bytes | None = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._carriage_returns: bool | None = None
        self._held = b""

    def feed(self, chunk: bytes, *, last: bool = False) -> bytes:
        """The converted `chunk`; with `last` also the rest. Raises UsageError for text with an incomplete end."""
        if self._head is not None:
            self._head += chunk
            if len(self._head) < _HEAD and not last:
                return b""
            chunk, self._head = self._begin(self._head), None
        if self._decoder is not None:
            try:
                chunk = self._decoder.decode(chunk, last).encode("utf-8", _DAMAGED)
            except UnicodeDecodeError:
                raise UsageError(
                    f"{self._name} is damaged: it is not complete text in UTF-16 or UTF-32",
                    "copy or create it again",
                ) from None
        return self._with_line_ends(chunk, last=last)

    def _begin(self, head: bytes) -> bytes:
        """Recognize the encoding. Returns `head` without the mark."""
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

    def _with_line_ends(self, chunk: bytes, *, last: bool) -> bytes:
        if self._carriage_returns is None:
            chunk, self._held = self._held + chunk, b""
            end, carriage_return = chunk.find(b"\n"), chunk.find(b"\r")
            if carriage_return < 0 or 0 <= end < carriage_return:
                if end >= 0:
                    self._carriage_returns = False
                return chunk
            after = chunk[carriage_return + 1 : carriage_return + 2]
            if not after and not last:
                # The next byte decides what ends the line.
                chunk, self._held = chunk[:carriage_return], chunk[carriage_return:]
                return chunk
            self._carriage_returns = after != b"\n"
        return chunk.replace(b"\r", b"\n") if self._carriage_returns else chunk

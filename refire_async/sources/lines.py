"""Whole lines of bytes that come in pieces. No I/O."""

from refire_async.errors import UsageError

LONGEST_LINE = 8 << 20
"""Bytes. An item has at most 400 KB, as JSON up to six times that; an event of a Lambda function has up to 6 MB."""


class Lines:
    """Whole lines, without their ends, of bytes that come in pieces."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rest: list[bytes] = []
        self._size = 0
        self._count = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that `piece` completes. Raises UsageError for one that is too long for any item."""
        lines = piece.split(b"\n")
        if len(lines) > 1 and self._rest:
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest, self._size = [], 0
        self._count += len(lines) - 1
        rest = lines.pop()
        if rest:
            self._rest.append(rest)
            self._size += len(rest)
        if self._size > LONGEST_LINE:
            raise UsageError(
                f"{self._name} line {self._count + 1} is longer than {LONGEST_LINE >> 20} MB",
                "give one key per line",
            )
        return lines

    def finish(self) -> list[bytes]:
        """The last line, where it has no end."""
        rest, self._rest, self._size = b"".join(self._rest), [], 0
        return [rest] if rest else []

"""Splits bytes that arrive in chunks into lines. No I/O."""

from refire_async.errors import UsageError

MAX_LINE_BYTES = 8 << 20
"""An item has at most 400 KB, as JSON up to six times that; the event of a Lambda function has up to 6 MB."""


class Lines:
    """Splits chunks into complete lines, without their ends."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rest: list[bytes] = []
        self._size = 0
        self._count = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes. Raises UsageError for one that is too long for any item."""
        lines = chunk.split(b"\n")
        if len(lines) > 1 and self._rest:
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest, self._size = [], 0
        self._count += len(lines) - 1
        rest = lines.pop()
        if rest:
            self._rest.append(rest)
            self._size += len(rest)
        if self._size > MAX_LINE_BYTES:
            raise UsageError(
                f"{self._name} line {self._count + 1} is longer than {MAX_LINE_BYTES >> 20} MB",
                "give one key per line",
            )
        return lines

    def finish(self) -> list[bytes]:
        """The last line, if it has no end."""
        rest, self._rest, self._size = b"".join(self._rest), [], 0
        return [rest] if rest else []

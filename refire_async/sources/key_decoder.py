"""From the bytes of a list to its keys: gzip or plain, JSON lines or CSV, told apart by what is in it. No I/O.

Bytes are pushed in pieces of any size, so that it does not matter whether a disk, a pipe or S3 gives them. Memory is
bounded by the piece, what it unpacks to (at most `UNPACKED` at a time) and the longest line.
"""

import csv
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from refire_async.errors import UsageError
from refire_async.model.keys import Key, KeySchema
from refire_async.sources.key_lines import BadLineError, key_of_columns, parse_json_line
from refire_async.sources.plain_lines import PlainKeys, PlainLines, csv_forms, json_forms

LONGEST_LINE = 1 << 20
"""Bytes; a key has at most 3 KB, a failed-keys line a reason beside it."""

UNPACKED = 1 << 20
"""Bytes unpacked at a time, however much a small piece of gzip holds."""

FIRST_BAD_LINES = 5
"""Bad lines that are told one by one; the others are counted."""

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_DELIMITERS = ",;\t"


@dataclass(slots=True)
class BadLines:
    """Lines that name no key: how many, and what is wrong with the first of them."""

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, what: str) -> None:
        """Line `number` is bad."""
        self.count += 1
        if len(self.first) < FIRST_BAD_LINES:
            self.first.append((number, what))

    def describe(self, name: str) -> str:
        """One line for people."""
        number, what = self.first[0]
        text = f"{name} line {number} {what}"
        if self.count > 1:
            others = ", ".join(str(line) for line, _ in self.first[1:])
            more = "" if self.count <= FIRST_BAD_LINES else f" and {self.count - FIRST_BAD_LINES:,} more"
            text += f"; {self.count:,} bad lines in all: {number}, {others}{more}"
        return text


class Unpacker:
    """Plain bytes of what may be gzip, of one member or several."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._head = b""
        self._gzip: bool | None = None
        self._member = zlib.decompressobj(wbits=31)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What `piece` brings. Raises UsageError for damaged gzip."""
        if self._gzip is None:
            self._head += piece
            if len(self._head) < len(_GZIP):
                return
            self._gzip = self._head.startswith(_GZIP)
            piece, self._head = self._head, b""
        if self._gzip:
            yield from self._unpack(piece)
        else:
            yield piece

    def finish(self) -> Iterator[bytes]:
        """The rest. Raises UsageError for gzip that ends too early."""
        if self._gzip is None:
            yield self._head
        elif self._gzip and not self._member.eof:
            raise UsageError(f"{self._name} ends too early for gzip", "copy or make it again")

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


class Lines:
    """Whole lines, without their ends, of bytes that come in pieces."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rest = b""
        self._count = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that `piece` completes. Raises UsageError for one that is too long for any key."""
        lines = piece.split(b"\n")
        lines[0] = self._rest + lines[0]
        self._rest = lines.pop()
        self._count += len(lines)
        if len(self._rest) > LONGEST_LINE:
            raise UsageError(
                f"{self._name} line {self._count + 1} is longer than 1 MB", "give one key per line"
            )
        return lines

    def finish(self) -> list[bytes]:
        """The last line, where it has no end."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class KeyDecoder:
    """Keys of a list, in order; bad lines are noted in `bad` and left out."""

    def __init__(
        self, name: str, keys: KeySchema, take_plain: Callable[[PlainKeys], None] | None = None
    ) -> None:
        """`name` is what errors call the list. `take_plain` takes keys that need no decoding, in place of `feed`."""
        self.bad = BadLines()
        self.lines = 0
        self._name = name
        self._keys = keys
        self._unpacker = Unpacker(name)
        self._splitter = Lines(name)
        self._table: _CsvRows | None = None
        self._begun = False
        self._take_plain = take_plain
        self._forms: Sequence[PlainLines] = ()

    def feed(self, piece: bytes) -> Iterator[Key]:
        """Keys that `piece` completes. Raises UsageError if this is no list of keys at all."""
        for plain in self._unpacker.feed(piece):
            yield from self._decode(self._splitter.feed(plain))

    def finish(self) -> Iterator[Key]:
        """The last keys. Raises UsageError."""
        for plain in self._unpacker.finish():
            yield from self._decode(self._splitter.feed(plain))
        yield from self._decode(self._splitter.finish())
        if self._table is not None:
            yield from self._rows(self._table.finish())

    def _decode(self, lines: list[bytes]) -> Iterator[Key]:
        if not self._begun:
            lines = self._begin(lines)
        if self._took(lines):
            return
        if self._table is not None:
            yield from self._rows(self._table.feed(lines))
            return
        keys, number = self._keys, self.lines
        for line in lines:
            number += 1
            if not line or line.isspace():
                continue
            try:
                yield parse_json_line(line, keys)
            except BadLineError as error:
                self.bad.add(number, str(error))
        self.lines = number

    def _took(self, lines: list[bytes]) -> bool:
        """Whether all of `lines` were plain and are taken."""
        if self._take_plain is None or not lines or (self._table is not None and self._table.waiting):
            return False
        for form in self._forms:
            plain = form.read(lines)
            if plain is not None:
                self._take_plain(plain)
                self.lines += len(lines)
                if self._table is not None:
                    self._table.skip(len(lines))
                return True
        return False

    def _begin(self, lines: list[bytes]) -> list[bytes]:
        """Tell the format by the first line that holds something."""
        for position, line in enumerate(lines):
            text = line.removeprefix(_BOM) if not self.lines else line
            self.lines += 1
            if not text or text.isspace():
                continue
            self._begun = True
            if text.lstrip()[:1] in (b"{", b"["):
                self.lines -= 1
                self._forms = json_forms(self._keys)
                return [text, *lines[position + 1 :]]
            columns = _find_columns(text, self._keys)
            if columns is None:
                raise UsageError(
                    f"{self._name} line {self.lines} is neither JSON nor the header of a CSV with "
                    + ", ".join(self._keys.names),
                    "give one JSON object per line, or name the columns like the key attributes",
                )
            self._table = _CsvRows(self._name, columns[0], self.lines)
            self._columns = columns[1]
            self._forms = csv_forms(self._keys, *columns)
            return lines[position + 1 :]
        return []

    def _rows(self, rows: Iterable[tuple[int, list[str] | None]]) -> Iterator[Key]:
        for number, row in rows:
            self.lines = number
            if row is None:
                self.bad.add(number, "is not CSV")
                continue
            if not row:
                continue
            try:
                yield key_of_columns(row, self._columns, self._keys)
            except BadLineError as error:
                self.bad.add(number, str(error))


def _find_columns(header: bytes, keys: KeySchema) -> tuple[str, dict[str, int]] | None:
    """Delimiter and places of the key attributes, if `header` is the header of a CSV with all of them."""
    text = header.decode(errors="surrogateescape").rstrip("\r")
    for delimiter in _DELIMITERS:
        names = _row_of(text, delimiter) or []
        if all(names.count(name) == 1 for name in keys.names):
            return delimiter, {name: names.index(name) for name in keys.names}
    return None


def _row_of(record: str, delimiter: str) -> list[str] | None:
    """The values of one record, which may hold ends of lines in quotes; None if it is not CSV."""
    lines = record.split("\n")
    try:
        return next(csv.reader([f"{line}\n" for line in lines], delimiter=delimiter), [])
    except csv.Error:
        return None


class _CsvRows:
    """Rows of CSV with the number of the line that each begins at. A quoted value may hold ends of lines."""

    def __init__(self, name: str, delimiter: str, header_line: int) -> None:
        self._name = name
        self._delimiter = delimiter
        self._number = header_line + 1
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    @property
    def waiting(self) -> bool:
        """Whether a quote is open."""
        return bool(self._waiting)

    def skip(self, lines: int) -> None:
        """So many lines, each a row, were taken by somebody else."""
        self._number += lines

    def feed(self, lines: list[bytes]) -> Iterator[tuple[int, list[str] | None]]:
        """Rows that `lines` complete. Raises UsageError for a quote that is never closed."""
        for line in lines:
            open_quote = (line.count(b'"') % 2 == 1) != bool(self._waiting)
            if not open_quote and not self._waiting:
                yield self._number, self._row(line)
                self._number += 1
                continue
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            if not open_quote:
                yield from self.finish()
            elif self._waiting_bytes > LONGEST_LINE:
                raise UsageError(
                    f"{self._name} line {self._number} has a quote that is not closed", "mend the line"
                )

    def finish(self) -> Iterator[tuple[int, list[str] | None]]:
        """The row that waits for its closing quote, as it is."""
        if self._waiting:
            yield self._number, self._row(b"\n".join(self._waiting))
            self._number += len(self._waiting)
            self._waiting, self._waiting_bytes = [], 0

    def _row(self, record: bytes) -> list[str] | None:
        # Bytes that are no UTF-8 become halves of characters, which no key may hold.
        text = record.decode(errors="surrogateescape").removesuffix("\r")
        return _row_of(text, self._delimiter)

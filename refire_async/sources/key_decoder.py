"""Decodes the keys of a list; its format is recognized by its content. No I/O.

    gzip or plain > UTF-8, UTF-16 or UTF-32 > JSON lines, JSON documents or CSV

Bytes are pushed in chunks of any size, so they can come from a disk, a pipe or S3. Memory is bounded by the chunk,
what it unpacks to (at most `UNPACKED` at a time), and the longest line or value (`MAX_LINE_BYTES`).
"""

import codecs
from collections.abc import Callable, Iterator, Sequence

from refire_async.errors import UsageError
from refire_async.model.keys import Key, KeySchema
from refire_async.sources.bad_lines import BadLines
from refire_async.sources.csv_rows import DELIMITERS, CsvForm, CsvRows, find_form, find_separator
from refire_async.sources.encodings import Recoder
from refire_async.sources.json_documents import JsonDocuments, Part
from refire_async.sources.key_lines import (
    BY_TABLE,
    SEVERAL,
    BadLineError,
    key_of_columns,
    keys_in,
    keys_in_line,
    parse_json,
)
from refire_async.sources.lines import MAX_LINE_BYTES, Lines
from refire_async.sources.plain_lines import PlainKeys, PlainLines, csv_forms, json_forms
from refire_async.sources.unpacking import Unpacker

MIN_HEAD_BYTES = 1 << 16
"""Bytes that are needed to distinguish JSON documents from JSON lines whose first line is bad."""

OnPlain = Callable[[PlainKeys], None]


class KeyDecoder:
    """Decodes the keys of a list in order. Bad lines are noted in `bad` and skipped. `found` counts the keys."""

    def __init__(
        self, name: str, keys: KeySchema, on_plain: OnPlain | None = None, table: str | None = None
    ) -> None:
        """`name` is the name of the list in errors, `table` the table of the keys.

        `on_plain` receives the keys that need no decoding, which `feed` then does not return.
        """
        self.bad = BadLines()
        self.found = 0
        self._name = name
        self._keys = keys
        self._table = table
        self._on_plain = on_plain
        self._unpacker = Unpacker(name)
        self._recoder = Recoder(name)
        self._head = b""
        self._body: _Body | None = None

    def feed(self, chunk: bytes) -> Iterator[Key]:
        """The keys that `chunk` completes. Raises UsageError if this is not a list of keys."""
        for plain in self._unpacker.feed(chunk):
            yield from self._decode(self._recoder.feed(plain))

    def finish(self) -> Iterator[Key]:
        """The last keys. Raises UsageError."""
        for plain in self._unpacker.finish():
            yield from self._decode(self._recoder.feed(plain))
        yield from self._decode(self._recoder.feed(b"", last=True), last=True)

    def _decode(self, text: bytes, *, last: bool = False) -> Iterator[Key]:
        if self._body is None:
            self._head += text
            self._body = self._begin(self._head, last=last)
            if self._body is None:
                return
            text, self._head = self._head, b""
        for key in self._body.feed(text, last=last):
            self.found += 1
            yield key

    def _begin(self, head: bytes, *, last: bool) -> "_Body | None":
        """The decoder of the list that begins with `head`; None if more bytes are needed, or the list is empty."""
        first = head.lstrip()
        line, end, _ = first.partition(b"\n")
        whole = bool(end) or (last and bool(first))
        if not whole and len(head) <= MAX_LINE_BYTES:
            return None
        if first[:1] not in (b"{", b"["):
            return _RowBody(self._name, self._keys, self.bad, self._counted_plain())
        if whole and _is_json(line):
            return self._lines()
        if len(head) < MIN_HEAD_BYTES and not last:
            return None
        return self._documents() if _begins_document(head, last=last) else self._lines()

    def _documents(self) -> "_DocumentBody":
        return _DocumentBody(self._name, self._keys, self._table, self.bad)

    def _lines(self) -> "_LineBody":
        return _LineBody(self._name, self._keys, self._table, self.bad, self._counted_plain())

    def _counted_plain(self) -> OnPlain | None:
        on_plain = self._on_plain
        if on_plain is None:
            return None

        def count(plain: PlainKeys) -> None:
            self.found += len(plain.lines)
            on_plain(plain)

        return count


class _LineBody:
    """JSON lines."""

    def __init__(
        self, name: str, keys: KeySchema, table: str | None, bad: BadLines, on_plain: OnPlain | None
    ) -> None:
        self._keys = keys
        self._table = table
        self._bad = bad
        self._on_plain = on_plain
        self._splitter = Lines(name)
        self._forms = json_forms(keys)
        self._number = 0

    def feed(self, text: bytes, *, last: bool) -> Iterator[Key]:
        """See `KeyDecoder.feed`."""
        yield from self._decode(self._splitter.feed(text))
        if last:
            yield from self._decode(self._splitter.finish())

    def _decode(self, lines: list[bytes]) -> Iterator[Key]:
        if _passed_on(self._on_plain, self._forms, lines):
            self._number += len(lines)
            return
        for line in lines:
            self._number += 1
            if not line or line.isspace():
                continue
            try:
                found = keys_in_line(line, self._keys, self._table)
            except BadLineError as error:
                found = (error,)
            for place, one in enumerate(found, 1):
                if isinstance(one, BadLineError):
                    self._bad.add(self._number, str(one), place if len(found) > 1 else 0)
                else:
                    yield one


class _DocumentBody:
    """JSON documents, each of one or several lines."""

    def __init__(self, name: str, keys: KeySchema, table: str | None, bad: BadLines) -> None:
        self._keys = keys
        self._table = table
        self._bad = bad
        self._documents = JsonDocuments(name)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
        self._entries = 0

    def feed(self, text: bytes, *, last: bool) -> Iterator[Key]:
        """See `KeyDecoder.feed`."""
        for part in self._documents.feed(self._decoder.decode(text, last), last=last):
            yield from self._keys_of(part)

    def _keys_of(self, part: Part) -> Iterator[Key]:
        known = part.place in (None, self._table, *SEVERAL, *BY_TABLE)
        if part.element and not known:
            return
        # A member of a document that is too large to be decoded as a whole can be anything.
        value = part.value if part.element or part.place is None else {part.place: part.value}
        for one in keys_in(value, self._keys, self._table):
            self._entries += 1
            if not isinstance(one, BadLineError):
                yield one
            elif part.element or part.place is None:
                self._bad.add(part.line, str(one), self._entries)


class _RowBody:
    """CSV."""

    def __init__(self, name: str, keys: KeySchema, bad: BadLines, on_plain: OnPlain | None) -> None:
        self._name = name
        self._keys = keys
        self._bad = bad
        self._on_plain = on_plain
        self._splitter = Lines(name)
        self._forms: Sequence[PlainLines] = ()
        self._form: CsvForm | None = None
        self._rows: CsvRows | None = None
        self._separator: str | None = None
        self._number = 0

    def feed(self, text: bytes, *, last: bool) -> Iterator[Key]:
        """See `KeyDecoder.feed`."""
        lines = self._splitter.feed(text)
        yield from self._decode([*lines, *self._splitter.finish()] if last else lines, last=last)

    def _decode(self, lines: list[bytes], *, last: bool) -> Iterator[Key]:
        if self._rows is None:
            lines = self._begin(lines)
        rows, form = self._rows, self._form
        if rows is None or form is None:
            return
        if not rows.waiting and not last and _passed_on(self._on_plain, self._forms, lines):
            rows.skip(len(lines))
            return
        for number, row in rows.feed(lines, last=last):
            if isinstance(row, str):
                self._bad.add(number, row)
            elif row:
                try:
                    yield key_of_columns(row, form.columns, self._keys)
                except BadLineError as error:
                    self._bad.add(number, str(error))

    def _begin(self, lines: list[bytes]) -> list[bytes]:
        """Find the header. Raises UsageError if there is none and the rows cannot be read without one."""
        for position, line in enumerate(lines):
            self._number += 1
            if not line or line.isspace():
                continue
            if self._separator is None:
                self._separator = find_separator(line)
                if self._separator is not None:
                    continue
            form = find_form(line, self._keys, self._separator)
            if form is None:
                raise self._no_header(line)
            self._form = form
            self._rows = CsvRows(form, self._keys, self._number + (not form.headless))
            if not form.blanks:
                self._forms = csv_forms(self._keys, form.delimiter, form.columns, form.width)
            return lines[position + (not form.headless) :]
        return []

    def _no_header(self, line: bytes) -> UsageError:
        """The error for a line without a header. It does not repeat the text, which may contain keys."""
        delimiter = self._separator or max(DELIMITERS, key=lambda one: line.count(one.encode()))
        columns, names = line.count(delimiter.encode()) + 1, ", ".join(self._keys.names)
        return UsageError(
            f"{self._name} line {self._number} is neither JSON nor the header of a CSV with {names} "
            f"(it has {columns} {'column' if columns == 1 else 'columns'})",
            f"give one JSON object per line, or a first line with the names of the columns: {names}",
        )


def _is_json(line: bytes) -> bool:
    """Whether a line is JSON by itself."""
    try:
        parse_json(line)
    except BadLineError:
        return False
    return True


def _begins_document(head: bytes, *, last: bool) -> bool:
    """Whether `head` can be the beginning of a JSON document."""
    try:
        for _ in JsonDocuments("").feed(head.decode(errors="replace"), last=last):
            pass
    except UsageError:
        return False
    return True


_Body = _LineBody | _DocumentBody | _RowBody


def _passed_on(on_plain: OnPlain | None, forms: Sequence[PlainLines], lines: list[bytes]) -> bool:
    """Pass `lines` to `on_plain` if all of them are plain. Returns whether they are."""
    if on_plain is None or not lines:
        return False
    for form in forms:
        plain = form.read(lines)
        if plain is not None:
            on_plain(plain)
            return True
    return False

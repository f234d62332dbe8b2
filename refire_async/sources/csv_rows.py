"""Parses CSV rows from lines, in the form that the header defines. No I/O.

A quote opens a value only at the beginning of a value (RFC 4180); anywhere else it is a character, as in `5" steel`.
A quote that never closes, or closes where no value can end, makes its line bad but not the following ones, which are
parsed as rows of their own. The same applies if lines within quotes look like rows.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from refire_async.model.keys import KeySchema
from refire_async.sources.key_lines import BadLineError, columns_of, key_of_columns

DELIMITERS = ",;\t|"

MAX_QUOTED_BYTES = 1 << 20
"""Most bytes of a value that spans several lines."""

_SEPARATOR = re.compile(r'"?sep=([\t !#-~])"?\r?', re.IGNORECASE)
"""A line before the header that Excel accepts and some programs write."""

_NOT_CLOSED = "has a quote that is not closed"
_NOT_ENDED = "has a quote within a value in quotes"
_SPANS_ROWS = "has a quote that closes in a later line, and the lines between look like rows"


@dataclass(frozen=True, slots=True)
class CsvForm:
    """The form of a CSV: `columns` are the positions of the key attributes among `width` columns.

    `blanks`: spaces before (`, b`) or after (`a ,`) values do not belong to them. `headless`: the first line is a row.
    """

    delimiter: str
    columns: dict[str, int]
    width: int
    blanks: bool = False
    headless: bool = False


def find_separator(line: bytes) -> str | None:
    """The delimiter of a line `sep=;`, None for any other line."""
    match = _SEPARATOR.fullmatch(line.decode(errors="replace"))
    return match[1] if match else None


def find_form(header: bytes, keys: KeySchema, separator: str | None) -> CsvForm | None:
    """The form of a CSV that begins with this line; None if there is no header and it cannot be omitted.

    Columns are named like the key attributes, exactly or, if that is unambiguous, except for spaces and case. Without
    a header the columns are exactly the key attributes, in the table's order, and one is a number, which cannot be a
    column name.
    """
    delimiters = separator or DELIMITERS
    for blanks in (False, True):
        for delimiter in delimiters:
            names = Splitter(delimiter, blanks=blanks).split(_text(header)) or []
            columns = columns_of(names, keys)
            if columns is not None:
                return CsvForm(delimiter, columns, len(names), blanks=blanks)
    if "N" not in (keys.hash_type, keys.range_type):
        return None
    columns = {name: place for place, name in enumerate(keys.names)}
    for delimiter in delimiters:
        values = Splitter(delimiter, blanks=True).split(_text(header)) or []
        if len(values) == len(columns) and _names_key(values, columns, keys):
            blanks = values != Splitter(delimiter).split(_text(header))
            return CsvForm(delimiter, columns, len(columns), blanks=blanks, headless=True)
    return None


def _names_key(values: list[str], columns: dict[str, int], keys: KeySchema) -> bool:
    try:
        key_of_columns(values, columns, keys)
    except BadLineError:
        return False
    return True


class Splitter:
    """Splits the values of one form of CSV."""

    def __init__(self, delimiter: str, *, blanks: bool = False) -> None:
        self._delimiter = delimiter
        self._blanks = blanks
        apart, pad = re.escape(delimiter), r" *+" if blanks else ""
        inside = r'(?:[^"]++|"")*+'
        closed = rf'{pad}"{inside}"{pad}'
        bare = rf'{pad}(?:[^"{apart}\n{" " if blanks else ""}][^{apart}\n]*+)?'
        more = rf"(?:{apart}(?:{closed}|{bare}))*+"
        opens = rf'{pad}"{inside}'
        # (whether a quote is open before the line, whether one is after it)
        self._forms = {
            (False, False): re.compile(rf"(?:{closed}|{bare}){more}".encode()),
            (False, True): re.compile(rf"(?:(?:{closed}|{bare}){apart})*{opens}".encode()),
            (True, False): re.compile(rf'{inside}"{pad}{more}'.encode()),
            (True, True): re.compile(
                rf'{inside}(?:"{pad}{apart}(?:(?:{closed}|{bare}){apart})*{opens})?'.encode()
            ),
        }
        self._value = re.compile(rf'(?:^|{apart})(?:{pad}"({inside})"{pad}|([^{apart}]*+))')

    def after(self, line: bytes, *, inside: bool) -> bool | None:
        """Whether a quote is open after `line`, given whether one was open before (`inside`); None if it is not CSV."""
        for opened in (False, True):
            if self._forms[inside, opened].fullmatch(line):
                return opened
        return None

    def split(self, record: str) -> list[str] | None:
        """The values of a complete record; None if it is not CSV."""
        if '"' in record and self.after(record.encode(errors="surrogateescape"), inside=False) is not False:
            return None
        return self.values(record)

    def values(self, record: str) -> list[str]:
        """The values of a record that is known to be CSV."""
        if '"' not in record:
            values = record.split(self._delimiter)
        else:
            found = self._value.findall(record)
            values = [quoted.replace('""', '"') if quoted else bare for quoted, bare in found]
        return [value.strip(" ") for value in values] if self._blanks else values


class CsvRows:
    """Parses rows, each with the number of its first line. A value in quotes can contain line ends."""

    def __init__(self, form: CsvForm, keys: KeySchema, number: int) -> None:
        """`number` is that of the next line."""
        self._form = form
        self._keys = keys
        self._splitter = Splitter(form.delimiter, blanks=form.blanks)
        self._number = number
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    @property
    def waiting(self) -> bool:
        """Whether a quote is open."""
        return bool(self._waiting)

    def skip(self, lines: int) -> None:
        """Count `lines` lines, each a row, that were decoded elsewhere."""
        self._number += lines

    def feed(self, lines: Iterable[bytes], *, last: bool = False) -> Iterator[tuple[int, list[str] | str]]:
        """(line number, row) of rows that `lines` complete; a string instead of the row says why it is bad.

        With `last`, rows that wait for a closing quote are bad.
        """
        todo = deque(lines)
        while todo or (last and self._waiting):
            bad = _NOT_CLOSED
            if todo:
                line = todo.popleft()
                if not self._waiting and b'"' not in line:
                    yield self._number, self._row([line])
                    self._number += 1
                    continue
                opened = self._splitter.after(line.removesuffix(b"\r"), inside=bool(self._waiting))
                self._waiting.append(line)
                self._waiting_bytes += len(line)
                if opened and self._waiting_bytes <= MAX_QUOTED_BYTES:
                    continue
                if opened is False:
                    row = self._row(self._waiting)
                    if not any(map(self._looks_like_a_row, self._waiting[1:])):
                        yield self._number, row
                        self._number += len(self._waiting)
                        self._waiting, self._waiting_bytes = [], 0
                        continue
                    bad = _SPANS_ROWS
                elif opened is None:
                    bad = _NOT_ENDED
            yield self._number, bad
            self._number += 1
            todo.extendleft(reversed(self._waiting[1:]))
            self._waiting, self._waiting_bytes = [], 0

    def _row(self, lines: list[bytes]) -> list[str] | str:
        values = self._splitter.values(_text(b"\n".join(lines)))
        if not any(map(str.strip, values)):
            return []
        if any(value.strip() for value in values[self._form.width :]):
            return "has more columns than the header"
        return values

    def _looks_like_a_row(self, line: bytes) -> bool:
        """Whether a line within quotes has as many values as a row, and a key among them."""
        values = _text(line).split(self._form.delimiter)
        bare = [value.strip(' "') for value in values]
        return len(bare) == self._form.width and _names_key(bare, self._form.columns, self._keys)


def _text(line: bytes) -> str:
    # Bytes that are not UTF-8 become unpaired surrogates, which no key may contain.
    return line.decode(errors="surrogateescape").removesuffix("\r")

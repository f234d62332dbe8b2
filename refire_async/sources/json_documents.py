"""JSON values one after the other, of any size, in text that comes in pieces. No I/O.

A value that is complete within `MAX_VALUE_CHARS` is decoded as a whole. A larger one is stepped into: its members or
elements are given one by one. So an answer of Scan of any size takes memory for that many characters and what they
decode to: measured, 40 MB where there are many items of usual sizes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from json import JSONDecoder
from typing import Any

from refire_async.errors import UsageError
from refire_async.sources.lines import LONGEST_LINE

MAX_VALUE_CHARS = LONGEST_LINE
LEAST = 1 << 16
"""Characters that are waited for before a value that was not complete is looked at again."""

DEEPEST = 32
"""Brackets that are stepped into. Items lie a few deep; 1 MB of gzip can hold 1 GB of nothing but brackets."""

_BLANK = re.compile(r"[ \t\n\r]*")
_NAME = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\.)*+"')
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_DECODER = JSONDecoder(parse_float=Decimal)


@dataclass(frozen=True, slots=True)
class Part:
    """A value in the text: a whole document, or an element of one that was stepped into.

    `line` is where it begins. `place` is the name of the member that it is, or whose array it is an element of; None
    at the top and in an array at the top. `element`: it is one of an array.
    """

    line: int
    value: Any
    place: str | None
    element: bool


class JsonDocuments:
    """Parts of documents; see `Part`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._text = ""
        self._at = 0
        self._line = 1
        self._counted = 0
        self._pending: list[str] = []
        self._pending_size = 0
        self._needed = LEAST
        self._open: list[tuple[str, str | None]] = []
        """Brackets that were stepped into, each with the name of the member that it belongs to."""
        self._member: str | None = None
        self._first = True
        """Nothing has been read since the last bracket was opened."""
        self._complete = False
        """A value is complete: a comma or a closing bracket follows."""

    def feed(self, text: str, *, last: bool = False) -> Iterator[Part]:
        """Parts that `text` completes. Raises UsageError for what is not JSON, by its line."""
        self._pending.append(text)
        self._pending_size += len(text)
        if self._pending_size < self._needed and not last:
            return
        self._text = self._text[self._at :] + "".join(self._pending)
        self._at = self._counted = 0
        self._pending, self._pending_size = [], 0
        while self._skip_blanks():
            if self._punctuation():
                continue
            begun = self._value_begin()
            if begun is None:
                break
            name, at = begun
            try:
                value, end = _DECODER.raw_decode(self._text, at)
            except (ValueError, RecursionError) as error:
                if not last and len(self._text) - at < MAX_VALUE_CHARS:
                    break  # not complete yet, or not JSON: more text tells
                if self._step_into(name, at):
                    continue
                raise self._refusal(getattr(error, "pos", at)) from None
            if end == len(self._text) and not last and not isinstance(value, dict | list):
                break  # a number may go on
            self._count(at)
            place, element = self._place(name)
            yield Part(self._line, value, place, element)
            self._at, self._complete, self._first = end, True, False
        if last and (self._at < len(self._text) or self._open):
            raise self._refusal(min(len(self._text), self._at))
        self._count(self._at)
        self._needed = max(LEAST, len(self._text) - self._at)

    def _skip_blanks(self) -> bool:
        """Go to what follows. Returns False at the end of the text."""
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at < len(self._text)

    def _punctuation(self) -> bool:
        """Take a comma or a closing bracket, where one may stand. Raises UsageError where one must."""
        if not self._open:
            self._complete = False  # documents need nothing between them
            return False
        sign = self._text[self._at]
        if sign == "]}"[self._open[-1][0] == "{"] and (self._complete or self._first):
            self._open.pop()
            self._complete, self._first = True, False
        elif not self._complete:
            return False
        elif sign == ",":
            self._complete = False
        else:
            raise self._refusal(self._at)
        self._at += 1
        return True

    def _value_begin(self) -> tuple[str | None, int] | None:
        """The name of the member that begins here, if it is one, and where its value does; None if more text tells."""
        if not self._open or self._open[-1][0] == "[":
            return None, self._at
        name = _NAME.match(self._text, self._at)
        colon = _COLON.match(self._text, name.end()) if name else None
        if name is not None and colon is not None and colon.end() < len(self._text):
            return str(_DECODER.decode(name[0])), colon.end()
        # Either the text ends here, or this is no member.
        complete = _BLANK.match(self._text, name.end()) if name is not None else None
        begun = complete is None or complete.end() == len(self._text) or colon is not None
        if self._text[self._at] != '"' or not begun or len(self._text) - self._at > MAX_VALUE_CHARS:
            raise self._refusal(self._at)
        return None

    def _step_into(self, name: str | None, at: int) -> bool:
        """Open the bracket at `at`, if it belongs to a value that is too large. Returns False for what is not JSON."""
        if len(self._text) - at < MAX_VALUE_CHARS or self._text[at] not in "[{" or len(self._open) == DEEPEST:
            return False
        inherited = self._open[-1][1] if self._open else None
        self._open.append((self._text[at], name if name is not None else inherited))
        self._at, self._first, self._complete = at + 1, True, False
        return True

    def _place(self, name: str | None) -> tuple[str | None, bool]:
        if name is not None or not self._open:
            return name, False
        return self._open[-1][1], True

    def _count(self, at: int) -> None:
        """Count the lines up to `at`."""
        self._line += self._text.count("\n", self._counted, at)
        self._counted = at

    def _refusal(self, at: int) -> UsageError:
        self._count(at)
        return UsageError(f"{self._name} is not JSON at line {self._line}", "mend it, or make it again")

"""Decodes a sequence of JSON documents of any size from text that arrives in chunks. No I/O.

A value that is complete within `MAX_VALUE_CHARS` is decoded as a whole. For a larger one, its members or elements are
decoded one by one. So a Scan response of any size takes memory for that many characters and what they decode to: 40
MB, measured with many items of common sizes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from json import JSONDecoder
from typing import Any

from refire_async.errors import UsageError
from refire_async.sources.lines import MAX_LINE_BYTES

MAX_VALUE_CHARS = MAX_LINE_BYTES
MIN_CHARS = 1 << 16
"""Number of further characters before an incomplete value is parsed again."""

MAX_DEPTH = 32
"""Most nested brackets that are opened. Items are a few levels deep; 1 MB of gzip can contain 1 GB of brackets."""

_BLANK = re.compile(r"[ \t\n\r]*")
_NAME = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\.)*+"')
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_DECODER = JSONDecoder(parse_float=Decimal)


@dataclass(frozen=True, slots=True)
class Part:
    """A value in the text: a whole document, or a member or element of one that is too large.

    `line` is where it begins. `place` is its name if it is a member, or the name of the member that contains its
    array; None at the top level and in an array at the top level. `element`: it is an element of an array.
    """

    line: int
    value: Any
    place: str | None
    element: bool


class JsonDocuments:
    """Decodes documents into parts; see `Part`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._text = ""
        self._at = 0
        self._line = 1
        self._counted = 0
        self._pending: list[str] = []
        self._pending_size = 0
        self._needed = MIN_CHARS
        self._open: list[tuple[str, str | None]] = []
        """Open brackets, each with the name of the member that it belongs to."""
        self._member: str | None = None
        self._first = True
        """Whether nothing was read since the last bracket was opened."""
        self._complete = False
        """Whether a value is complete, so that a comma or a closing bracket must follow."""

    def feed(self, text: str, *, last: bool = False) -> Iterator[Part]:
        """The parts that `text` completes. Raises UsageError with the line if it is not JSON."""
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
                    break  # not complete yet, or not JSON: wait for more text
                if self._step_into(name, at):
                    continue
                raise self._refusal(getattr(error, "pos", at)) from None
            if end == len(self._text) and not last and not isinstance(value, dict | list):
                break  # a number may continue
            self._count(at)
            place, element = self._place(name)
            yield Part(self._line, value, place, element)
            self._at, self._complete, self._first = end, True, False
        if last and (self._at < len(self._text) or self._open):
            raise self._refusal(min(len(self._text), self._at))
        self._count(self._at)
        self._needed = max(MIN_CHARS, len(self._text) - self._at)

    def _skip_blanks(self) -> bool:
        """Skip spaces. Returns False at the end of the text."""
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at < len(self._text)

    def _punctuation(self) -> bool:
        """Consume a comma or a closing bracket if one is allowed. Raises UsageError if one is required but missing."""
        if not self._open:
            self._complete = False  # documents need no separator
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
        """(name of the member that begins here or None, position of its value); None if more text is needed."""
        if not self._open or self._open[-1][0] == "[":
            return None, self._at
        name = _NAME.match(self._text, self._at)
        colon = _COLON.match(self._text, name.end()) if name else None
        if name is not None and colon is not None and colon.end() < len(self._text):
            return str(_DECODER.decode(name[0])), colon.end()
        # Either the text ends here, or this is not a member.
        complete = _BLANK.match(self._text, name.end()) if name is not None else None
        begun = complete is None or complete.end() == len(self._text) or colon is not None
        if self._text[self._at] != '"' or not begun or len(self._text) - self._at > MAX_VALUE_CHARS:
            raise self._refusal(self._at)
        return None

    def _step_into(self, name: str | None, at: int) -> bool:
        """Open the bracket at `at` if its value is too large. Returns False if it is not JSON."""
        if (
            len(self._text) - at < MAX_VALUE_CHARS
            or self._text[at] not in "[{"
            or len(self._open) == MAX_DEPTH
        ):
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
        return UsageError(f"{self._name} is not JSON at line {self._line}", "correct it, or create it again")

"""Processes blocks of lines in a plain form without decoding each line. Pure.

A line is plain if one pattern matches all of it: no escapes, no quotes in CSV, numbers in canonical form. Its values
are then copied to the list of the run. This takes a fifth of the time of decoding line by line. If one line of a
block is not plain, the whole block is decoded, so that the meaning of a line is defined in one place
(`sources.key_lines`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import orjson

from refire_async.model.keys import KeySchema
from refire_async.sources.key_lines import MAX_HASH_BYTES, MAX_RANGE_BYTES

_NUMBER = rb"[1-9][0-9]{0,37}"
"""Positive whole numbers in canonical form."""

_BARE_NUMBER = rb"[1-9][0-9]{0,17}"
"""Numbers in plain JSON. Fast JSON parsers can change larger ones."""

_SHORTENED = rb"(?![0-9]\.[0-9]+E\+)"
"""Excludes numbers that a spreadsheet may have shortened."""


def _text(most: int, apart: bytes = b"") -> bytes:
    """Characters that JSON does not escape, at most `most` bytes; whether they are UTF-8 is checked per block."""
    return rb'[^"\\\x00-\x1f%b]{1,%d}' % (apart, most)


@dataclass(frozen=True, slots=True)
class PlainKeys:
    """The keys of lines: the text of each hash key, and each key as a line of DynamoDB JSON."""

    hashes: Sequence[bytes]
    lines: Sequence[bytes]


class PlainLines:
    """One plain form of lines."""

    def __init__(self, pattern: bytes, keys: KeySchema, *, hash_first: bool = True) -> None:
        """`pattern` has a group for each key value; `hash_first`: the first one is the hash key."""
        self._pattern = re.compile(rb"^%b\r?$" % pattern, re.MULTILINE)
        self._composite = keys.range_name is not None
        self._hash_first = hash_first
        self._before = b"{%b" % _opening(keys.hash_name, keys.hash_type)
        self._between = b'"},%b' % _opening(keys.range_name or "", keys.range_type or "")

    def read(self, lines: Sequence[bytes]) -> PlainKeys | None:
        """The keys of `lines` in order; None unless all lines are plain."""
        block = b"\n".join(lines)
        found = self._pattern.findall(block)
        if len(found) != len(lines) or not _is_text(block):
            return None
        before, between = self._before, self._between
        if not self._composite:
            return PlainKeys(found, [before + value + b'"}}\n' for value in found])
        first, second = zip(*found, strict=True)
        hashes, ranges = (first, second) if self._hash_first else (second, first)
        pairs = zip(hashes, ranges, strict=True)
        return PlainKeys(hashes, [before + value + between + sort + b'"}}\n' for value, sort in pairs])


def json_forms(keys: KeySchema) -> list[PlainLines]:
    """DynamoDB JSON, and plain JSON; hash key first.

    None for binary keys, whose text must be converted to canonical form.
    """
    kinds = [keys.hash_type] if keys.range_type is None else [keys.hash_type, keys.range_type]
    if "B" in kinds:
        return []
    sized = [*zip(kinds, (MAX_HASH_BYTES, MAX_RANGE_BYTES), strict=False)]
    typed = [
        rb'\{"%b": ?"(%b)"\}' % (kind.encode(), _text(most) if kind == "S" else _NUMBER)
        for kind, most in sized
    ]
    bare = [rb'"(%b)"' % _text(most) if kind == "S" else b"(%b)" % _BARE_NUMBER for kind, most in sized]
    names = [re.escape(orjson.dumps(name)) for name in keys.names]
    forms = []
    for values in (typed, bare):
        members = [rb"%b: ?%b" % pair for pair in zip(names, values, strict=True)]
        forms.append(PlainLines(rb"\{%b\}" % rb", ?".join(members), keys))
    return forms


def csv_forms(keys: KeySchema, delimiter: str, columns: Mapping[str, int], width: int) -> list[PlainLines]:
    """Rows of CSV without quotes, of at most `width` columns. `columns` are the positions of the key attributes.

    None for binary keys.
    """
    kinds = dict(zip(keys.names, (keys.hash_type, keys.range_type), strict=False))
    if "B" in kinds.values():
        return []
    apart = re.escape(delimiter.encode())
    other = rb'[^"\r\n%b]*' % apart
    cells = list(repeat(other, max(columns.values()) + 1))
    for (name, kind), most in zip(kinds.items(), (MAX_HASH_BYTES, MAX_RANGE_BYTES), strict=False):
        value = _SHORTENED + _text(most, apart) if kind == "S" else _NUMBER
        cells[columns[name]] = rb"(%b)" % value
    rest = rb"(?:%b%b){0,%d}%b*" % (apart, other, width - len(cells), apart)
    hash_first = keys.range_name is None or columns[keys.hash_name] < columns[keys.range_name]
    return [PlainLines(apart.join(cells) + rest, keys, hash_first=hash_first)]


def _opening(name: str, kind: str) -> bytes:
    """A member of a key up to its value."""
    return b'%b:{"%b":"' % (orjson.dumps(name), kind.encode())


def _is_text(block: bytes) -> bool:
    """Whether it is UTF-8, so that no key has an unpaired surrogate."""
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True

"""Lines of a list that are as plain as programs write them, taken together without decoding each. Pure.

A line is plain if one pattern tells all of it: no escapes, no quotes in CSV, numbers in their canonical text. Its
values then stand in the list of the run as they are. This costs a fifth of decoding line by line; where one line of a
block is not plain, the whole block is decoded, so that what a line means is decided in one place (`sources.key_lines`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import orjson

from refire_async.model.keys import KeySchema
from refire_async.sources.key_lines import LARGEST_HASH, LARGEST_RANGE

_NUMBER = rb"[1-9][0-9]{0,37}"
"""Whole numbers in the text that DynamoDB gives back for them."""

_BARE_NUMBER = rb"[1-9][0-9]{0,17}"
"""Such as are not in DynamoDB JSON. Larger ones than these need not survive a quick JSON reader."""

_SHORTENED = rb"(?![0-9]\.[0-9]+E\+)"
"""Not what a spreadsheet may have shortened."""


def _text(most: int, apart: bytes = b"") -> bytes:
    """Characters that JSON has as they are, at most `most` bytes; that they are UTF-8 is looked at by the block."""
    return rb'[^"\\\x00-\x1f%b]{1,%d}' % (apart, most)


@dataclass(frozen=True, slots=True)
class PlainKeys:
    """Keys of some lines: the text of each hash key, and each key in DynamoDB JSON with the end of a line."""

    hashes: Sequence[bytes]
    lines: Sequence[bytes]


class PlainLines:
    """One plain form of lines."""

    def __init__(self, pattern: bytes, keys: KeySchema, *, hash_first: bool = True) -> None:
        """`pattern` has a group for each key value; `hash_first` tells which one is the hash key's."""
        self._pattern = re.compile(rb"^%b\r?$" % pattern, re.MULTILINE)
        self._composite = keys.range_name is not None
        self._hash_first = hash_first
        self._before = b"{%b" % _opening(keys.hash_name, keys.hash_type)
        self._between = b'"},%b' % _opening(keys.range_name or "", keys.range_type or "")

    def read(self, lines: Sequence[bytes]) -> PlainKeys | None:
        """The keys of `lines`, in their order; None unless all of them are plain."""
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
    """DynamoDB JSON, and plain JSON; hash key first. None for binary keys: their text has to be made canonical."""
    kinds = [keys.hash_type] if keys.range_type is None else [keys.hash_type, keys.range_type]
    if "B" in kinds:
        return []
    sized = [*zip(kinds, (LARGEST_HASH, LARGEST_RANGE), strict=False)]
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
    """Rows of CSV without quotes, of at most `width` columns. `columns` tells where each key attribute stands.

    None for binary keys.
    """
    kinds = dict(zip(keys.names, (keys.hash_type, keys.range_type), strict=False))
    if "B" in kinds.values():
        return []
    apart = re.escape(delimiter.encode())
    other = rb'[^"\r\n%b]*' % apart
    cells = list(repeat(other, max(columns.values()) + 1))
    for (name, kind), most in zip(kinds.items(), (LARGEST_HASH, LARGEST_RANGE), strict=False):
        value = _SHORTENED + _text(most, apart) if kind == "S" else _NUMBER
        cells[columns[name]] = rb"(%b)" % value
    rest = rb"(?:%b%b){0,%d}%b*" % (apart, other, width - len(cells), apart)
    hash_first = keys.range_name is None or columns[keys.hash_name] < columns[keys.range_name]
    return [PlainLines(apart.join(cells) + rest, keys, hash_first=hash_first)]


def _opening(name: str, kind: str) -> bytes:
    """A member of a key up to its value."""
    return b'%b:{"%b":"' % (orjson.dumps(name), kind.encode())


def _is_text(block: bytes) -> bool:
    """Whether it is UTF-8, so that no key has half of a character."""
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True

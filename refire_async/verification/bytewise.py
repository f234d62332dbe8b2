"""Observed changes by their bytes: rows from an answer to GetRecords, most of them without decoding anything. Pure.

Nearly all records of a run are its touches. Their images are equal bytes but for the digits of the marker, so they are
compared as bytes: the marker is found in the new image and cut out, and what is left on both sides of it must be the
beginning and the end of the old image. Three things make that exact. Quotes within a text are escaped, so a name in
quotes behind a comma or a brace is a name. No map begins before the marker, so it is an attribute of the item. And
equal bytes are equal values; of unequal ones nothing follows, and the record is decoded.

Whatever is not of this form is decoded: other changes, other view types, markers that do not count up, escapes in
keys, white space. Both ways give the same rows.
"""

import re
from collections.abc import Callable
from functools import partial
from hashlib import blake2b

import orjson

from refire_async.aws.record_layouts import CUT, CUT_SIZE, Layout, layouts
from refire_async.aws.streams import LAST_SECOND, parse_record, parse_records
from refire_async.model.run import RunSpec
from refire_async.verification.encoding import CERTAIN_TOUCH, ObservedRow
from refire_async.verification.observed import Record, encoder

EncodeAnswer = Callable[[bytes], list[ObservedRow]]

_NEW, _OLD = b'NewImage":{', b'},"OldImage":{'
_NEW_SIZE, _OLD_SIZE = len(_NEW), len(_OLD)
_END = b"}," + CUT
_MAP = b'{"M":{'
_HIDING = b"\\u"
_COMMA = ord(",")
_MAX_DIGITS = 18
"""Markers with more are left to the decoder, which knows how to count them."""


def answer_encoder(spec: RunSpec) -> EncodeAnswer:
    """A function that encodes a 200 of GetRecords, in the order of its records. Raises AwsError if it is none."""
    encode = encoder(spec)

    def decoded(answer: bytes) -> list[ObservedRow]:
        return [encode(record) for record in parse_records(answer)]

    token = orjson.dumps(spec.marker.attribute) + b':{"N":"'
    if spec.marker.kind != "revision" or b"\\" in token:
        return decoded
    ways = [_Way(spec, layout, token, encode) for layout in _layouts(spec)]

    def encode_answer(answer: bytes) -> list[ObservedRow]:
        if _OLD in answer and _NEW in answer:
            for way in ways:
                rows = way.rows(answer)
                if rows is not None:
                    return rows
        return decoded(answer)

    return encode_answer


def _layouts(spec: RunSpec) -> tuple[Layout, ...]:
    """Those of records with the keys of the table; group `first` and, of two attributes, `second` are their values."""
    keys = spec.keys
    members = {
        name: rb'%b:(?P<%b>\{"%b":"[^"\\]*"\})' % (re.escape(orjson.dumps(name)), place, str(kind).encode())
        for name, kind, place in zip(
            keys.names, (keys.hash_type, keys.range_type), (b"first", b"second"), strict=False
        )
    }
    in_order = b",".join(members[name] for name in sorted(members, key=str.encode))
    return layouts(rb"\{%b\}" % in_order, groups=frozenset(("border", "created", "first", "second")))


class _Way:
    """Encodes answers of one layout."""

    def __init__(
        self, spec: RunSpec, layout: Layout, token: bytes, encode: Callable[[Record], ObservedRow]
    ) -> None:
        self._layout = layout
        self._token = token
        self._encode = encode
        self._two = len(spec.keys.names) == 2
        self._size = 0
        """Bytes of the new image that was seen last: a guess for the next one, as all images of a table are alike."""
        self._behind = 0
        """Bytes from the marker to the end of that image."""

    def rows(self, answer: bytes) -> list[ObservedRow] | None:
        """The rows of an answer; None if it is not of the layout. Raises AwsError."""
        layout, two, touch_at, find = self._layout, self._two, self._touch, answer.find
        between, digest = layout.between.match, partial(blake2b, digest_size=16)
        rows: list[ObservedRow] = []
        found = layout.first.match(answer)
        while found is not None:
            at = found.end()
            second, touch = int(float(found["created"])), touch_at(answer, at)
            if touch is not None and second <= LAST_SECOND:
                cut, before = touch
                following = between(answer, cut + CUT_SIZE)
                key = b"[%b,%b]" % found.group("first", "second") if two else found["first"]
                rows.append((digest(key).digest(), before, before + 1, second, CERTAIN_TOUCH))
            else:
                # Without images, the number follows at once, and the layout took its quote.
                cut = find(CUT, at - 1)
                following = between(answer, cut + CUT_SIZE)
                end = following or layout.last.match(answer, cut + CUT_SIZE)
                if cut < 0 or end is None:
                    return None
                rows.append(self._encode(parse_record(answer[found.end("border") : end.start("border")])))
            if following is None:
                return rows if layout.last.match(answer, cut + CUT_SIZE) is not None else None
            found = following
        return None

    def _touch(self, answer: bytes, at: int) -> tuple[int, int] | None:
        """Whether the images that begin at `at` are those of a touch: then where the sequence number of the record is,
        and the marker before."""
        starts, find, token = answer.startswith, answer.find, self._token
        if not starts(_NEW, at):
            return None
        new = at + _NEW_SIZE
        middle = new + self._size
        if not starts(_OLD, middle):
            middle = find(_OLD, new, find(CUT, new))  # not beyond the record
            if middle < 0:
                return None
            self._size = middle - new
        place = middle - self._behind
        if not starts(token, place) or place < new:
            place = find(token, new, middle)
            self._behind = middle - place
        digits = place + len(token)
        stop = find(b'"', digits, digits + _MAX_DIGITS + 1)
        number = answer[digits:stop]
        if (
            place < 0
            or (place > new and answer[place - 1] != _COMMA)
            or not number.isdigit()
            or not starts(b'"}', stop, middle)
            or not self._is_own(answer, (new, place, stop, middle))
        ):
            return None
        old, before = middle + _OLD_SIZE, int(number) - 1
        head, rest = answer[new:digits], answer[stop:middle]
        if starts(head, old):
            end = old + len(head)
            text = b"%d" % before
            if starts(text, end) and starts(rest, end + len(text)):
                end += len(text) + len(rest)
                return (end + 2, before) if starts(_END, end) else None
        if before:
            return None
        # There was no marker: one comma less.
        text = answer[new : place - 1] + rest[2:] if place > new else rest[3:]
        end = old + len(text)
        return (end + 2, 0) if starts(text, old) and starts(_END, end) else None

    @staticmethod
    def _is_own(answer: bytes, places: tuple[int, int, int, int]) -> bool:
        """Whether the marker is certainly an attribute of the item, not of a map in it.

        A map that contains it begins before it with `_MAP`, where no escape hides the letter, and ends behind it with
        three braces at least.
        """
        new, place, stop, middle = places
        if place - new < middle - stop:
            return answer.find(_MAP, new, place) < 0 and answer.find(_HIDING, new, place) < 0
        return answer.find(b"}}}", stop, middle) < 0

"""Event records out of an answer to GetRecords: the JSON bytes are cut between records, not decoded. Pure, no I/O.

A record in an event is the record that GetRecords gave plus `eventSourceARN`; the members of `userIdentity` are renamed
(Lambda Developer Guide: Using Lambda with DynamoDB). Everything else passes as it is.

aws/record_layouts.py says where the cuts are. One regular expression matches what lies between the images of two
records, with the key, the time and the kind of event in it. If it does not match (white space, members in another
order), the answer is decoded instead, with the same result.
"""

import re
from itertools import repeat
from struct import Struct
from typing import Any, NamedTuple, cast

import orjson

from refire_async.aws.errors import lost_answer
from refire_async.aws.record_layouts import CUT, CUT_SIZE, TEXT, TIME, Layout, layouts
from refire_async.aws.streams import parse_records
from refire_async.delivery.keys import canonical_key
from refire_async.delivery.record import EventKind, EventRecord

_MOST_TEMPLATES = 4
"""Per answer: records differ in the digits of their size, rarely in those of other values."""

_KINDS: dict[bytes, EventKind] = {b"INSERT": "INSERT", b"MODIFY": "MODIFY", b"REMOVE": "REMOVE"}
LONGEST_NUMBER = 40
"""Digits of a sequence number (API reference: StreamRecord)."""

_RENAMED = {"Type": "type", "PrincipalId": "principalId"}


_CANONICAL = {
    b"S": rb'[^"\\]*',
    b"N": rb"(?:0|-?[1-9][0-9]{0,17}|-?(?:0|[1-9][0-9]{0,17})\.[0-9]{0,17}[1-9])",
    b"B": rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)?",
}
"""Texts of key values that are in canonical form already. Other texts for the same value do not match."""

_TIME_TEXT = re.compile(TIME)


def _key(number: bytes) -> bytes:
    names = (number, TEXT, number, number, TEXT)
    return rb'"(?P<name%b>%b)":\{"(?P<type%b>[SNB])":"(?P<value%b>%b)"\}' % names


_LAYOUTS = layouts(rb"(?P<keys>\{%b(?:,%b)?\})" % (_key(b"1"), _key(b"2")))


class SlicedAnswer(NamedTuple):
    """The records of an answer to GetRecords, and the sequence number of the last one as the service writes it."""

    records: list[EventRecord]
    last: str | None


def slice_answer(answer: bytes, stream_arn: str) -> SlicedAnswer:
    """The records of a 200 of GetRecords, in the form of an event. Raises AwsError if it is not such an answer."""
    origin = b',"eventSourceARN":%b}' % orjson.dumps(stream_arn)
    for layout in _LAYOUTS:
        cutting = _Cutting(answer, origin, layout)
        if cutting.succeeds():
            return cutting.sliced()
    return decode_answer(answer, stream_arn)


def decode_answer(answer: bytes, stream_arn: str) -> SlicedAnswer:
    """As `slice_answer`, for JSON of any form. Raises AwsError."""
    parsed = parse_records(answer)
    records = [_decoded(record, stream_arn) for record in parsed]
    last: str | None = parsed[-1]["dynamodb"]["SequenceNumber"] if parsed else None
    return SlicedAnswer(records, last)


class _Cutting:
    """Cuts one answer. What it finds of the records is in columns, one entry per record each."""

    def __init__(self, answer: bytes, origin: bytes, layout: Layout) -> None:
        self.answer = answer
        self.origin = origin
        self._layout = layout
        self._kind_first = "kind" in layout.first.groupindex
        self.bodies: list[bytes] = []
        self.keys: list[bytes] = []
        self.numbers: list[bytes] = []
        self.times: list[float] = []
        self.kinds: list[EventKind] = []
        self.begin = 0
        """Where the record that is under way begins."""

    def succeeds(self) -> bool:
        """Whether the whole answer is of the layout; then it is cut."""
        found = self._layout.first.match(self.answer)
        if found is None or not self._take_begin(found):
            return False
        cut = self.answer.find(CUT, found.end() - 1)
        templates: list[_Template] = []
        while cut >= 0:
            found = self._layout.between.match(self.answer, cut + CUT_SIZE)
            if found is None:
                return self._ends(cut)
            self._take_end(found)
            if not self._take_begin(found):
                return False
            cut = self.answer.find(CUT, found.end() - 1)
            if len(templates) < _MOST_TEMPLATES and _Template.suits(found):
                templates.append(_Template(found))
            for template in templates:
                cut = template.cut(self, cut)
        return False

    def _ends(self, cut: int) -> bool:
        """Whether the sequence number at `cut` is that of the last record; then it is taken."""
        found = self._layout.last.match(self.answer, cut + CUT_SIZE)
        if found is None:
            return False
        self._take_end(found)
        return True

    def sliced(self) -> SlicedAnswer:
        """The records, after `succeeds`."""
        rows = zip(self.bodies, self.keys, map(int, self.numbers), self.times, self.kinds, strict=True)
        # As `EventRecord(*row)`, in a third of the time.
        records = cast("list[EventRecord]", list(map(tuple.__new__, repeat(EventRecord), rows)))
        return SlicedAnswer(records, self.numbers[-1].decode())

    def _take_begin(self, found: re.Match[bytes]) -> bool:
        """Begin a record. False if its key is not one."""
        try:
            self.keys.append(canonical_key(orjson.loads(found["keys"])))
        except ValueError:
            return False
        self.times.append(float(found["created"]))
        if self._kind_first:
            self.kinds.append(_KINDS[found["kind"]])
        self.begin = found.end("border")
        return True

    def _take_end(self, found: re.Match[bytes]) -> None:
        """End the record that is under way."""
        self.numbers.append(found["number"])
        if not self._kind_first:
            self.kinds.append(_KINDS[found["kind"]])
        body = self.answer[self.begin : found.start("border") - 1] + self.origin
        self.bodies.append(body if found["user"] is None else _with_renamed_user(body))


class _Template:
    """Cuts records that have the same texts, at the same distances, between two records' images as those of `found`.

    Free are the values of number, size, id, kind, and time (in so many bytes), and keys and images (in any). To take
    the texts out and compare them costs a third of the regular expression.
    """

    def __init__(self, found: re.Match[bytes]) -> None:
        text = found.string
        free = ("number", "size", "id", "kind", "created")
        borders = [found.span(name) for name in free]
        ends = [*(start for start, _ in borders[1:]), found.start("keys")]
        self._texts = tuple(text[end:begin] for (_, end), begin in zip(borders, ends, strict=True))
        number, size, name, kind, created = (end - start for start, end in borders)
        a, b, c, d, e = map(len, self._texts)
        self._fields = Struct(f"{number}s{a}s{size}x{b}s{name}x{c}s{kind}s{d}s{created}s{e}s")
        self._to_border = found.start("border") - found.start("number")
        names, types = found.group("name1", "name2"), found.group("type1", "type2")
        keys = [
            rb'"%b":\{"%b":"%b"\}' % (re.escape(name), kind, _CANONICAL[kind])
            for name, kind in zip(names, types, strict=True)
            if name is not None
        ]
        self._key = re.compile(rb"\{(%b)\}" % b"),(".join(keys) + rb'(?=,")')
        self._in_order = len(keys) == 1 or names[0] < names[1]

    @staticmethod
    def suits(found: re.Match[bytes]) -> bool:
        """Whether others are like it: a user is rare, and escapes in names of keys are left to the decoder."""
        return found["user"] is None and b"\\" not in found["name1"] + (found["name2"] or b"")

    def cut(self, into: _Cutting, cut: int) -> int:
        """Cut records from the sequence number at `cut` on, as long as they are of this form.

        Returns the place of the next sequence number, negative if there is none.
        """
        answer, origin, begin = into.answer, into.origin, into.begin
        view, join = memoryview(answer), b"".join  # `slice + origin` would copy twice
        to_border, in_order, to_key = self._to_border, self._in_order, self._fields.size
        unpack, match_key, find = self._fields.unpack_from, self._key.match, answer.find
        text_1, text_2, text_3, text_4, text_5 = self._texts
        last_begin = len(answer) - to_key
        known: dict[bytes, float] = {}
        while cut >= 0:
            at = cut + CUT_SIZE
            if at > last_begin:
                break
            number, one, two, three, kind, four, time, five = unpack(answer, at)
            key, name, created = match_key(answer, at + to_key), _KINDS.get(kind), known.get(time)
            if (
                one != text_1
                or two != text_2
                or three != text_3
                or four != text_4
                or five != text_5
                or key is None
                or name is None
                or not number.isdigit()
            ):
                break
            if created is None:
                if _TIME_TEXT.fullmatch(time) is None:
                    break
                created = known[time] = float(time)
            border = at + to_border
            into.numbers.append(number)
            into.bodies.append(join((view[begin : border - 1], origin)))
            into.kinds.append(name)
            into.times.append(created)
            into.keys.append(key[0] if in_order else b"{%b,%b}" % (key[2], key[1]))
            into.begin = begin = border + 1
            cut = find(CUT, key.end())
        return cut


def _with_renamed_user(body: bytes) -> bytes:
    return orjson.dumps(_renamed(orjson.loads(body)))


def _renamed(record: dict[str, Any]) -> dict[str, Any]:
    """The record as an event has it, but for its origin."""
    user = record.get("userIdentity")
    if isinstance(user, dict):
        record["userIdentity"] = {_RENAMED.get(name, name): value for name, value in user.items()}
    return record


def _decoded(record: dict[str, Any], stream_arn: str) -> EventRecord:
    """A decoded record in the form of an event. Raises AwsError."""
    change = record["dynamodb"]
    number, kind = change["SequenceNumber"], record["eventName"]
    try:
        key = canonical_key(change["Keys"])
    except ValueError as error:
        raise lost_answer("UnreadableAnswer", f"answer to GetRecords has a bad key: {error}") from error
    if kind.encode() not in _KINDS or len(number) > LONGEST_NUMBER:
        raise lost_answer("UnreadableAnswer", "answer to GetRecords is not what DynamoDB Streams sends")
    body = orjson.dumps({**_renamed(record), "eventSourceARN": stream_arn})
    created = float(change["ApproximateCreationDateTime"])
    return EventRecord(body, key, int(number), created, kind)

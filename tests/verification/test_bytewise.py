"""Answers read by their bytes give the rows that decoding gives."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws.errors import AwsError
from refire_async.aws.streams import parse_records
from refire_async.model.keys import Item, KeySchema
from refire_async.model.marker import Marker
from refire_async.verification.bytewise import answer_encoder
from refire_async.verification.encoding import CERTAIN_TOUCH, ObservedRow
from refire_async.verification.observed import encoder
from tests.support.checkpoints import SPEC
from tests.support.examples import examples

TWO = replace(SPEC, keys=KeySchema("pk", "S", "at", "N"))
STAMPED = replace(SPEC, marker=Marker("stamp", "revision", SPEC.run_id))
QUOTED = replace(SPEC, marker=Marker("revision", 'my "own"', SPEC.run_id))
SPECS = {"one key": SPEC, "two keys": TWO, "stamps": STAMPED, "a name with quotes": QUOTED}

names = st.sampled_from(
    ["revision", "NewImage", "OldImage", "SequenceNumber", "Keys", "M", "a", "zz", "é", "dynamodb"]
)
texts = st.sampled_from(["", "x", "}", "}}}", "{", ",", "\u2028", "é" * 9])
escaped = st.sampled_from(['"}}}', '{"M":{', '},"OldImage":{', '"revision":{"N":"4"}', "\\", "\n"])
numbers = st.sampled_from(["0", "1", "3", "9", "10", "99", "-1", "1.5", "03", "1E+2", "9" * 18, "9" * 30])
plain = st.one_of(
    st.builds(lambda text: {"S": text}, texts),
    st.builds(lambda text: {"N": text}, numbers),
    st.builds(lambda values: {"SS": sorted(values)}, st.sets(texts.filter(bool), min_size=1)),
    st.sampled_from([{"BOOL": True}, {"NULL": True}, {"B": "AAAA"}]),
)
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.builds(lambda items: {"L": items}, st.lists(inner, max_size=2)),
        st.builds(lambda items: {"M": items}, st.dictionaries(names, inner, max_size=3)),
    ),
    max_leaves=4,
)
items = st.dictionaries(names, values, max_size=5)


def nest(draw: st.DrawFn, old: Item, new: Item) -> None:
    """An attribute of a map in the item counts up instead of the marker, which is there too, or is not."""
    inside = [{"M": {"a": {"S": "x"}, "revision": {"N": number}}} for number in ("6", "7")]
    own = draw(st.sampled_from([{}, {"revision": {"N": "5"}}]))
    first, listed = draw(st.booleans()), draw(st.booleans())
    for image, nested in ((old, inside[0]), (new, inside[1])):
        rest = {name: value for name, value in image.items() if name != "revision"}
        more = {"m": {"L": [nested]} if listed else nested}
        image.clear()
        image.update({**more, **rest, **own} if first else {**rest, **own, **more})


def name_alike(_draw: st.DrawFn, old: Item, new: Item) -> None:
    """An attribute counts up whose name ends as the marker's, behind a quote."""
    for image, number in ((old, "6"), (new, "7")):
        image.pop("revision", None)
        image['a"revision'] = {"N": number}


def jump(draw: st.DrawFn, old: Item, new: Item) -> None:
    """The marker comes with another number than 1."""
    old.pop("revision", None)
    new["revision"] = {"N": draw(numbers)}


def other_marker(draw: st.DrawFn, _old: Item, new: Item) -> None:
    new["revision"] = draw(values)


def other_attribute(draw: st.DrawFn, _old: Item, new: Item) -> None:
    new[draw(names)] = draw(values)


def gone(draw: st.DrawFn, old: Item, _new: Item) -> None:
    old["zzz"] = draw(values)


def escapes(draw: st.DrawFn, old: Item, new: Item) -> None:
    old["text"] = new["text"] = {"S": draw(escaped)}


def order(_draw: st.DrawFn, old: Item, _new: Item) -> None:
    turned = dict(reversed(old.items()))
    old.clear()
    old.update(turned)


def place(_draw: st.DrawFn, old: Item, new: Item) -> None:
    """The marker is the first attribute."""
    for image in (old, new):
        marker = image.pop("revision", None)
        rest = dict(image)
        image.clear()
        image.update(rest if marker is None else {"revision": marker, **rest})


def sets(_draw: st.DrawFn, old: Item, new: Item) -> None:
    new["set"], old["set"] = {"NS": ["1", "2"]}, {"NS": ["2", "1"]}


def one_image(_draw: st.DrawFn, old: Item, _new: Item) -> None:
    old.clear()


def nothing(_draw: st.DrawFn, _old: Item, _new: Item) -> None:
    """A touch."""


UNUSUAL = (
    nothing,
    nest,
    name_alike,
    jump,
    other_marker,
    other_attribute,
    gone,
    escapes,
    order,
    place,
    sets,
    one_image,
)


HIDDEN = ((), (), (), ("NewImage",), ("OldImage",), ("NewImage", "OldImage"))
"""Images that the view type of the stream does not show."""


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly touches, in which something may be unusual."""
    rest = draw(items)
    rest.pop("revision", None)
    key = {"pk": {"S": draw(texts)}, "at": {"N": draw(st.sampled_from(["1", "20", "-3"]))}}
    before = draw(st.one_of(st.none(), st.integers(0, 120)))
    old = {**rest, **key} | ({} if before is None else {"revision": {"N": str(before)}})
    new = {**rest, **key, "revision": {"N": str((before or 0) + 1)}}
    draw(st.sampled_from(UNUSUAL))(draw, old, new)
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": draw(st.sampled_from([1_700_000_000, 1.7e9, 1_700_000_000.25])),
        "Keys": key,
        "NewImage": new,
        "OldImage": old,
        "SequenceNumber": str(draw(st.integers(1, 10**20))),
        "SizeBytes": draw(st.integers(1, 999)),
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if not old:
        del change["OldImage"]
    hidden = draw(st.sampled_from(HIDDEN))
    for image in hidden:
        change.pop(image, None)
    if draw(st.integers(0, 9)) == 0:
        change["ApproximateCreationDateTime"] = 5.0
    return {
        "awsRegion": "eu-west-1",
        "dynamodb": change,
        "eventID": f"{draw(st.integers(0, 2**64)):x}",
        "eventName": "MODIFY" if old else "INSERT",
        "eventSource": "aws:dynamodb",
        "eventVersion": "1.1",
    }


def local(record: dict[str, Any]) -> dict[str, Any]:
    """As DynamoDB Local orders the members."""
    order = ("eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb")
    return {name: record[name] for name in order}


def outcome(encode: Any, answer: bytes) -> list[ObservedRow] | str:
    """The rows, or the error."""
    try:
        return list(encode(answer))
    except AwsError as error:
        return str(error)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@given(
    made=st.lists(records(), max_size=5),
    as_local=st.booleans(),
    spaced=st.booleans(),
    ends=st.sampled_from([None, "iterator first", "iterator last"]),
)
@examples(250, 3_000)
def test_both_ways_give_the_same(
    spec: Any, made: list[dict[str, Any]], as_local: bool, spaced: bool, ends: str | None
) -> None:
    """Whatever the items, the order of members, and the white space; an answer that is refused is refused by both."""
    if not spec.keys.range_name:
        for one in made:
            del one["dynamodb"]["Keys"]["at"]
    found = [local(one) if as_local else one for one in made]
    whole: dict[str, Any] = {"Records": found}
    if ends is not None:
        iterator = {"NextShardIterator": ends}
        whole = whole | iterator if ends == "iterator last" else iterator | whole
    answer = orjson.dumps(whole, option=orjson.OPT_INDENT_2 if spaced else 0)
    encode = encoder(spec)
    assert outcome(answer_encoder(spec), answer) == outcome(
        lambda text: [encode(one) for one in parse_records(text)], answer
    )


def answer_of(*made: dict[str, Any]) -> bytes:
    return orjson.dumps({"NextShardIterator": "i", "Records": list(made)})


def a_touch(number: int, size: int = 20) -> dict[str, Any]:
    """A touch of an item with a text of this size."""
    item = {"text": {"S": "x" * size}, "pk": {"S": f"item-{number}"}}
    return {
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_700_000_000.0,
            "Keys": {"pk": item["pk"]},
            "NewImage": {**item, "revision": {"N": str(number + 1)}},
            "OldImage": {**item, "revision": {"N": str(number)}},
            "SequenceNumber": str(10**23 + number),
            "SizeBytes": 60,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventID": f"{number:032x}",
        "eventName": "MODIFY",
        "eventSource": "aws:dynamodb",
        "eventVersion": "1.1",
    }


def test_touches_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise this test suite would compare the careful way with itself."""
    answer = answer_of(*(a_touch(number, size=number % 7) for number in range(1, 200)))
    expected = [encoder(SPEC)(one) for one in parse_records(answer)]
    encode = answer_encoder(SPEC)
    monkeypatch.setattr("refire_async.verification.bytewise.parse_records", None)
    monkeypatch.setattr("refire_async.verification.bytewise.parse_record", None)
    assert encode(answer) == expected
    assert {row[4] for row in expected} == {CERTAIN_TOUCH}


def test_one_other_record_is_decoded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writes of the application do not slow down the others."""
    other = a_touch(7)
    other["dynamodb"]["NewImage"]["text"] = {"S": "changed"}
    answer = answer_of(a_touch(1), other, a_touch(2))
    expected = [encoder(SPEC)(one) for one in parse_records(answer)]
    monkeypatch.setattr("refire_async.verification.bytewise.parse_records", None)
    assert answer_encoder(SPEC)(answer) == expected
    assert [row[4] == CERTAIN_TOUCH for row in expected] == [True, False, True]


def test_an_escape_does_not_hide_a_map() -> None:
    """No service writes `M` so; a hostile one might."""
    one = a_touch(5)
    for image, number in (("NewImage", "7"), ("OldImage", "6")):
        marker = {"a": {"S": "x"}, "revision": {"N": number}}
        one["dynamodb"][image] = {"m": {"M": marker}, "pk": {"S": "item-5"}, "text": {"S": "x" * 200}}
    answer = answer_of(one).replace(b'{"M":{', b'{"\\u004d":{')
    assert answer_encoder(SPEC)(answer) == [encoder(SPEC)(record) for record in parse_records(answer)]


def test_texts_with_escapes_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables often hold JSON in texts."""
    one = a_touch(5)
    for image in ("NewImage", "OldImage"):
        one["dynamodb"][image]["text"] = {"S": '{"a": "}}", "revision": {"N": "4"}}\n'}
    answer = answer_of(one)
    expected = [encoder(SPEC)(record) for record in parse_records(answer)]
    encode = answer_encoder(SPEC)
    monkeypatch.setattr("refire_async.verification.bytewise.parse_records", None)
    monkeypatch.setattr("refire_async.verification.bytewise.parse_record", None)
    assert encode(answer) == expected
    assert expected[0][4] == CERTAIN_TOUCH


@pytest.mark.parametrize("number", ["0", "1", "2", "10"])
def test_a_new_marker_is_a_touch_only_with_the_number_1(number: str) -> None:
    one = a_touch(5)
    del one["dynamodb"]["OldImage"]["revision"]
    one["dynamodb"]["NewImage"]["revision"] = {"N": number}
    answer = answer_of(one)
    rows = answer_encoder(SPEC)(answer)
    assert rows == [encoder(SPEC)(record) for record in parse_records(answer)]
    assert (rows[0][4] == CERTAIN_TOUCH) is (number == "1")


class Searched(bytes):
    """Counts the bytes that `find` goes through."""

    through = 0

    def find(self, wanted: Any, start: Any = 0, end: Any = None) -> int:  # type: ignore[override]
        found = super().find(wanted, start, end)
        until = found if found >= 0 else slice(start, end).indices(len(self))[1]
        self.through += max(0, until - start)
        return found


@pytest.mark.parametrize("hidden", [("NewImage",), ("OldImage",), ("NewImage", "OldImage")], ids="+".join)
def test_records_without_images_are_read_once(hidden: tuple[str, ...]) -> None:
    """Behind a touch, so that the answer is read by its bytes. Nothing is searched for beyond the record:
    else the time grows with the square of an answer's size."""
    made = [a_touch(number, size=200) for number in range(1, 100)]
    for one in made[1:]:
        for image in hidden:
            del one["dynamodb"][image]
    answer = Searched(answer_of(*made))
    rows = answer_encoder(SPEC)(answer)
    assert rows == [encoder(SPEC)(one) for one in parse_records(bytes(answer))]
    assert answer.through < 4 * len(answer)


BROKEN = {
    "cut off": lambda text: text[:-30],
    "no records": lambda text: text.replace(b'"Records"', b'"Recrods"'),
    "a late time": lambda text: text.replace(b"1700000000.0", b"5000000000.0"),
    "no change": lambda text: text.replace(b'"dynamodb"', b'"dynamo"', 1),
    "a number that is none": lambda text: text.replace(b'"SequenceNumber":"1', b'"SequenceNumber":"x', 1),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_answers_are_refused_alike(how: str) -> None:
    answer = BROKEN[how](answer_of(a_touch(1), a_touch(2)))
    encode = encoder(SPEC)
    careful = outcome(lambda text: [encode(one) for one in parse_records(text)], answer)
    assert outcome(answer_encoder(SPEC), answer) == careful

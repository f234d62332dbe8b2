"""Cutting an answer between records gives what decoding it gives, whatever is in the records."""

import json
import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws.errors import AwsError
from refire_async.delivery.record import EventRecord
from refire_async.delivery.sources import slicing
from refire_async.delivery.sources.slicing import SlicedAnswer, decode_answer, slice_answer

ARN = "arn:aws:dynamodb:eu-west-1:1:table/t/stream/2026"

HOSTILE = (
    "SequenceNumber",
    '"SequenceNumber":"',
    '"},"SequenceNumber":"1","SizeBytes":1,"StreamViewType":"X"}},{"eventID":"',
    "eventID",
    "Keys",
    "dynamodb",
    "NewImage",
    "ApproximateCreationDateTime",
    "\\",
    "\\\\",
    '\\"',
    '"',
    "\n\t\x00\x7f\u2028é€𝄞",
    "}},{",
    "a/b",
)
names = st.sampled_from(HOSTILE) | st.text(max_size=4)
numbers = st.sampled_from(
    ["0", "1", "10", "-7", "1.5", "-0.25", "1E+2", "1.50", "-0", "9" * 38, "123456789012345678901"]
)
base64s = st.sampled_from(["", "YQ==", "YWI=", "YWJj", "YWJjZA=="])
texts = st.sampled_from(HOSTILE) | st.text(max_size=8)
scalars = st.one_of(
    texts.map(lambda text: {"S": text}),
    numbers.map(lambda text: {"N": text}),
    base64s.map(lambda text: {"B": text}),
)
values = st.recursive(
    scalars | st.sampled_from([{"NULL": True}, {"BOOL": False}, {"SS": ["a", "b"]}, {"NS": ["1"]}]),
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda found: {"L": found})
        | st.dictionaries(names, inner, max_size=2).map(lambda found: {"M": found})
    ),
    max_leaves=4,
)
images = st.dictionaries(names, values, max_size=3)
users = st.sampled_from(
    [
        None,
        {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"},
        {"PrincipalId": 'a"b', "Type": "x", "Other": {"Type": 1}},
        {},
        "null",
    ]
)


@st.composite
def records(draw: st.DrawFn, key_names: tuple[str, ...]) -> dict[str, Any]:
    """A record of any view type, of a key with these names."""
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": draw(st.sampled_from([1796095735.0, 1796095736, 1796095736.25, 0.5])),
        "Keys": {name: draw(scalars) for name in key_names},
    }
    for image in draw(st.sampled_from([(), ("NewImage",), ("OldImage",), ("NewImage", "OldImage")])):
        change[image] = draw(images)
    change["SequenceNumber"] = str(draw(st.integers(1, 3))).zfill(draw(st.sampled_from([1, 21, 24])))
    change["SizeBytes"] = draw(st.sampled_from([1, 99, 100]))
    change["StreamViewType"] = "NEW_AND_OLD_IMAGES"
    record = {
        "eventID": draw(st.sampled_from(["a" * 32, "b" * 32, "c", "a\\b", ""])),
        "eventName": draw(st.sampled_from(["INSERT", "MODIFY", "REMOVE"])),
        "eventVersion": draw(st.sampled_from(["1.1", "1.1", "1.0"])),
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": change,
    }
    user = draw(users)
    if user is not None:
        record["userIdentity"] = None if user == "null" else user
    return record


def shuffled(value: Any, seed: random.Random) -> Any:
    """The same JSON with all members in any order."""
    if isinstance(value, dict):
        names = seed.sample(list(value), len(value))
        return {name: shuffled(value[name], seed) for name in names}
    return [shuffled(one, seed) for one in value] if isinstance(value, list) else value


FORMS = {
    "as they come": lambda answer, _: orjson.dumps(answer),
    "by name": lambda answer, _: json.dumps(answer, separators=(",", ":"), sort_keys=True).encode(),
    "escaped": lambda answer, _: json.dumps(answer, separators=(",", ":")).encode(),
    "slashes": lambda answer, _: json.dumps(answer, separators=(",", ":")).replace("/", "\\/").encode(),
    "blanks": lambda answer, _: json.dumps(answer, ensure_ascii=False).encode(),
    "lines": lambda answer, _: json.dumps(answer, indent=1).encode(),
    "any order": lambda answer, seed: orjson.dumps(shuffled(answer, seed)),
}


def in_meaning(sliced: SlicedAnswer) -> Any:
    """The records with their bodies decoded."""
    return [(orjson.loads(one.body), *one[1:]) for one in sliced.records], sliced.last


@given(
    st.sampled_from(
        [("pk",), ("pk", "sk"), ("sk", "pk"), ("SequenceNumber", "a"), ('"', "\\"), ("é", "~")]
    ).flatmap(lambda key_names: st.lists(records(key_names), max_size=6)),
    st.sampled_from([{"NextShardIterator": "abc"}, {"NextShardIterator": None}, {}, {"Millis": 1}]),
    st.sampled_from(list(FORMS)),
    st.randoms(use_true_random=False),
)
def test_cut_as_decoded(found: list[Any], rest: dict[str, Any], form: str, seed: random.Random) -> None:
    """Bodies of one meaning, and equal keys, numbers, times and kinds."""
    answer = FORMS[form]({"Records": found, **rest}, seed)
    assert in_meaning(slice_answer(answer, ARN)) == in_meaning(decode_answer(answer, ARN))


def record(number: int, **changes: Any) -> dict[str, Any]:
    """A modification as DynamoDB Local writes it, with members that `changes` adds."""
    image = {"pk": {"S": "a"}, "sk": {"N": str(number)}, "text": {"S": 'b"c'}}
    change = {
        "ApproximateCreationDateTime": 1796095735.0,
        "Keys": {"sk": {"N": str(number)}, "pk": {"S": "a"}},
        "NewImage": image,
        "OldImage": image,
        "SequenceNumber": f"{number:021}",
        "SizeBytes": 9 + number % 3,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    record = {
        "eventID": f"{number:032x}",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": change,
    }
    return record | changes


TTL = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}


@pytest.mark.parametrize("form", ["as they come", "by name", "escaped"])
@pytest.mark.parametrize("end", [{}, {"NextShardIterator": "abc"}])
def test_usual_answers_are_not_decoded(form: str, end: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes of several digits, a deletion by TTL in the middle, and the end of a shard are all cut."""
    found = [record(number) for number in range(1, 60)]
    found[30] = record(31, userIdentity=TTL)
    answer = FORMS[form]({"Records": found, **end}, None)
    decoded = decode_answer(answer, ARN)

    def refuse(*_: Any) -> SlicedAnswer:
        raise AssertionError("decoded")

    monkeypatch.setattr(slicing, "decode_answer", refuse)
    assert in_meaning(slice_answer(answer, ARN)) == in_meaning(decoded)


def test_what_an_event_has() -> None:
    """The stream's ARN is added, the user renamed, and the key in canonical form."""
    answer = orjson.dumps({"Records": [record(1), record(2, userIdentity=TTL)]})
    sliced = slice_answer(answer, ARN)
    assert sliced.last == "000000000000000000002"
    first, second = sliced.records
    assert first == EventRecord(
        orjson.dumps(record(1) | {"eventSourceARN": ARN}),
        b'{"pk":{"S":"a"},"sk":{"N":"1"}}',
        1,
        1796095735.0,
        "MODIFY",
    )
    assert type(first) is EventRecord
    user = orjson.loads(second.body)["userIdentity"]
    assert user == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{",
        b"[]",
        b'{"Records":{}}',
        orjson.dumps({"Records": [record(1, dynamodb={})]}),
        orjson.dumps({"Records": [record(1, eventName="OTHER")]}),
        orjson.dumps({"Records": [record(1)]}).replace(b'"N":"1"},"pk"', b'"N":"x"},"pk"'),
        orjson.dumps({"Records": [record(1)]}).replace(b'"' + b"0" * 20 + b'1"', b'"x"'),
        orjson.dumps({"Records": [record(1)]}).replace(b'"Keys":{', b'"Keys":{"m":{"M":{}},'),
        orjson.dumps({"Records": [record(1)]})[:-1],
    ],
)
def test_not_an_answer(answer: bytes) -> None:
    """What is no answer to GetRecords is an error of the service, never a record."""
    with pytest.raises(AwsError):
        slice_answer(answer, ARN)


def test_real_answers(make_table: Any, backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the judges send is cut, not decoded, and means the same."""
    table = make_table(("pk", "S"), ("sk", "N"))
    name = table.name
    for number in range(12):
        item = {
            "pk": {"S": f"a{number % 4}"},
            "sk": {"N": str(number)},
            "b": {"B": b"x"},
            "t": {"S": '"SequenceNumber":"'},
        }
        backend.dynamodb.put_item(TableName=name, Item=item)
        backend.dynamodb.put_item(TableName=name, Item={**item, "n": {"N": str(number)}})
    bodies = raw_answers(backend, name)
    decoded = [in_meaning(decode_answer(body, ARN)) for body in bodies]
    assert sum(len(found) for found, _ in decoded) == 24

    def refuse(*_: Any) -> SlicedAnswer:
        raise AssertionError("decoded")

    monkeypatch.setattr(slicing, "decode_answer", refuse)
    for body, expected in zip(bodies, decoded, strict=True):
        if expected[0]:
            assert in_meaning(slice_answer(body, ARN)) == expected


def raw_answers(backend: Any, table: str) -> list[bytes]:
    """The bodies of the first answer to GetRecords of each shard."""
    streams, bodies = backend.streams, []
    arn = backend.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]

    def keep(response_dict: dict[str, Any], **_: Any) -> None:
        bodies.append(response_dict["body"])

    streams.meta.events.register("before-parse.*.GetRecords", keep)
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        start = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        streams.get_records(ShardIterator=streams.get_shard_iterator(**start)["ShardIterator"])
    return bodies

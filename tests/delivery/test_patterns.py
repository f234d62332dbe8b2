"""What passes a filter pattern: the documented rules, one by one, and the three-valued match as a second opinion."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws.event_filters import ABSENT, Exact, Match, Node, Tree, match
from refire_async.delivery.keys import canonical_key
from refire_async.delivery.patterns import Patterns
from refire_async.delivery.record import EventRecord
from refire_async.errors import UsageError


def made(record: dict[str, Any]) -> EventRecord:
    """A record as a source makes it."""
    change = record["dynamodb"]
    created = change["ApproximateCreationDateTime"]
    return EventRecord(orjson.dumps(record), canonical_key(change["Keys"]), 1, created, record["eventName"])


IMAGE = {
    "status": {"S": "OPEN"},
    "total": {"N": "12.50"},
    "note": {"NULL": True},
    "tags": {"SS": ["red", "green"]},
    "lines": {
        "L": [{"M": {"sku": {"S": "a"}, "n": {"N": "1"}}}, {"M": {"sku": {"S": "b"}, "n": {"N": "2"}}}]
    },
    "none": {"L": []},
    "ip": {"S": "10.0.0.7"},
    "star": {"S": "a*b\\c\nd"},
}
RECORD = {
    "eventID": "1",
    "eventName": "MODIFY",
    "userIdentity": None,
    "dynamodb": {
        "ApproximateCreationDateTime": 1796095735.0,
        "Keys": {"pk": {"S": "order#7"}, "sk": {"N": "3"}},
        "NewImage": IMAGE,
        "SizeBytes": 26,
    },
}


def of_image(**attributes: Any) -> dict[str, Any]:
    """A pattern of the new image."""
    return {"dynamodb": {"NewImage": attributes}}


PASS = [
    {},
    {"eventName": ["MODIFY"]},
    {"eventName": ["INSERT", "MODIFY"]},
    {"eventName": [{"anything-but": ["REMOVE"]}]},
    {"eventName": [{"prefix": "MOD"}]},
    {"dynamodb": {"Keys": {"pk": {"S": [{"prefix": "order#"}]}}}},
    {"dynamodb": {"Keys": {"sk": {"N": ["3"]}}}},
    {"dynamodb": {"ApproximateCreationDateTime": [{"numeric": [">=", 1796095735, "<", 1796095736]}]}},
    {"dynamodb": {"ApproximateCreationDateTime": [1796095735]}},
    {"dynamodb": {"SizeBytes": [{"numeric": ["=", 26.0]}]}},
    {"dynamodb": {"OldImage": {"status": {"S": [{"exists": False}]}}}},
    {"dynamodb": {"OldImage": [{"exists": False}]}},
    {"userIdentity": [None]},
    {"userIdentity": {"type": [{"exists": False}]}},
    of_image(status={"S": ["OPEN"]}),
    of_image(status={"S": [{"exists": True}]}),
    of_image(status=[{"exists": False}]),
    of_image(status={"S": [{"equals-ignore-case": "open"}]}),
    of_image(status={"S": [{"prefix": {"equals-ignore-case": "oP"}}]}),
    of_image(status={"S": [{"suffix": "EN"}]}),
    of_image(status={"S": [{"suffix": {"equals-ignore-case": "eN"}}]}),
    of_image(status={"S": [{"wildcard": "O*N"}]}),
    of_image(star={"S": [{"wildcard": "a\\*b\\\\c*d"}]}),
    of_image(status={"S": [{"anything-but": "CLOSED"}]}),
    of_image(status={"S": [{"anything-but": {"prefix": "C"}}]}),
    of_image(status={"S": [{"anything-but": {"suffix": ["X", "Y"]}}]}),
    of_image(status={"S": [{"anything-but": {"wildcard": "*X*"}}]}),
    of_image(status={"S": [{"anything-but": {"equals-ignore-case": ["closed", "done"]}}]}),
    of_image(total={"N": ["12.50"]}),
    of_image(note={"NULL": [True]}),
    of_image(tags={"SS": ["green", "blue"]}),
    of_image(tags={"SS": [{"anything-but": "red"}]}),
    of_image(lines={"L": {"M": {"sku": {"S": ["b"]}, "n": {"N": ["2"]}}}}),
    of_image(none={"L": [{"exists": False}]}),
    of_image(ip={"S": [{"cidr": "10.0.0.0/24"}]}),
    {"$or": [{"eventName": ["INSERT"]}, of_image(status={"S": ["OPEN"]})]},
    {
        "dynamodb": {
            "$or": [{"Keys": {"pk": {"S": ["x"]}}}, {"SizeBytes": [26]}],
            "Keys": {"sk": {"N": ["3"]}},
        }
    },
    {"eventName": ["MODIFY"], **of_image(status={"S": ["OPEN"]})},
]
FAIL = [
    {"eventName": ["INSERT"]},
    {"eventName": []},
    {"eventName": ["MODIFY"], **of_image(status={"S": ["CLOSED"]})},
    {"eventName": ["INSERT"], **of_image(status={"S": ["OPEN"]})},
    {"dynamodb": {"ApproximateCreationDateTime": [{"numeric": [">", 1796095735]}]}},
    {"dynamodb": {"ApproximateCreationDateTime": ["1796095735"]}},
    {"dynamodb": {"Keys": {"sk": {"N": [3]}}}},
    {"userIdentity": {"type": ["Service"]}},
    {"userIdentity": [{"exists": False}]},
    of_image(status={"S": [{"exists": False}]}),
    of_image(status=[{"exists": True}]),
    of_image(status={"S": [{"prefix": "o"}]}),
    of_image(gone={"S": [{"anything-but": "x"}]}),
    of_image(gone={"S": [{"prefix": ""}]}),
    of_image(status={"S": [{"anything-but": ["OPEN", "x"]}]}),
    of_image(total={"N": [{"numeric": [">", 0]}]}),
    of_image(total={"N": ["12.5"]}),
    of_image(note={"NULL": [1]}),
    of_image(tags={"SS": ["blue"]}),
    of_image(lines={"L": {"M": {"sku": {"S": ["b"]}, "n": {"N": ["1"]}}}}),
    of_image(star={"S": [{"wildcard": "a\\*"}]}),
    of_image(ip={"S": [{"cidr": "10.1.0.0/16"}]}),
    of_image(status={"S": [{"cidr": "10.1.0.0/16"}]}),
    {"$or": [{"eventName": ["INSERT"]}, of_image(status={"S": ["CLOSED"]})]},
    {"$or": []},
]


@pytest.mark.parametrize("pattern", PASS, ids=str)
def test_passes(pattern: Any) -> None:
    """Records that the service would deliver."""
    assert Patterns([orjson.dumps(pattern).decode()]).passes(made(RECORD))


@pytest.mark.parametrize("pattern", FAIL, ids=str)
def test_does_not_pass(pattern: Any) -> None:
    """Records that the service would filter out."""
    assert not Patterns([orjson.dumps(pattern).decode()]).passes(made(RECORD))


def test_several_patterns() -> None:
    """One of them is enough; none is no filter."""
    texts = [orjson.dumps(pattern).decode() for pattern in (FAIL[0], FAIL[2], PASS[3])]
    assert Patterns(texts).passes(made(RECORD))
    assert not Patterns(texts[:2]).passes(made(RECORD))
    assert Patterns(()).passes(made(RECORD))


def test_outline_decides_without_the_body() -> None:
    """A pattern of kind, key and time does not decode the record; nor does the rest of one that fails there."""
    record = made(RECORD)._replace(body=b"not JSON")
    assert Patterns(['{"eventName":["MODIFY"],"dynamodb":{"Keys":{"sk":{"N":["3"]}}}}']).passes(record)
    assert not Patterns(['{"eventName":["INSERT"],"dynamodb":{"NewImage":{"a":{"S":["b"]}}}}']).passes(record)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"a":1}',
        '{"a":[{"prefix":1}]}',
        '{"a":[{"huh":"x"}]}',
        '{"a":[{"prefix":"x","suffix":"y"}]}',
        '{"a":[{"numeric":[">"]}]}',
        '{"a":[{"numeric":[">","1"]}]}',
        '{"a":[{"cidr":"x"}]}',
        '{"a":[{"exists":"x"}]}',
        '{"a":[["x"]]}',
        '{"a":[{"anything-but":{"prefix":"x","suffix":"y"}}]}',
    ],
)
def test_not_a_pattern(text: str) -> None:
    """Refused before the first record, with the pattern named."""
    with pytest.raises(UsageError, match="filter pattern"):
        Patterns([text])


def node_of(value: Any) -> Node:
    """A known value for the three-valued match."""
    if isinstance(value, dict):
        return Tree({name: node_of(inner) for name, inner in value.items()}) if value else ABSENT
    return Exact(value)


leaves = st.sampled_from(["a", "ab", "A", "", "1", 1, 1.0, 2, True, None])
rules = st.one_of(
    leaves,
    st.booleans().map(lambda given: {"exists": given}),
    st.sampled_from(["a", "b", ""]).map(lambda text: {"prefix": text}),
    st.sampled_from(["a", "b"]).map(lambda text: {"suffix": text}),
    st.sampled_from(["a*", "*b", "*"]).map(lambda text: {"wildcard": text}),
    st.sampled_from(["a", "AB"]).map(lambda text: {"equals-ignore-case": text}),
    st.lists(st.sampled_from(["a", 1, "1"]), min_size=1, max_size=2).map(
        lambda given: {"anything-but": given}
    ),
    st.sampled_from([{"prefix": "a"}, {"suffix": "b"}]).map(lambda given: {"anything-but": given}),
    st.sampled_from([[">", 1], ["=", 1], [">=", 1, "<", 2]]).map(lambda given: {"numeric": given}),
)
members = st.sampled_from(["eventName", "x", "y"])
patterns = st.recursive(
    st.dictionaries(members, st.lists(rules, min_size=1, max_size=3), max_size=2),
    lambda inner: (
        st.dictionaries(members, inner, max_size=2)
        | st.lists(inner, min_size=1, max_size=2).map(lambda given: {"$or": given})
    ),
    max_leaves=4,
)
events = st.recursive(leaves, lambda inner: st.dictionaries(members, inner, max_size=3), max_leaves=5)


@given(patterns, st.dictionaries(members, events, max_size=3))
def test_as_the_three_valued_match(pattern: dict[str, Any], event: dict[str, Any]) -> None:
    """Where that one is sure, this one says the same."""
    event = {"eventName": "MODIFY", **event}
    kind = event["eventName"]
    expected = match(pattern, node_of(event))
    if kind == "MODIFY" and expected is not Match.MAY:
        record = EventRecord(orjson.dumps(event), b"{}", 1, 1.0, kind)
        assert Patterns([orjson.dumps(pattern).decode()]).passes(record) is (expected is Match.ALWAYS)

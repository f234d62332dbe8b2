"""Event filters of Lambda: the grammar over known values, and the result while values are unknown."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws.event_filters import (
    ABSENT,
    UNKNOWN,
    Exact,
    FilterError,
    Match,
    Node,
    Some,
    Tree,
    match,
    match_rules,
    parse,
)
from refire_async.model.selection import Selection
from refire_async.pacing.capacity import Ceilings
from refire_async.preflight.facts import CheckedRun
from refire_async.preflight.record import passes, refired
from tests.preflight.tables import table_of

NEVER, MAY, ALWAYS = Match


@pytest.mark.parametrize(
    ("rules", "value", "expected"),
    [
        (["a"], "a", True),
        (["a"], "b", False),
        (["a", "b"], "b", True),
        ([], "a", False),
        ([""], "", True),
        ([None], None, True),
        ([None], "", False),
        ([5], 5, True),
        ([5], "5", False),
        ([True], True, True),
        ([1], True, False),
        ([{"prefix": "ab"}], "abc", True),
        ([{"prefix": "ab"}], "xab", False),
        ([{"prefix": "ab"}], 5, False),
        ([{"prefix": {"equals-ignore-case": "AB"}}], "abc", True),
        ([{"suffix": ".png"}], "a.png", True),
        ([{"suffix": ".png"}], "a.pnG", False),
        ([{"suffix": {"equals-ignore-case": ".PNG"}}], "a.pnG", True),
        ([{"equals-ignore-case": "AbC"}], "aBc", True),
        ([{"equals-ignore-case": "AbC"}], "aBcd", False),
        ([{"wildcard": "a*c"}], "abbc", True),
        ([{"wildcard": "a*c"}], "abb", False),
        ([{"wildcard": "a.c"}], "abc", False),
        ([{"anything-but": "a"}], "b", True),
        ([{"anything-but": ["a", "b"]}], "b", False),
        ([{"anything-but": [5]}], "5", True),
        ([{"anything-but": [5]}], 5, False),
        ([{"anything-but": {"prefix": "a"}}], "ab", False),
        ([{"anything-but": {"prefix": ["x", "y"]}}], "ab", True),
        ([{"anything-but": {"suffix": "b"}}], "ab", False),
        ([{"anything-but": {"equals-ignore-case": ["AB"]}}], "ab", False),
        ([{"anything-but": {"wildcard": "a*"}}], "ab", False),
        ([{"exists": True}], "a", True),
        ([{"exists": False}], "a", False),
        ([{"numeric": ["=", 5]}], 5, True),
        ([{"numeric": [">", 0, "<=", 5]}], 5, True),
        ([{"numeric": [">", 0, "<", 5]}], 5, False),
        ([{"numeric": [">=", 5]}], 4.9, False),
        ([{"numeric": ["=", 5]}], "5", False),
        (["x", {"numeric": ["<", 0]}, {"prefix": "a"}], "ab", True),
    ],
)
def test_rules_over_known_values(rules: list[Any], value: Any, expected: bool) -> None:
    """For a known value the result is certain."""
    assert match_rules(rules, Exact(value)) is (ALWAYS if expected else NEVER)


@pytest.mark.parametrize(
    ("rules", "node", "expected"),
    [
        # A missing member passes only a filter for missing members.
        (["a"], ABSENT, NEVER),
        ([None], ABSENT, NEVER),
        ([{"anything-but": "a"}], ABSENT, NEVER),
        ([{"exists": True}], ABSENT, NEVER),
        ([{"exists": False}], ABSENT, ALWAYS),
        # For an unknown value nothing is certain.
        (["a"], UNKNOWN, MAY),
        ([{"exists": False}], UNKNOWN, MAY),
        ([{"anything-but": {"prefix": "a"}}], UNKNOWN, MAY),
        ([{"numeric": [">", 5]}], UNKNOWN, MAY),
        # Any text.
        (["a"], Some("text"), MAY),
        ([5], Some("text"), NEVER),
        ([{"exists": True}], Some("text"), ALWAYS),
        ([{"exists": False}], Some("text"), NEVER),
        ([{"prefix": ""}], Some("text"), ALWAYS),
        ([{"numeric": [">", 5]}], Some("text"), NEVER),
        # A number, as text or as a number.
        (["7"], Some("numeral"), MAY),
        (["x"], Some("numeral"), NEVER),
        ([7], Some("numeral"), NEVER),
        ([{"prefix": "1"}], Some("numeral"), MAY),
        ([{"prefix": "a"}], Some("numeral"), NEVER),
        ([{"suffix": "a"}], Some("numeral"), NEVER),
        ([{"wildcard": "1*"}], Some("numeral"), MAY),
        ([{"anything-but": ["x"]}], Some("numeral"), ALWAYS),
        ([{"anything-but": ["7"]}], Some("numeral"), MAY),
        ([{"anything-but": {"prefix": "a"}}], Some("numeral"), ALWAYS),
        ([{"numeric": [">", 5]}], Some("numeral"), NEVER),
        ([{"numeric": [">", 5]}], Some("number"), MAY),
        ([5], Some("number"), MAY),
        (["5"], Some("number"), NEVER),
        ([{"prefix": "5"}], Some("number"), NEVER),
    ],
)
def test_rules_over_what_is_not_known(rules: list[Any], node: Node, expected: Match) -> None:
    """Three values: certain only if every possible value agrees."""
    assert match_rules(rules, node) is expected


def test_members_are_and_lists_are_or() -> None:
    """And `$or` joins objects, beside other members."""
    tree = Tree({"a": Exact("1"), "b": Some("text"), "c": Tree({"d": Exact(2)})})
    assert match({}, tree) is ALWAYS
    assert match({"a": ["1"], "c": {"d": [2]}}, tree) is ALWAYS
    assert match({"a": ["1"], "b": ["x"]}, tree) is MAY
    assert match({"a": ["2"], "b": ["x"]}, tree) is NEVER
    assert match({"c": {"e": ["x"]}}, tree) is NEVER
    assert match({"a": {"deeper": ["x"]}}, tree) is NEVER
    assert match({"$or": [{"a": ["2"]}, {"c": {"d": [2]}}]}, tree) is ALWAYS
    assert match({"b": ["x"], "$or": [{"a": ["1"]}, {"a": ["2"]}]}, tree) is MAY
    assert match({"c": {"$or": [{"d": [3]}, {"e": [{"exists": False}]}]}}, tree) is ALWAYS
    assert match({"a": ["1"], "$or": [{"a": ["2"]}, {"a": ["3"]}]}, tree) is NEVER


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"a": "b"}',
        '{"a": [{"like": "b"}]}',
        '{"a": [{"prefix": "b", "suffix": "c"}]}',
        '{"a": [{"prefix": 5}]}',
        '{"a": [{"numeric": [">"]}]}',
        '{"a": [{"numeric": ["~", 5]}]}',
        '{"a": [{"numeric": 5}]}',
        '{"a": [{"anything-but": {"prefix": "a", "suffix": "b"}}]}',
    ],
)
def test_what_is_no_filter(text: str) -> None:
    """One kind of error for any mistake."""
    with pytest.raises(FilterError):
        match(parse(text), Tree({"a": Exact("x")}))


TEXTS = st.text("a1.", max_size=3)
LITERALS = st.one_of(TEXTS, st.integers(-2, 2), st.booleans(), st.none())
OPERATORS = st.sampled_from(["prefix", "suffix", "equals-ignore-case", "wildcard"])
RULES = st.one_of(
    LITERALS,
    st.builds(lambda name, text: {name: text}, OPERATORS, TEXTS),
    st.builds(lambda values: {"anything-but": values}, st.lists(LITERALS, min_size=1, max_size=3)),
    st.builds(lambda name, text: {"anything-but": {name: text}}, OPERATORS, TEXTS),
    st.builds(
        lambda sign, bound: {"numeric": [sign, bound]}, st.sampled_from(["=", "<", ">="]), st.integers(-2, 2)
    ),
    st.builds(lambda wanted: {"exists": wanted}, st.booleans()),
)
KINDS = {
    "text": TEXTS,
    "numeral": st.one_of(
        st.integers().map(str), st.decimals(allow_nan=False, allow_infinity=False).map(lambda n: f"{n:f}")
    ),
    "number": st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
}


@given(st.lists(RULES, max_size=3), st.sampled_from(sorted(KINDS)), st.data())
def test_certainty_about_a_kind_holds_for_each_of_its_values(
    rules: list[Any], kind: Any, data: st.DataObject
) -> None:
    """NEVER and ALWAYS for unknown values hold for every value; likewise for UNKNOWN."""
    before = match_rules(rules, Some(kind))
    actual = match_rules(rules, Exact(data.draw(KINDS[kind])))
    assert actual is not MAY
    assert before in (MAY, actual)
    assert match_rules(rules, UNKNOWN) is (MAY if rules else NEVER)


@given(st.dictionaries(st.sampled_from("ab"), st.lists(RULES, max_size=2), max_size=2))
def test_a_filter_survives_its_json(pattern: dict[str, Any]) -> None:
    """A value in the form of the service."""
    assert parse(json.dumps(pattern)) == pattern


def checked(view: str = "NEW_AND_OLD_IMAGES", **more: Any) -> CheckedRun:
    return CheckedRun(
        **{
            "table": table_of(view_type=view, sort_key=True),
            "region": "eu-west-1",
            "selection": Selection("scan"),
            "marker_kind": "revision",
            "marker_attribute": "revision",
            "limits": Ceilings({"": 100.0}, 100.0, ""),
            **more,
        }
    )


ANN = Selection("query", key_name="pk", key_values=({"S": "ann"},))


def image(name: str = "NewImage", **attributes: Any) -> dict[str, Any]:
    return {"dynamodb": {name: attributes}}


def images(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    return {"dynamodb": {"NewImage": new, "OldImage": old}}


@pytest.mark.parametrize(
    ("pattern", "about", "expected"),
    [
        ({"eventName": ["MODIFY"]}, {}, ALWAYS),
        ({"eventName": ["INSERT", "MODIFY"]}, {}, ALWAYS),
        ({"eventName": ["INSERT"]}, {}, NEVER),
        ({"eventName": [{"anything-but": "REMOVE"}]}, {}, ALWAYS),
        ({"eventName": [{"prefix": "MOD"}]}, {}, ALWAYS),
        ({"eventSource": ["aws:dynamodb"], "awsRegion": ["eu-west-1"]}, {}, ALWAYS),
        ({"awsRegion": ["us-east-1"]}, {}, NEVER),
        # The guide's filter for deletions by time to live.
        ({"userIdentity": {"type": ["Service"], "principalId": ["dynamodb.amazonaws.com"]}}, {}, NEVER),
        ({"userIdentity": {"type": [{"exists": False}]}}, {}, ALWAYS),
        # Images that the view type does not have.
        (image(status={"S": ["x"]}), {}, MAY),
        (image(status={"S": ["x"]}), {"view": "KEYS_ONLY"}, NEVER),
        (image("OldImage", status={"S": ["x"]}), {"view": "NEW_IMAGE"}, NEVER),
        (image(status={"S": ["x"]}), {"view": "OLD_IMAGE"}, NEVER),
        ({"dynamodb": {"StreamViewType": ["KEYS_ONLY"]}}, {"view": "NEW_IMAGE"}, NEVER),
        # Keys: their names and types are known, their values where one is selected.
        ({"dynamodb": {"Keys": {"pk": {"S": ["ann"]}}}}, {}, MAY),
        ({"dynamodb": {"Keys": {"pk": {"S": ["ann"]}}}}, {"selection": ANN}, ALWAYS),
        ({"dynamodb": {"Keys": {"pk": {"S": [{"prefix": "b"}]}}}}, {"selection": ANN}, NEVER),
        (image(pk={"S": ["bob"]}), {"selection": ANN}, NEVER),
        ({"dynamodb": {"Keys": {"pk": {"N": ["5"]}}}}, {}, NEVER),
        ({"dynamodb": {"Keys": {"other": {"S": [{"exists": True}]}}}}, {}, NEVER),
        ({"dynamodb": {"Keys": {"sk": {"N": [{"numeric": [">", 5]}]}}}}, {}, NEVER),
        ({"dynamodb": {"SizeBytes": [{"numeric": [">", 5]}]}}, {}, MAY),
        # The marker.
        (image(revision={"N": [{"exists": True}]}), {}, ALWAYS),
        (image(revision={"N": [{"exists": False}]}), {}, NEVER),
        (image(revision={"S": [{"exists": False}]}), {}, ALWAYS),
        (image("OldImage", revision={"N": [{"exists": False}]}), {}, MAY),
        (
            image(stamp={"S": ["fix-1"]}),
            {"marker_kind": "stamp", "marker_attribute": "stamp", "run_id": "fix-1"},
            ALWAYS,
        ),
        (image(stamp={"S": ["fix-1"]}), {"marker_kind": "stamp", "marker_attribute": "stamp"}, MAY),
        # Both images are equal except for the marker: a filter for a transition never matches.
        (images({"status": {"S": ["SHIPPED"]}}, {"status": {"S": ["OPEN"]}}), {}, NEVER),
        (images({"status": {"S": ["SHIPPED"]}}, {"status": {"S": ["OPEN", "SHIPPED"]}}), {}, MAY),
        (images({"status": {"S": ["SHIPPED"]}}, {"status": {"S": [{"anything-but": "SHIPPED"}]}}), {}, NEVER),
        (images({"status": {"S": [{"exists": True}]}}, {"status": {"S": [{"exists": False}]}}), {}, NEVER),
        (images({"status": {"S": [{"prefix": "S"}]}}, {"status": {"S": [{"prefix": "O"}]}}), {}, MAY),
        (images({"a": {"M": {"b": {"S": ["x"]}}}}, {"a": {"M": {"b": {"S": ["y"]}}}}), {}, NEVER),
        (images({"revision": {"N": ["2"]}}, {"revision": {"N": ["1"]}}), {}, MAY),
        # A member that no record has.
        ({"newImage": {"status": ["x"]}}, {}, NEVER),
        ({"$or": [{"eventName": ["REMOVE"]}, image(pk={"S": [{"exists": True}]})]}, {}, ALWAYS),
    ],
)
def test_filters_over_a_refired_record(
    pattern: dict[str, Any], about: dict[str, Any], expected: Match
) -> None:
    """The known part of a touch's record decides; the unknown part leaves the result open."""
    about = dict(about)
    run = checked(about.pop("view", "NEW_AND_OLD_IMAGES"), **about)
    assert passes(pattern, run, refired(run)) is expected

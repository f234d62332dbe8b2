"""Placeholders in plain or DynamoDB JSON."""

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.cli.expressions import check_placeholders, parse_names, parse_values, to_attribute_value
from refire_async.errors import UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a"', {"S": "a"}),
        ("12345678901234567890123456789012345678", {"N": "12345678901234567890123456789012345678"}),
        ("1.10", {"N": "1.10"}),
        ("1E+20", {"N": "1E+20"}),
        ("-0", {"N": "-0"}),
        ("true", {"BOOL": True}),
        ("null", {"NULL": True}),
        ('["a", 1]', {"L": [{"S": "a"}, {"N": "1"}]}),
        ('{"a": 1, "b": {}}', {"M": {"a": {"N": "1"}, "b": {"M": {}}}}),
        ('{"S": "a"}', {"S": "a"}),
        ('{"N": "1E-130"}', {"N": "1E-130"}),
        ('{"B": "AAE="}', {"B": "AAE="}),
        ('{"SS": ["a"]}', {"SS": ["a"]}),
        ('{"NS": ["1", "2"]}', {"NS": ["1", "2"]}),
        ('{"BS": ["AAE="]}', {"BS": ["AAE="]}),
        ('{"L": [{"S": "a"}]}', {"L": [{"S": "a"}]}),
        ('{"M": {"a": {"N": "1"}}}', {"M": {"a": {"N": "1"}}}),
        ('{"BOOL": false}', {"BOOL": False}),
        ('{"NULL": true}', {"NULL": True}),
        # Named like a type but not shaped like one: a map.
        ('{"S": 1}', {"M": {"S": {"N": "1"}}}),
        ('{"S": "a", "N": "1"}', {"M": {"S": {"S": "a"}, "N": {"S": "1"}}}),
    ],
)
def test_values(text: str, value: dict[str, object]) -> None:
    """Each JSON value has one meaning, and numbers keep their digits."""
    assert parse_values(f'{{":v": {text}}}', "--values") == ((":v", value),)


@pytest.mark.parametrize(
    "text",
    [
        '{"N": "one"}',
        '{"N": "NaN"}',
        '{"N": "1E126"}',
        '{"N": "1E-131"}',
        '{"B": "no base64"}',
        '{"NS": ["1", "x"]}',
        '{"SS": [1]}',
        "1" * 39,
        "Infinity",
    ],
)
def test_values_that_dynamodb_does_not_have(text: str) -> None:
    """What the service would refuse is refused here, with the name of the placeholder or the option."""
    with pytest.raises(UsageError, match=r":v|--values"):
        parse_values(f'{{":v": {text}}}', "--values")


def test_deep_nesting_is_no_crash() -> None:
    """JSON that is nested too deeply is bad input."""
    with pytest.raises(UsageError):
        parse_values('{":v": ' + "[" * 100_000 + "]" * 100_000 + "}", "--values")


NATIVE = st.recursive(
    st.one_of(
        st.builds(lambda s: {"S": s}, st.text()),
        st.builds(lambda n: {"N": str(n)}, st.integers(-(10**37), 10**37)),
        st.builds(lambda b: {"B": b64encode(b).decode()}, st.binary()),
        st.builds(lambda b: {"BOOL": b}, st.booleans()),
        st.just({"NULL": True}),
        st.builds(lambda m: {"SS": m}, st.lists(st.text(), min_size=1)),
    ),
    lambda inner: st.one_of(
        st.builds(lambda m: {"L": m}, st.lists(inner)),
        st.builds(lambda m: {"M": m}, st.dictionaries(st.text(), inner)),
    ),
    max_leaves=10,
)


@given(NATIVE)
def test_dynamodb_json_is_unchanged(value: dict[str, object]) -> None:
    """Any DynamoDB JSON comes out as it went in."""
    assert parse_values(json.dumps({":v": value}), "--values") == ((":v", value),)
    assert to_attribute_value(value) == value


def test_names() -> None:
    """Names are pairs in the given order."""
    assert parse_names('{"#b": "x y", "#a": "é"}', "--names") == (("#b", "x y"), ("#a", "é"))


@pytest.mark.parametrize(
    "text", ['{"#a": ""}', '{"#a": null}', '{"a": "b"}', '{"#": "b"}', '{"#a-b": "c"}', "7"]
)
def test_bad_names(text: str) -> None:
    """A placeholder begins with # and has the name of an attribute."""
    with pytest.raises(UsageError, match="--names"):
        parse_names(text, "--names")


def test_placeholders_that_match() -> None:
    """Used and defined ones are the same; one can be used twice."""
    names, values = (("#a", "x"),), ((":b", {"S": "y"}),)
    check_placeholders("--filter", "#a = :b OR begins_with(#a, :b)", names, values)
    check_placeholders("--filter", None, (), ())
    check_placeholders("--filter", "attribute_exists(a)", (), ())

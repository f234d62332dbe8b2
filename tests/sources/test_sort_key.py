"""The grammar of sort key conditions: conditions become a KeyConditionExpression with parameters."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.errors import UsageError
from refire_async.sources.sort_key import sort_key_condition, sort_key_conditions, typed_value

blanks = st.text(" \t\n", max_size=3)
some_blanks = st.text(" \t\n", min_size=1, max_size=3)
words = st.text(min_size=1, max_size=12).map(str.strip).filter(bool)
plain_words = words.filter(lambda word: word[0] not in "<>=" and "and" not in word.lower())
operators = st.sampled_from(["<=", ">=", "=", "<", ">"])
numbers = st.decimals(allow_nan=False, allow_infinity=False).map(str) | st.integers().map(str)
binaries = st.binary(min_size=1, max_size=40).map(lambda data: base64.b64encode(data).decode())


def in_any_case(word: str) -> st.SearchStrategy[str]:
    return st.sampled_from([word, word.upper(), word.title()])


@given(operators, blanks, blanks, blanks, plain_words)
def test_a_comparison_keeps_its_operator_and_its_value(
    operator: str, before: str, between: str, after: str, value: str
):
    """Any value is a parameter and never part of the expression."""
    text = f"{before}{operator}{between}{value}{after}"
    assert sort_key_condition(text, "#sk", "S") == (f"#sk {operator} :sk1", {":sk1": {"S": value}})


@given(in_any_case("begins_with"), some_blanks, words)
def test_begins_with_keeps_its_prefix(keyword: str, blank: str, value: str):
    assert sort_key_condition(f"{keyword}{blank}{value}", "#sk", "S") == (
        "begins_with(#sk, :sk1)",
        {":sk1": {"S": value}},
    )


@given(in_any_case("between"), in_any_case("and"), some_blanks, plain_words, plain_words)
def test_between_keeps_both_ends(between: str, conjunction: str, blank: str, low: str, high: str):
    text = f"{between}{blank}{low}{blank}{conjunction}{blank}{high}"
    assert sort_key_condition(text, "#sk", "S") == (
        "#sk BETWEEN :sk1 AND :sk2",
        {":sk1": {"S": low}, ":sk2": {"S": high}},
    )


@given(operators, numbers)
def test_numbers_are_accepted_in_every_notation(operator: str, number: str):
    _, values = sort_key_condition(f"{operator} {number}", "#sk", "N")
    assert values == {":sk1": {"N": number}}


@given(binaries, binaries)
def test_binary_values_are_base64(low: str, high: str):
    _, values = sort_key_condition(f"between {low} and {high}", "#sk", "B")
    assert values == {":sk1": {"B": low}, ":sk2": {"B": high}}


@given(st.text(max_size=60), st.sampled_from("SNB"))
def test_any_other_text_is_a_usage_error_and_nothing_else(text: str, key_type: str):
    """Never a traceback, and what is understood names only its own placeholders."""
    try:
        condition, values = sort_key_condition(text, "#sk", key_type)
    except UsageError:
        return
    assert condition in {
        "#sk BETWEEN :sk1 AND :sk2",
        "begins_with(#sk, :sk1)",
        *(f"#sk {operator} :sk1" for operator in ("=", "<", "<=", ">", ">=")),
    }
    assert set(values) == ({":sk1", ":sk2"} if "BETWEEN" in condition else {":sk1"})


@pytest.mark.parametrize(
    ("text", "key_type", "message"),
    [
        ("", "S", "not understood"),
        ("2026-11", "S", "not understood"),
        ("<> 5", "N", "'> 5' is not a number"),
        ("between 1", "N", "not understood"),
        ("between 1 and", "N", "not understood"),
        ("begins_with", "S", "not understood"),
        ("begins_with 1", "N", "does not work on a sort key of type N"),
        ("= one", "N", "'one' is not a number"),
        ("= 1_000", "N", "'1_000' is not a number"),
        ("= ٣", "N", "is not a number"),
        ("= a", "B", "'a' is not base64"),
        ("= YQ", "B", "'YQ' is not base64"),
        ("=", "S", "not understood"),
    ],
)
def test_errors_are_one_line(text: str, key_type: str, message: str):
    with pytest.raises(UsageError) as caught:
        sort_key_condition(text, "#sk", key_type)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_string_keeps_its_spaces_and_other_types_lose_them():
    """In a string they are part of the key; around a number or base64 they are a mistake."""
    assert typed_value(" a ", "S") == {"S": " a "}
    assert typed_value(" 1 ", "N") == {"N": "1"}
    assert typed_value(" YQ== ", "B") == {"B": "YQ=="}


@pytest.mark.parametrize("key_type", ["S", "N", "B"])
def test_an_empty_key_value_is_refused(key_type: str):
    with pytest.raises(UsageError):
        typed_value("", key_type)


RANGES = (("year", "N"), ("month", "N"), ("a.name", "S"))


@pytest.mark.parametrize(
    ("text", "expression", "values"),
    [
        ("> 2026", "#s0 > :s01", ["2026"]),
        ("between 1 and 3", "#s0 BETWEEN :s01 AND :s02", ["1", "3"]),
        ("year=2026 AND month<=3", "#s0 = :s01 AND #s1 <= :s11", ["2026", "3"]),
        ("month between 3 and 5 and year = 1", "#s0 = :s01 AND #s1 BETWEEN :s11 AND :s12", ["1", "3", "5"]),
        (
            "year = 1 and month = 2 and a.name begins_with x and y",
            "#s0 = :s01 AND #s1 = :s11 AND begins_with(#s2, :s21)",
            ["1", "2", "x and y"],
        ),
    ],
)
def test_conditions_on_several_sort_attributes(text: str, expression: str, values: list[str]):
    found, names, typed = sort_key_conditions(text, RANGES, "#s", ":")
    assert found == expression
    assert names == {f"#s{n}": RANGES[n][0] for n in range(len(names))}
    assert [next(iter(value.values())) for value in typed.values()] == values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("month = 3", "without year"),
        ("year > 2025 and month = 3", "only the last attribute may have a range, not year"),
        ("year = 1 and a.name = x", "without month"),
        ("year > 1 and year < 3", "names an attribute twice"),
        ("year begins_with 20", "begins_with does not work"),
        ("day = 3", "not understood"),
    ],
)
def test_conditions_that_dynamodb_would_refuse(text: str, said: str):
    with pytest.raises(UsageError, match=said):
        sort_key_conditions(text, RANGES, "#s", ":")


def test_a_single_sort_key_takes_the_rest_of_the_text_as_its_value():
    """What looks like a second condition belongs to the value, as before."""
    _, _, values = sort_key_conditions("= x and month = 3", (("sk", "S"),), "#s", ":")
    assert values == {":s01": {"S": "x and month = 3"}}

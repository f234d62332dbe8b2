"""The marker: what a touch writes over what it finds."""

from decimal import MAX_PREC, Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.marker import Marker, UntouchableError, next_number

REVISION = Marker("revision", "revision", "run-1")
STAMP = Marker("stamp", "refire_run_id", "run-1")

EXACT = Context(prec=MAX_PREC // 10**15)  # 999 digits: every sum below is exact


@st.composite
def dynamodb_numbers(draw: st.DrawFn) -> str:
    """Every kind of number that DynamoDB stores: up to 38 digits, 1E-130 to 9.9E+125, either sign, zero."""
    digits = draw(st.integers(0, 10**38 - 1))
    exponent = draw(st.integers(-130, 125) | st.integers(-45, 5) | st.just(0))
    number = Decimal((draw(st.integers(0, 1)), tuple(map(int, str(digits))), exponent))
    if number and not -130 <= number.adjusted() <= 125:
        number = Decimal(digits)
    return draw(st.sampled_from([format(number, "f"), str(number)]))


def significant_digits(number: Decimal) -> int:
    return len("".join(map(str, number.as_tuple().digits)).strip("0"))


@given(dynamodb_numbers())
def test_the_next_number_is_exactly_one_more_or_refused(text: str):
    """Held against arithmetic with 999 digits: never rounded, and refused only where 38 digits cannot hold it."""
    with localcontext(EXACT):
        exact = Decimal(text) + 1
        fits = significant_digits(exact) <= 38 and (not exact or -130 <= exact.adjusted() <= 125)
        if fits:
            assert Decimal(next_number(text)) == exact
        else:
            with pytest.raises(UntouchableError):
                next_number(text)


@given(dynamodb_numbers())
def test_the_next_number_is_written_out_without_an_exponent(text: str):
    """So that it reads the same in the ledger, in DynamoDB's answer and for people."""
    try:
        written = next_number(text)
    except UntouchableError:
        return
    assert set(written) <= set("0123456789.-")


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("0", "1"),
        ("7", "8"),
        ("-1", "0"),
        ("-0.5", "0.5"),
        ("1.5", "2.5"),
        ("1E+20", "100000000000000000001"),
        ("9" * 37, "1" + "0" * 37),
        ("9" * 38, "1" + "0" * 38),
    ],
)
def test_numbers_at_the_edges(text: str, following: str):
    assert next_number(text) == following


@pytest.mark.parametrize("text", ["1E+125", "9" * 38 + "E+1", "1E-130", "-1E-130", "0." + "1" * 38 + "1"])
def test_a_number_without_room_for_one_more_is_untouchable(text: str):
    """Adding 1 would lose digits, so that the value could not be told from what it was."""
    with pytest.raises(UntouchableError, match="38 digits"):
        next_number(text)


def test_a_missing_revision_begins_at_one():
    assert REVISION.next(None) == {"N": "1"}


@pytest.mark.parametrize(
    "value", [{"S": "7"}, {"B": "AA=="}, {"BOOL": True}, {"NULL": True}, {"L": []}, {"M": {}}, {"NS": ["1"]}]
)
def test_a_revision_that_is_no_number_is_untouchable(value: dict[str, object]):
    """The reason names its type and not its value, which may be personal data."""
    with pytest.raises(UntouchableError, match=f"type {next(iter(value))}, not a number"):
        REVISION.next(value)


@pytest.mark.parametrize("value", [None, {"S": "another run"}, {"N": "1"}, {"L": []}, {"SS": ["run-1"]}])
def test_a_stamp_is_written_over_anything(value: dict[str, object] | None):
    assert STAMP.next(value) == {"S": "run-1"}
    assert not STAMP.fired(value)


def test_only_this_runs_stamp_proves_that_an_item_has_fired():
    """A revision never does: its value alone does not tell what it was before."""
    assert STAMP.fired({"S": "run-1"})
    assert not STAMP.fired({"B": "run-1"})
    assert not REVISION.fired({"N": "1"})
    assert not REVISION.fired({"S": "run-1"})

"""Ranges of hash keys: every value between the ends, in the form of the ends."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.errors import UsageError
from refire_async.sources.key_ranges import MAX_KEY_VALUES, expand_range

days = st.dates(date(1900, 1, 1), date(2400, 1, 1))
prefixes = st.sampled_from(["", "DAY#", "a-b_", "2026#", "é "])


@given(days, st.integers(0, 400), prefixes)
def test_every_day_between_the_ends(first: date, more: int, prefix: str):
    """Including leap days and changes of year, each once and in order."""
    last = first + timedelta(days=more)
    found = expand_range(f"{prefix}{first}..{prefix}{last}", "S")
    assert found == [f"{prefix}{first + timedelta(days=n)}" for n in range(more + 1)]


@given(days, st.integers(0, 1200), prefixes)
def test_every_month_between_the_ends(first: date, more: int, prefix: str):
    month = first.year * 12 + first.month - 1
    names = [f"{prefix}{(month + n) // 12:04d}-{(month + n) % 12 + 1:02d}" for n in range(more + 1)]
    assert expand_range(f"{names[0]}..{names[-1]}", "S") == names


@given(st.integers(-(10**9), 10**9), st.integers(0, 300))
def test_every_number_between_the_ends(first: int, more: int):
    """Negative numbers for a key of type N; from zero for type S."""
    expected = [str(n) for n in range(first, first + more + 1)]
    assert expand_range(f"{first}..{first + more}", "N") == expected
    if first >= 0:
        assert expand_range(f"{first}..{first + more}", "S") == expected
        padded = [f"shard-{n:012d}" for n in range(first, first + more + 1)]
        assert expand_range(f"{padded[0]}..{padded[-1]}", "S") == padded


@pytest.mark.parametrize(
    ("text", "key_type", "what"),
    [
        ("1", "N", "is not a range"),
        ("1...5", "N", "is not a range of whole numbers"),
        ("1.5..2.5", "N", "is not a range of whole numbers"),
        ("2026-11-01..2026-11-02", "N", "is not a range of whole numbers"),
        ("a..b", "S", "is not a range of days, months or numbers"),
        ("2026-11-01..2026-12", "S", "is not a range of days, months or numbers"),
        ("A#1..B#2", "S", "is not a range of days, months or numbers"),
        ("2026-02-30..2026-03-01", "S", "contains an invalid date"),
        ("2026-13..2027-01", "S", "contains an invalid date"),
        ("5..1", "N", "wrong order"),
        ("2026-11-02..2026-11-01", "S", "wrong order"),
        ("007..1200", "S", "ends of different width"),
        ("x7..x0012", "S", "ends of different width"),
        (f"1..{MAX_KEY_VALUES + 1}", "N", "has 10,001 values, more than 10,000"),
        ("1900-01-01..2900-01-01", "S", "more than 10,000"),
        ("1.." + "9" * 38, "N", "more than 10,000"),
        ("AQ==..AR==", "B", "does not support keys of type B"),
        ("x" * 5000 + "..y", "S", "is not a range"),
    ],
)
def test_invalid_ranges_are_refused(text: str, key_type: str, what: str):
    """In one line that does not repeat a long input."""
    with pytest.raises(UsageError, match=what) as caught:
        expand_range(text, key_type)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("key_type", ["S", "N"])
def test_zero_is_not_a_leading_zero(key_type: str):
    """Shards are often numbered from 0 on."""
    assert expand_range("0..15", key_type) == [str(n) for n in range(16)]
    assert expand_range("00..15", key_type) == [f"{n:02d}" for n in range(16)]


def test_the_largest_range_is_accepted():
    assert len(expand_range(f"1..{MAX_KEY_VALUES}", "N")) == MAX_KEY_VALUES

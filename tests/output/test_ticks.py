"""The ticks of any axis: few, at round numbers, from one end to the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.output.html import ticks


@given(st.floats(1e-6, 1e12))
def test_an_axis_ends_a_little_above_the_highest_value(highest: float):
    top = ticks.round_top(highest)
    found = ticks.linear(top)
    assert highest <= top <= highest * 2.1
    assert found[0] == 0
    assert found[-1] == pytest.approx(top)
    assert 2 <= len(found) <= 7


def test_zero_has_an_axis():
    assert ticks.round_top(0.0) == 1.0


@given(st.floats(0.01, 1e8))
def test_times_are_few_and_within_the_run(end_s: float):
    found = ticks.times(end_s)
    assert 2 <= len(found) <= ticks.MOST_TIME_TICKS + 1
    assert found[0] == (0.0, "0")
    assert all(0 <= at <= end_s * 1.0001 for at, _ in found)
    assert len({label for _, label in found}) == len(found)


@pytest.mark.parametrize(
    ("end_s", "last"), [(0.7, "0.6 s"), (8.0, "8 s"), (700.0, "10 min"), (20_000.0, "5 h"), (1e6, "10 d")]
)
def test_times_have_suitable_units(end_s: float, last: str):
    assert ticks.times(end_s)[-1][1] == last


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5"), (1_500, "1,500"), (40_000, "40k"), (2_500_000, "2.5M"), (3e9, "3G")]
)
def test_numbers_are_short(value: float, text: str):
    assert ticks.number(value) == text


def test_a_logarithmic_axis_has_ticks_between_powers_where_there_is_room():
    assert ticks.logarithmic(3.0, 60.0) == [5.0, 10.0, 20.0, 50.0]
    assert ticks.logarithmic(0.5, 5_000.0) == [1.0, 10.0, 100.0, 1_000.0]

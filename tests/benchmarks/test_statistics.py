"""Medians, ratios and orders of measurement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.framework.statistics import interleave, paired_ratio, spread

POSITIVE = st.floats(0.001, 1e6)


def test_spread_keeps_the_order_of_rounds() -> None:
    """Median, least and most do not depend on the order; the values keep it, so that drift can be seen."""
    found = spread([3.0, 1.0, 2.0, 10.0])
    assert (found.median, found.low, found.high) == (2.5, 1.0, 10.0)
    assert found.to_json()["values"] == [3.0, 1.0, 2.0, 10.0]


def test_nothing_measured_is_an_error() -> None:
    """No figure comes out of no measurement."""
    with pytest.raises(ValueError, match="nothing"):
        spread([])


@given(st.lists(st.tuples(POSITIVE, st.floats(0.5, 2.0)), min_size=1), st.floats(1.0, 200.0))
def test_a_machine_that_drifts_leaves_paired_ratios_alone(
    rounds: list[tuple[float, float]], true: float
) -> None:
    """Both sides of a round slowed down alike: the ratio of each round is the true one."""
    ours = [cost * drift for cost, drift in rounds]
    theirs = [cost * drift * true for cost, drift in rounds]
    found = paired_ratio(theirs, ours)
    assert found.low == pytest.approx(true)
    assert found.high == pytest.approx(true)


def test_ratios_need_the_same_rounds() -> None:
    """A round that one side has missed is not passed over in silence."""
    with pytest.raises(ValueError, match="argument"):
        paired_ratio([1.0, 2.0], [1.0])


@given(st.integers(1, 7), st.integers(1, 30))
def test_each_contender_takes_part_in_each_round_and_visits_every_place(size: int, rounds: int) -> None:
    """Every round is a permutation; over as many rounds as contenders each has been at each place once."""
    names = [f"c{number}" for number in range(size)]
    order = interleave(names, rounds)
    assert len(order) == rounds
    assert all(sorted(turn) == sorted(names) for turn in order)
    for start in range(0, rounds - size + 1, size):
        block = order[start : start + size]
        for name in names:
            assert {turn.index(name) for turn in block} == set(range(size))

"""Assumed on-demand capacity: it at most doubles in half an hour, and never while writes are throttled."""

from hypothesis import given
from hypothesis import strategies as st

from refire_async.pacing.on_demand_growth import DOUBLING_S, REST_S, STEP_BACK, Growth

STEP_S = 10.0


def grow(growth: Growth, begin: float, seconds: float, used: float = 1.0) -> float:
    """Steps without throttling; returns the time at the end."""
    now = begin
    while now < begin + seconds:
        now += STEP_S
        growth.step(now, used, throttled=False, lacking=False)
    return now


def test_capacity_in_full_use_doubles_in_half_an_hour():
    growth = Growth(0.0)
    grow(growth, 0.0, DOUBLING_S)
    assert abs(growth.factor - 2.0) < 1e-9


def test_unused_capacity_does_not_grow():
    """DynamoDB too adapts only to a peak that was reached."""
    growth = Growth(0.0)
    grow(growth, 0.0, 10 * DOUBLING_S, used=0.5)
    assert growth.factor == 1.0


def test_throttling_stops_growth_for_a_while_and_takes_a_step_back():
    growth = Growth(0.0)
    now = grow(growth, 0.0, DOUBLING_S) + STEP_S
    growth.step(now, 1.0, throttled=True, lacking=True)
    assert abs(growth.factor - 2.0 * STEP_BACK) < 1e-9
    now = grow(growth, now, REST_S - STEP_S)
    assert abs(growth.factor - 2.0 * STEP_BACK) < 1e-9
    grow(growth, now, 60.0)
    assert growth.factor > 2.0 * STEP_BACK


def test_a_hot_key_range_stops_growth_without_a_step_back():
    growth = Growth(0.0)
    now = grow(growth, 0.0, DOUBLING_S) + STEP_S
    growth.step(now, 1.0, throttled=True, lacking=False)
    assert abs(growth.factor - 2.0) < 1e-9


@given(
    st.lists(st.tuples(st.floats(0.1, 600.0), st.floats(0.0, 2.0), st.booleans(), st.booleans()), max_size=50)
)
def test_growth_stays_between_a_new_table_and_the_documented_rate(
    steps: list[tuple[float, float, bool, bool]],
):
    growth, now = Growth(0.0), 0.0
    for passed, used, throttled, lacking in steps:
        now += passed
        growth.step(now, used, throttled=throttled, lacking=lacking)
        assert 1.0 <= growth.factor <= 2.0 ** (now / DOUBLING_S) * (1 + 1e-9)

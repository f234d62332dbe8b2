"""On-demand capacity that nobody tells: it doubles in half an hour at the most, and never while anything throttles."""

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


def test_what_is_used_in_full_doubles_in_half_an_hour():
    growth = Growth(0.0)
    grow(growth, 0.0, DOUBLING_S)
    assert abs(growth.factor - 2.0) < 1e-9


def test_what_is_not_used_does_not_grow():
    """A peak that was not reached raises nothing in the service either."""
    growth = Growth(0.0)
    grow(growth, 0.0, 10 * DOUBLING_S, used=0.5)
    assert growth.factor == 1.0


def test_throttling_stops_growth_for_a_while_and_takes_back_what_was_too_much():
    growth = Growth(0.0)
    now = grow(growth, 0.0, DOUBLING_S) + STEP_S
    growth.step(now, 1.0, throttled=True, lacking=True)
    assert abs(growth.factor - 2.0 * STEP_BACK) < 1e-9
    now = grow(growth, now, REST_S - STEP_S)
    assert abs(growth.factor - 2.0 * STEP_BACK) < 1e-9
    grow(growth, now, 60.0)
    assert growth.factor > 2.0 * STEP_BACK


def test_a_hot_key_range_stops_growth_but_takes_nothing_back():
    growth = Growth(0.0)
    now = grow(growth, 0.0, DOUBLING_S) + STEP_S
    growth.step(now, 1.0, throttled=True, lacking=False)
    assert abs(growth.factor - 2.0) < 1e-9


@given(
    st.lists(st.tuples(st.floats(0.1, 600.0), st.floats(0.0, 2.0), st.booleans(), st.booleans()), max_size=50)
)
def test_it_is_never_less_than_new_nor_more_than_the_documented_pace(
    steps: list[tuple[float, float, bool, bool]],
):
    growth, now = Growth(0.0), 0.0
    for passed, used, throttled, lacking in steps:
        now += passed
        growth.step(now, used, throttled=throttled, lacking=lacking)
        assert 1.0 <= growth.factor <= 2.0 ** (now / DOUBLING_S) * (1 + 1e-9)

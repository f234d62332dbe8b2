"""The capacity that live traffic leaves for a run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.pacing.headroom import (
    BLIND_SHARE,
    KEPT_S,
    LATE_S,
    OwnConsumption,
    available,
    live_rate,
    minute_of,
)

NOW = 1_800_000_000.0
"""The first second of a minute."""


def minutes(*units: float | None, newest: int = 1) -> dict[int, float]:
    """Units by minute, the newest first; that one ended `newest - 1` minutes ago. None: missing."""
    return {int(NOW) - 60 * n: value for n, value in enumerate(units, newest) if value is not None}


def test_the_runs_own_consumption_is_not_live_traffic() -> None:
    assert live_rate(minutes(None, 9_000, 9_000, 9_000), minutes(6_000, 6_000, 3_000, 6_000), NOW) == 100.0


def test_the_busiest_of_three_minutes_counts() -> None:
    """Falling traffic counts after three minutes."""
    assert live_rate(minutes(None, 60, 600, 6_000, 60_000), {}, NOW) == 100.0


def test_an_incomplete_data_point_counts_only_if_it_is_high() -> None:
    """It may still grow."""
    assert live_rate(minutes(60, 600, 600, 600), {}, NOW) == 10.0
    assert live_rate(minutes(6_000, 600, 600, 600), {}, NOW) == 100.0


def test_no_data_points_mean_no_traffic() -> None:
    assert live_rate({}, {}, NOW) == 0.0


def test_the_run_waits_for_late_data_points() -> None:
    """The last four minutes are missing so far: the minute before them counts."""
    own = minutes(6_000, 6_000, 6_000, 6_000, 6_000)
    assert live_rate(minutes(None, None, None, 7_200), own, NOW) == 20.0


def test_data_points_that_never_arrive_prove_nothing() -> None:
    """The run's own consumption does not show, so the metrics do not belong to this table."""
    assert live_rate({}, minutes(600, 600, 600, 600, 600, 600), NOW) is None


def test_own_consumption_is_kept_by_minute_for_a_limited_time() -> None:
    own = OwnConsumption()
    own.add({"": 5.0, "by-day": 2.0}, NOW)
    own.add({"": 6.0}, NOW + 59.9)
    own.add({"": 7.0}, NOW + 60)
    assert own.of("") == {int(NOW): 11.0, int(NOW) + 60: 7.0}
    assert own.of("by-day") == {int(NOW): 2.0}
    assert own.of("other") == {}
    for n in range(1_000):
        own.add({"": 1.0}, NOW + 60 * n)
    assert len(own.of("")) <= KEPT_S / 60 + 1


@given(
    st.floats(0, 40_000),
    st.floats(0, 40_000),
    st.integers(0, LATE_S // 60),
    st.integers(0, 59),
    st.booleans(),
)
def test_steady_traffic_is_measured_exactly(
    live: float, ours: float, late: int, second: int, silent: bool
) -> None:
    """For any consumption of the run and any delay; also without data points for minutes without traffic."""
    now = NOW + second
    newest = minute_of(now) - 60 * (1 + late)
    shown = live * 60 + ours * 60
    consumed = {newest - 60 * n: shown for n in range(12) if shown > 0 or not silent}
    own = {minute_of(now) - 60 * n: ours * 60 for n in range(15)}
    found = live_rate(consumed, own, now)
    assert found == pytest.approx(live, abs=1e-6)


@given(st.lists(st.floats(0, 1e6), min_size=4, max_size=12), st.floats(0, 1e6))
def test_more_traffic_never_lowers_the_measured_rate(units: list[float], more: float) -> None:
    """The newest complete data point is a lower bound, and a higher one never lowers the result."""
    figures = minutes(*units, newest=2)
    found = live_rate(figures, {}, NOW)
    assert found is not None
    assert found >= units[0] / 60
    higher = live_rate({minute: value + more for minute, value in figures.items()}, {}, NOW)
    assert higher is not None
    assert higher >= found


resources = st.dictionaries(
    st.sampled_from(["", "by-day", "by-name"]),
    st.tuples(st.floats(1, 1e5), st.floats(0.01, 1.0), st.one_of(st.none(), st.floats(0, 1e5))),
    min_size=1,
)


@given(resources, st.floats(0, 0.95))
def test_live_traffic_and_headroom_stay_free(
    found: dict[str, tuple[float, float, float | None]], headroom: float
) -> None:
    """On each resource: run and live traffic together leave the headroom, or the run consumes nothing."""
    capacity = {name: has for name, (has, _, _) in found.items()}
    ceilings = {name: has * share for name, (has, share, _) in found.items()}
    live = {name: lives for name, (_, _, lives) in found.items()}
    given_leave = available(capacity, ceilings, live, headroom)
    assert 0.0 <= given_leave.share <= 1.0
    for name, ceiling in ceilings.items():
        taken = ceiling * given_leave.share
        seen = live[name]
        if seen is None:
            assert taken <= capacity[name] * (1 - headroom) * BLIND_SHARE * (1 + 1e-9)
        elif taken > 0:
            assert taken + seen <= capacity[name] * (1 - headroom) * (1 + 1e-9)


@given(resources, st.floats(0, 0.9), st.floats(0, 1e5))
def test_more_traffic_never_leaves_more_for_the_run(
    found: dict[str, tuple[float, float, float | None]], headroom: float, more: float
) -> None:
    capacity = {name: has for name, (has, _, _) in found.items()}
    ceilings = {name: has * share for name, (has, share, _) in found.items()}
    live = {name: lives or 0.0 for name, (_, _, lives) in found.items()}
    busier = {name: lives + more for name, lives in live.items()}
    assert (
        available(capacity, ceilings, busier, headroom).share
        <= available(capacity, ceilings, live, headroom).share
    )


def test_with_enough_capacity_the_run_is_not_limited() -> None:
    assert available({"": 1_000.0}, {"": 500.0}, {"": 200.0}, 0.2).share == 1.0


def test_the_scarcest_resource_limits_the_run_and_is_named() -> None:
    given_leave = available({"": 1_000.0, "i": 100.0}, {"": 800.0, "i": 80.0}, {"": 0.0, "i": 40.0}, 0.2)
    assert (given_leave.share, given_leave.resource, given_leave.live) == (0.5, "i", 40.0)


def test_less_than_the_minimum_share_is_a_pause() -> None:
    assert available({"": 1_000.0}, {"": 800.0}, {"": 795.0}, 0.2).share == 0.0

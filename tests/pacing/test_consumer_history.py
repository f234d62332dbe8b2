"""The minimum rate of a function from its metrics before the run never exceeds its real rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.pacing.consumer import FIRST_RATE
from refire_async.pacing.consumer_history import (
    HOUR_S,
    MAX_LIVE_SHARE,
    History,
    lanes,
    live_share,
    min_rate,
)

HOURS = [HOUR_S * (500_000 + number) for number in range(168)]


@given(
    fixed_s=st.floats(0.0, 2.0),
    each_s=st.floats(0.0001, 1.0),
    handed_in=st.floats(0.0, 0.1),
    records=st.floats(1.0, 100.0),
    handling=st.tuples(st.integers(1, 40), st.sampled_from([1, 10, 100, 1_000])),
)
def test_no_function_is_slower_than_the_estimate(
    fixed_s: float, each_s: float, handed_in: float, records: float, handling: tuple[int, int]
):
    """An invocation takes a fixed time and a time per record; earlier batches were smaller, or not."""
    concurrency, batch_size = handling
    history = History(durations={HOURS[0]: fixed_s + each_s * records})
    true = concurrency * batch_size / (handed_in + fixed_s + each_s * batch_size)
    assert min_rate(history, concurrency, batch_size) <= max(FIRST_RATE, true * 1.000001)


def test_the_slowest_hour_of_the_week_counts():
    """A function that fails at once for days looks fast."""
    durations = dict.fromkeys(HOURS, 0.001) | {HOURS[0]: 0.049}
    assert min_rate(History(durations), 1, 100) == pytest.approx(20.0)


@pytest.mark.parametrize("durations", [{}, {HOURS[0]: 0.0}, {HOURS[0]: 60.0}])
def test_a_function_without_useful_metrics_counts_as_slow(durations: dict[int, float]):
    assert min_rate(History(durations), 1, 100) == FIRST_RATE


@pytest.mark.parametrize(
    ("seen", "parallelization", "shards", "expected"),
    [
        ({}, 10, 8, 1),
        ({HOURS[0]: 3.0, HOURS[1]: 2.0}, 1, 8, 3),
        ({HOURS[0]: 50.0}, 1, 8, 4),
        ({HOURS[0]: 50.0}, 2, 1, 2),
        ({HOURS[0]: 50.0} | dict.fromkeys(HOURS[-24:], 2.0), 10, 8, 2),
    ],
)
def test_concurrent_batches_are_limited_by_the_seen_concurrency_and_half_of_the_shards(
    seen: dict[int, float], parallelization: int, shards: int, expected: int
):
    assert lanes(History(concurrency=seen), parallelization, shards) == expected


@pytest.mark.parametrize(
    ("busy", "share"),
    [
        ({}, 0.0),
        ({HOURS[-2]: 720.0, HOURS[-1]: 360.0}, 0.1),
        ({HOURS[0]: 7_200.0} | dict.fromkeys(HOURS[-24:], 720.0), 0.1),
        ({HOURS[-1]: 7_200.0}, MAX_LIVE_SHARE),
    ],
)
def test_live_events_use_the_share_of_the_busiest_hour_of_the_day(busy: dict[int, float], share: float):
    assert live_share(History(busy_s=busy), 2) == pytest.approx(share)

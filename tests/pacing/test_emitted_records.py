"""The number of records that a run has emitted, over time."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refire_async.pacing.emitted_records import MAX_COUNTS, STEP_S, EmittedRecords

START = 1_800_000_000.0

histories = st.lists(st.tuples(st.floats(0.0, 90.0), st.integers(0, 500)), max_size=60)


def made(history: list[tuple[float, int]]) -> EmittedRecords:
    found, now = EmittedRecords(START), START
    for wait, records in history:
        now += wait
        found.add(records, now)
    return found


@given(histories)
def test_counts_grow_with_time_and_end_with_the_total(history: list[tuple[float, int]]):
    found = made(history)
    times = [START - 5.0 + step * 7.3 for step in range(900)]
    counts = [found.at(time) for time in times]
    assert counts == sorted(counts)
    assert counts[0] == 0.0
    assert found.at(START + 90.0 * 61) == found.total == sum(records for _, records in history)


@given(histories, st.floats(0.0, 1.0))
@example([(0.0006736969585937452, 6)], 0.25)
@example([(0.0, 1), (1.0, 1), (1e-6, 500)], 0.9)
def test_when_is_the_earliest_time_by_which_a_number_of_records_was_emitted(
    history: list[tuple[float, int]], share: float
):
    found = made(history)
    count = share * found.total
    time = found.when(count)
    assert found.at(time) >= count
    assert found.at(time - 0.01) <= count + 1e-6


@given(histories)
def test_records_show_within_two_steps_of_their_time(history: list[tuple[float, int]]):
    """Interpolation moves records by at most the distance of two points, pauses included."""
    found, now, total = made(history), START, 0
    for wait, records in history:
        now += wait
        assert found.at(now - 2.1 * STEP_S) <= total + 1e-6
        total += records
        assert found.at(now + 2.1 * STEP_S) >= total - 1e-6


def test_a_day_needs_bounded_memory_and_its_last_hour_stays_exact():
    found = EmittedRecords(START)
    for second in range(86_400):
        found.add(500, START + second)
    assert len(found._times) <= MAX_COUNTS
    end = START + 86_399
    for ago in range(0, 3_600, 60):
        assert found.at(end - ago) == pytest.approx(500 * 86_400 - 500 * ago, abs=1)
    assert found.at(START + 43_200) == pytest.approx(500 * 43_200, rel=0.01)


def test_a_clock_that_is_set_back_counts_as_the_last_time():
    found = EmittedRecords(START)
    found.add(10, START + 100.0)
    found.add(10, START + 50.0)
    assert (found.total, found.at(START + 100.0)) == (20, 20)

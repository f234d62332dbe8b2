"""How many records a run has made, over time."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refire_async.pacing.emitted_records import MOST, STEP_S, EmittedRecords

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
    moments = [START - 5.0 + step * 7.3 for step in range(900)]
    counts = [found.at(moment) for moment in moments]
    assert counts == sorted(counts)
    assert counts[0] == 0.0
    assert found.at(START + 90.0 * 61) == found.total == sum(records for _, records in history)


@given(histories, st.floats(0.0, 1.0))
@example([(0.0006736969585937452, 6)], 0.25)
@example([(0.0, 1), (1.0, 1), (1e-6, 500)], 0.9)
def test_when_is_the_earliest_moment_by_which_so_many_were_made(
    history: list[tuple[float, int]], share: float
):
    found = made(history)
    count = share * found.total
    moment = found.when(count)
    assert found.at(moment) >= count
    assert found.at(moment - 0.01) <= count + 1e-6


@given(histories)
def test_what_was_made_at_a_moment_shows_within_two_steps(history: list[tuple[float, int]]):
    """Interpolation may move records by the distance of two points, no more, pauses included."""
    found, now, total = made(history), START, 0
    for wait, records in history:
        now += wait
        assert found.at(now - 2.1 * STEP_S) <= total + 1e-6
        total += records
        assert found.at(now + 2.1 * STEP_S) >= total - 1e-6


def test_a_day_takes_bounded_memory_and_the_last_hour_stays_exact():
    found = EmittedRecords(START)
    for second in range(86_400):
        found.add(500, START + second)
    assert len(found._moments) <= MOST
    end = START + 86_399
    for ago in range(0, 3_600, 60):
        assert found.at(end - ago) == pytest.approx(500 * 86_400 - 500 * ago, abs=1)
    assert found.at(START + 43_200) == pytest.approx(500 * 43_200, rel=0.01)


def test_a_clock_that_is_set_back_stands_still():
    found = EmittedRecords(START)
    found.add(10, START + 100.0)
    found.add(10, START + 50.0)
    assert (found.total, found.at(START + 100.0)) == (20, 20)

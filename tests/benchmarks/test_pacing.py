"""What the pacing benchmark reads out of its looks at a sandbox, and what it holds it against."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.framework.scenario import BenchmarkError
from benchmarks.pacing import meter
from benchmarks.pacing.cases import Parameters, Target, case
from benchmarks.pacing.figures import Change, comes_back, follows_down, moment_of
from benchmarks.pacing.meter import Look
from benchmarks.pacing.one_queue import OneQueue
from tests.support.checkpoints import item, page


def looks(*rates: float, refused: float = 0.0, every: float = 0.05, begin: float = 100.0) -> list[Look]:
    """Looks at a table that accepts and refuses so much in each second."""
    found, accepted, turned_away = [Look(begin, 0.0, 0.0, (0.0, 0.0))], 0.0, 0.0
    for number in range(round(len(rates) / every)):
        accepted += rates[int(number * every + 1e-9)] * every
        turned_away += refused * every
        halves = (accepted / 4, accepted * 3 / 4)
        found.append(Look(begin + (number + 1) * every, accepted, turned_away, halves))
    return found


def test_a_window_that_lies_across_two_seconds_is_found() -> None:
    """600 units around the turn of a second: each whole second has 300, one window all of them."""
    found = [Look(at, units, 0.0, ()) for at, units in [(10, 0), (10.8, 0), (11.2, 600), (12, 600)]]
    assert meter.busiest_window(found) == pytest.approx(600)
    assert meter.busiest_window(looks(100, 300, 200)) == pytest.approx(300)


@given(st.lists(st.tuples(st.floats(0.01, 0.4), st.floats(0, 500)), min_size=2, max_size=60))
def test_the_busiest_window_is_no_less_than_any_between_looks(steps: list[tuple[float, float]]) -> None:
    """Held against all pairs of looks at most a second apart; and it is never more than everything."""
    found = [Look(0.0, 0.0, 0.0, ())]
    for wait, units in steps:
        found.append(Look(found[-1].time + wait, found[-1].accepted + units, 0.0, ()))
    most = meter.busiest_window(found)
    for number, begin in enumerate(found):
        for end in found[number:]:
            if end.time - begin.time <= meter.WINDOW_S:
                assert most >= end.accepted - begin.accepted - 1e-6
    assert most <= found[-1].accepted + 1e-6


def test_moments_lie_between_looks() -> None:
    """250 of 1,000 units by the first partition: the run is over by then."""
    found = looks(0, 500, 500)
    assert meter.began(found) == pytest.approx(101, abs=0.05)
    assert meter.moment(found, 750) == pytest.approx(102.5)
    assert meter.moment(found, 125, [0]) == pytest.approx(102)
    assert meter.rate(found, 101, 103) == pytest.approx(500)
    with pytest.raises(BenchmarkError, match="ended before"):
        meter.moment(found, 1_001)
    with pytest.raises(BenchmarkError, match="wrote nothing"):
        meter.began(looks(0))


def test_how_capacity_that_changes_is_followed() -> None:
    """Down: refused units count as asked for. Up: a whole second at nearly all of it."""
    down, up = Change(101.0, 500), Change(104.0, 1_000)
    assert follows_down(looks(1_000, 500, 500, 500), down, 104.0) == 0.0
    assert follows_down(looks(1_000, 800, 500, 500), down, 104.0) == pytest.approx(1.45, abs=0.1)
    assert follows_down(looks(1_000, 500, 500, 500, refused=100), down, 104.0) == pytest.approx(3.0, abs=0.1)
    assert comes_back(looks(1_000, 500, 500, 500, 500, 600, 1_000, 1_000), up) == pytest.approx(3.0, abs=0.15)
    with pytest.raises(BenchmarkError, match="before it was back"):
        comes_back(looks(1_000, 500, 500, 500, 600, 600), up)


def test_records_by_second_say_when_most_had_come() -> None:
    assert moment_of({10: 100, 11: 100, 13: 200}, 320) == pytest.approx(13.6)
    with pytest.raises(BenchmarkError, match="does not hold"):
        moment_of({10: 5}, 6)


def test_targets_are_limits_of_either_kind() -> None:
    assert Target("x", 1.1).met(1.1)
    assert not Target("x", 1.1).met(1.11)
    assert Target("x", 0.97, at_least=True).met(0.97)
    assert not Target("x", 0.97, at_least=True).met(0.96)


def test_every_case_of_the_full_run_is_known_and_others_are_refused() -> None:
    for name in Parameters().cases:
        assert case(name, Parameters()).targets
    with pytest.raises(BenchmarkError, match="there is no case 'odd'"):
        case("odd", Parameters())
    with pytest.raises(BenchmarkError, match="there is no case 'uniform 0'"):
        case("uniform 0", Parameters())


def test_the_one_queue_hands_out_everything_once_and_in_line() -> None:
    """Pages in the order in which they came; what is kept by all workers stops the line; the rest is drained."""
    queue = OneQueue(workers=2)
    for number in range(3):
        queue.add_page(page(number, [item(f"{number}-{n}") for n in range(4)], segment=number))
    taken = [queue.next_batch(0.0, lambda _: 2) for _ in range(3)]
    assert [batch.page.number for batch in taken if batch is not None] == [0, 0, 1]
    for batch in taken[:2]:
        assert batch is not None
        batch.ready_at = 5.0
        queue.add_batch(batch)
    assert queue.next_batch(1.0, lambda _: 2) is None
    assert queue.wake_at() == 5.0
    assert queue.held_back(1.0) == 2
    assert queue.next_batch(5.0, lambda _: 2) is taken[0]
    left = [one["pk"]["S"] for _, items in queue.drain().values() for one in items]
    assert sorted(left) == ["0-2", "0-3", "1-2", "1-3", "2-0", "2-1", "2-2", "2-3"]
    assert len(queue) == 0
    assert queue.wake_at() is None

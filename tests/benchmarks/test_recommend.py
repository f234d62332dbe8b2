"""The settings that a sweep recommends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sweep.recommend import Cell, recommend, shares


def cells(speeds: dict[tuple[int, int], dict[int, float]]) -> list[Cell]:
    """Speeds by (segments, workers) and latency, for items of one size."""
    return [
        Cell(segments, workers, 1_000, latency, speed)
        for (segments, workers), by_latency in speeds.items()
        for latency, speed in by_latency.items()
    ]


def test_fewest_workers_that_are_nearly_best_everywhere() -> None:
    """Sixteen workers are best near by and poor far away; of those that are good in both, the least is taken."""
    found = cells(
        {
            (8, 16): {2: 1_000, 20: 400},
            (8, 32): {2: 970, 20: 960},
            (32, 32): {2: 980, 20: 970},
            (8, 64): {2: 960, 20: 1_000},
        }
    )
    advice = recommend(found, 0.95)
    assert (advice.segments, advice.workers) == (8, 32)
    assert advice.worst_share == pytest.approx(0.96)


def test_no_setting_is_good_everywhere() -> None:
    """Then the one that does best at its worst place."""
    found = cells({(1, 4): {2: 1_000, 20: 100}, (8, 16): {2: 700, 20: 800}, (8, 64): {2: 600, 20: 1_000}})
    advice = recommend(found, 0.95)
    assert (advice.segments, advice.workers, advice.worst_share) == (8, 16, 0.7)


def test_a_cell_of_several_rounds_survives_its_result() -> None:
    """With its scatter; one of a single round, as older results hold it, has none."""
    cell = Cell(4, 8, 1_000, 2, 200.0, 30, (190.0, 200.0, 230.0))
    assert cell.scatter == pytest.approx(0.2)
    assert Cell.from_json(cell.to_json()) == cell
    old = {"segments": 4, "workers": 8, "item_bytes": 200, "latency_ms": 2, "items_per_s": 9.0, "touched": 1}
    assert Cell.from_json(old).scatter == 0.0


def test_nothing_to_choose_from() -> None:
    """A sweep of nothing recommends nothing."""
    with pytest.raises(ValueError, match="nothing"):
        recommend([], 0.95)


SPEEDS = st.dictionaries(
    st.tuples(st.integers(1, 64), st.integers(1, 64)),
    st.fixed_dictionaries({2: st.floats(0, 1e5), 20: st.floats(0, 1e5)}),
    min_size=1,
)


@given(SPEEDS, st.floats(0.5, 1.0))
def test_no_other_setting_beats_the_advice(
    speeds: dict[tuple[int, int], dict[int, float]], enough: float
) -> None:
    """The advice reaches the share if any setting does, with no more workers than any other that does."""
    found = cells(speeds)
    worst, advice = shares(found), recommend(found, enough)
    assert worst[advice.segments, advice.workers] == advice.worst_share
    good = [settings for settings, share in worst.items() if share >= enough]
    if good:
        assert advice.worst_share >= enough
        assert advice.workers == min(workers for _, workers in good)
    else:
        assert advice.worst_share == max(worst.values())

"""What is read out of a sandbox's statistics, and the bounds that runs are measured against."""

from typing import Any

import pytest

from benchmarks.framework import capacity
from benchmarks.framework.scenario import BenchmarkError
from benchmarks.index.scenario import bound
from benchmarks.resume.scenario import items_of


def arm(*rows: tuple[float, ...], partitions: list[list[tuple[float, ...]]] | None = None) -> dict[str, Any]:
    """Statistics of a table: rows of second, read, write, throttled read, throttled write."""
    return {
        "index": None,
        "seconds": [list(row) for row in rows],
        "partitions": [{"seconds": [list(row) for row in part]} for part in partitions or []],
    }


BUSY = arm((10, 1, 90, 0, 0), (11, 1, 130, 0, 0), (12, 1, 100, 0, 25), (14, 1, 80, 0, 0), (15, 1, 5, 0, 0))


def test_quiet_seconds_between_busy_ones_count() -> None:
    """A second without any request is not in the statistics, but it was there and nothing was written in it."""
    assert [second.write for second in capacity.seconds(BUSY)] == [90, 130, 100, 0, 80, 5]
    assert capacity.seconds(arm()) == []


def test_steady_state_leaves_out_start_and_end() -> None:
    """The first two seconds with writes and the last are not steady; a hole in the middle is."""
    assert [second.write for second in capacity.steady(capacity.seconds(BUSY))] == [100, 0, 80]


def test_seconds_that_only_read_are_before_the_start() -> None:
    """What is read before the first write (a look-up, say) does not count as time without writes."""
    rows = arm((8, 5, 0, 0, 0), *[(second, 1, 100, 0, 0) for second in range(9, 13)])
    assert [second.second for second in capacity.steady(capacity.seconds(rows))] == [11]


def test_a_run_without_steady_state_is_refused() -> None:
    """Three seconds are a start and an end: a figure from them would be made up."""
    with pytest.raises(BenchmarkError, match="too short"):
        capacity.steady(capacity.seconds(arm(*[(second, 0, 10, 0, 0) for second in range(3)])))


def test_shares() -> None:
    """Used, peak and throttled shares of what is given, by hand."""
    seconds = capacity.seconds(BUSY)
    assert capacity.used_share(capacity.steady(seconds), 100) == pytest.approx(0.6)
    assert capacity.peak_share(seconds, 100) == pytest.approx(1.3)
    assert capacity.throttled_share(seconds) == pytest.approx(25 / (25 + 405))


def test_units_by_partition() -> None:
    """The hottest partition is the one with most accepted units over all seconds."""
    rows = arm(partitions=[[(1, 0, 10, 0, 0), (2, 0, 10, 0, 9)], [(1, 0, 5, 0, 0)], []])
    assert capacity.partition_writes(rows) == [20, 5, 0]


@pytest.mark.parametrize(
    ("total", "budget", "hottest", "seconds"),
    [(24_000, 8_000, 2_400, 3.0), (24_000, 8_000, 8_816, 8.816), (1_000, 10, 1_000, 100.0)],
)
def test_lower_bound(total: float, budget: float, hottest: float, seconds: float) -> None:
    """Whichever is later: the budget for all items, or 1,000 units a second for the hottest partition."""
    assert capacity.lower_bound_s(total, budget, hottest) == pytest.approx(seconds)


def test_the_slowest_resource_binds() -> None:
    """An index with a quarter of the table's budget takes four times as long for the same units."""
    written = {"table": 1_000.0, "index": 1_000.0}
    assert bound({"table": 1_600.0, "index": 400.0}, written) == ("index", 2.5)
    assert bound({"table": 1_600.0, "index": 400.0}, {"table": 1_000.0, "index": 0.0})[0] == "table"


def test_units_as_items() -> None:
    """Units beyond the first reading are items at the price of that reading."""
    assert items_of(50.0, 1_000.0, 8_000) == pytest.approx(400)

"""The numbers of segments, readers, workers and items per page that a run chooses."""

from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.table import Table, Throughput
from refire_async.pipeline.sizing import (
    MAX_SEGMENTS,
    SMALL_TABLE_BYTES,
    choose_page_items,
    choose_readers,
    choose_segments,
    choose_workers,
)
from tests.support.table_descriptions import described_table

GIB = 1 << 30
capacities = st.none() | st.integers(1, 10**7).map(float)


def table(size_bytes: int, wcu: float | None = None) -> Table:
    return described_table(throughput=Throughput(provisioned_write=wcu), size_bytes=size_bytes)


@given(st.integers(0, 10**16), st.floats(0.5, 1e6), capacities)
def test_the_number_of_segments_is_within_the_limits_of_a_scan(
    size_bytes: int, rate: float, wcu: float | None
):
    assert 1 <= choose_segments(table(size_bytes, wcu), rate) <= MAX_SEGMENTS


large = st.integers(SMALL_TABLE_BYTES, 10**13)
rates = st.floats(0.5, 1e6)


@given(large, large, rates, capacities)
def test_more_data_never_means_fewer_segments(one: int, other: int, rate: float, wcu: float | None):
    small, big = sorted((one, other))
    assert choose_segments(table(small, wcu), rate) <= choose_segments(table(big, wcu), rate)


@given(large | st.integers(0, SMALL_TABLE_BYTES), rates, rates, capacities)
def test_a_higher_rate_never_means_fewer_segments(
    size_bytes: int, one: float, other: float, wcu: float | None
):
    slow, fast = sorted((one, other))
    assert choose_segments(table(size_bytes, wcu), slow) <= choose_segments(table(size_bytes, wcu), fast)


@given(st.integers(SMALL_TABLE_BYTES, 10**12), st.integers(1, 96), st.floats(0.5, 1.0))
def test_segments_are_a_multiple_of_the_partitions_of_the_capacity(
    size_bytes: int, partitions: int, share: float
):
    """Every partition has the same number of lanes, for any share of the capacity that the budget is."""
    wcu = partitions * 1_000.0
    segments, readers = choose_segments(table(size_bytes, wcu), wcu * share), choose_readers(wcu)
    assert segments % partitions == 0
    assert segments <= 2 * choose_segments(table(size_bytes), wcu * share) + partitions
    assert readers % partitions == 0 or readers == 96


def test_a_small_table_with_a_large_capacity_has_few_segments():
    assert choose_segments(table(1_000_000, 1_000_000.0), 100.0) == 8


def test_a_large_table_has_a_segment_for_each_gigabyte():
    assert choose_segments(table(500 * GIB), 1_000.0) == 500


def test_a_fast_table_has_lanes_for_all_its_partitions():
    assert choose_segments(table(GIB), 40_000.0) >= 40


@given(st.floats(0.5, 1e6))
def test_readers_are_enough_for_the_partitions_and_hold_a_bounded_number_of_items(rate: float):
    """Two lanes per partition up to the bound, and two pages of each in under 50,000 items."""
    readers = choose_readers(rate)
    assert 32 <= readers <= 96
    assert readers == 96 or readers * 500 >= rate
    assert 2 * readers * choose_page_items(readers) <= 50_000


@given(st.floats(0.5, 1e6))
def test_workers_are_enough_for_the_budget_and_bounded(rate: float):
    """Requests of 50 ms: either the bound is reached or the budget can be used."""
    for writer, items, most in (("partiql", 25, 128), ("update", 1, 512)):
        workers = choose_workers(writer, rate)  # type: ignore[arg-type]
        assert 8 <= workers <= most
        assert workers == most or workers * items * 20 >= rate

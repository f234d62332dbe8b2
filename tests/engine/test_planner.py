"""What a run chooses for itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from refire_async.model.keys import KeySchema
from refire_async.model.table import Stream, Table, Throughput
from refire_async.planner import (
    MOST_SEGMENTS,
    SMALL_TABLE_BYTES,
    choose_page_items,
    choose_readers,
    choose_segments,
    choose_workers,
)

GIB = 1 << 30


def table(size_bytes: int) -> Table:
    keys = KeySchema("pk", "S")
    return Table(
        "t", "arn", "id", "ACTIVE", keys, "PROVISIONED", Throughput(), (), Stream(enabled=True), 0, size_bytes
    )


@settings(deadline=None)
@given(st.integers(0, 10**16), st.floats(0.5, 1e6))
def test_segments_are_within_what_the_service_takes(size_bytes: int, rate: float):
    assert 1 <= choose_segments(table(size_bytes), rate) <= MOST_SEGMENTS


large = st.integers(SMALL_TABLE_BYTES, 10**13)
rates = st.floats(0.5, 1e6)


@settings(deadline=None)
@given(large, large, rates)
def test_more_data_never_means_fewer_segments(one: int, other: int, rate: float):
    small, big = sorted((one, other))
    assert choose_segments(table(small), rate) <= choose_segments(table(big), rate)


@settings(deadline=None)
@given(large | st.integers(0, SMALL_TABLE_BYTES), rates, rates)
def test_more_speed_never_means_fewer_segments(size_bytes: int, one: float, other: float):
    slow, fast = sorted((one, other))
    assert choose_segments(table(size_bytes), slow) <= choose_segments(table(size_bytes), fast)


def test_a_large_table_has_a_segment_for_each_gigabyte():
    assert choose_segments(table(500 * GIB), 1_000.0) == 500


def test_a_fast_table_has_lanes_for_all_its_partitions():
    assert choose_segments(table(GIB), 40_000.0) >= 40


@settings(deadline=None)
@given(st.floats(0.5, 1e6))
def test_readers_are_enough_for_the_partitions_and_hold_a_bounded_number_of_items(rate: float):
    """Two lanes per partition up to the bound, and two pages of each in under 50,000 items."""
    readers = choose_readers(rate)
    assert 32 <= readers <= 96
    assert readers == 96 or readers * 500 >= rate
    assert 2 * readers * choose_page_items(readers) <= 50_000


@settings(deadline=None)
@given(st.floats(0.5, 1e6))
def test_workers_are_enough_for_the_budget_and_bounded(rate: float):
    """Requests of 50 ms: either the bound is reached or the budget can be used."""
    for writer, items, most in (("partiql", 25, 128), ("update", 1, 512)):
        workers = choose_workers(writer, rate)  # type: ignore[arg-type]
        assert 8 <= workers <= most
        assert workers == most or workers * items * 20 >= rate

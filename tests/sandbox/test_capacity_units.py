"""Unit arithmetic is exact to the unit, and keeps to the rules of the service for all sizes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.capacity.units import (
    batch_read_units,
    entry_units,
    failed_condition_units,
    index_write_units,
    query_units,
    read_units,
    scan_units,
    write_units,
)

KB = 1024
MAX_ITEM = 400 * KB
sizes = st.integers(1, MAX_ITEM)
maybe = st.none() | sizes


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [
        (None, None, 1),  # a delete of nothing
        (None, 1, 1),
        (None, KB, 1),
        (None, KB + 1, 2),
        (3 * KB, 100, 3),  # shrinking costs by what was there
        (100, 3 * KB, 3),
        (2 * KB + 1, None, 3),  # a delete costs by what is deleted
        (5 * KB, 5 * KB, 5),  # a write that changes nothing
        (MAX_ITEM, MAX_ITEM, 400),
    ],
)
def test_write_units_of_known_writes(before: int | None, after: int | None, units: int) -> None:
    """A write costs the larger of before and after in KB, at least one unit."""
    assert write_units(before, after) == units


@given(maybe, maybe)
def test_write_units_are_the_larger_of_the_two_alone(before: int | None, after: int | None) -> None:
    """Order does not matter, and nothing is ever cheaper than either size by itself."""
    units = write_units(before, after)
    assert units == write_units(after, before) == max(write_units(before, None), write_units(None, after))
    assert units - 1 < max(before or 0, after or 0, 1) / KB <= units


@pytest.mark.parametrize(
    ("stored", "attempted", "units"),
    [(None, 3 * KB, 1), (None, None, 1), (3 * KB, 100, 3), (300 * KB, 310 * KB, 310), (10, None, 1)],
)
def test_failed_condition(stored: int | None, attempted: int | None, units: int) -> None:
    """A failed condition costs 1 for an absent item, else the larger of stored and attempted."""
    assert failed_condition_units(stored, attempted) == units


@pytest.mark.parametrize(
    ("before", "after", "key_changed", "content_changed", "units"),
    [
        (None, None, False, True, 0),
        (2500, 2500, False, False, 0),
        (None, 2500, False, True, 3),
        (2500, None, False, True, 3),
        (2500, 100, False, True, 3),
        (100, 2500, False, True, 3),
        (2500, 100, True, True, 4),
        (100, 100, True, False, 2),
    ],
)
def test_index_write_units_by_the_table_of_the_service(
    before: int | None, after: int | None, key_changed: bool, content_changed: bool, units: int
) -> None:
    """Each row of the service's table of index write costs."""
    assert index_write_units(before, after, key_changed=key_changed, content_changed=content_changed) == units


@given(maybe, maybe, st.booleans(), st.booleans())
def test_index_write_is_free_or_what_its_entries_cost(
    before: int | None, after: int | None, key_changed: bool, content_changed: bool
) -> None:
    """An index write costs nothing, one entry or both, and never more than deleting and putting it."""
    units = index_write_units(before, after, key_changed=key_changed, content_changed=content_changed)
    entries = [entry_units(size) for size in (before, after) if size is not None]
    assert units in {0, sum(entries), *entries}
    if len(entries) == 2:
        assert (units == sum(entries)) == key_changed
        assert (units == 0) == (not key_changed and not content_changed)


@pytest.mark.parametrize(
    ("size", "eventual"),
    [(None, 0.5), (0, 0.5), (1, 0.5), (4 * KB, 0.5), (4 * KB + 1, 1.0), (MAX_ITEM, 50.0)],
)
def test_read_units_of_known_reads(size: int | None, eventual: float) -> None:
    """4 KB blocks, half price if eventually consistent; an absent item costs one block."""
    assert read_units(size, False) == eventual
    assert read_units(size, True) == 2 * eventual


@given(st.lists(maybe, max_size=100), st.booleans())
def test_batch_read_rounds_each_item(items: list[int | None], consistent: bool) -> None:
    """BatchGetItem costs what its items cost one by one."""
    assert batch_read_units(items, consistent) == sum(read_units(size, consistent) for size in items)


@given(st.lists(sizes, min_size=1, max_size=50), st.booleans())
def test_query_rounds_the_page_once(items: list[int], consistent: bool) -> None:
    """A page never costs more than its items one by one, and never less than their sum in blocks."""
    units = query_units(sum(items), consistent)
    assert units <= batch_read_units(items, consistent)
    assert units == math.ceil(sum(items) / 4096) * (1.0 if consistent else 0.5)


def test_full_page() -> None:
    """1 MB costs 128 eventually and 256 strongly consistent units (Best practices for querying and scanning)."""
    assert query_units(KB * KB, False) == 128
    assert sum(scan_units([KB * KB], True)) == 256
    assert query_units(0, False) == 0.5


def test_scan_as_measured() -> None:
    """60 items of 905 bytes cost 7.0 eventually consistent units."""
    assert scan_units([60 * 905], False) == (7.0,)


@given(st.lists(st.integers(0, 2 * KB * KB), min_size=1, max_size=30), st.booleans(), st.booleans())
def test_scan_charges_every_partition_touched(
    pages: list[int], consistent: bool, per_partition: bool
) -> None:
    """Every partition touched costs a whole number of blocks, at least one, even if it is empty."""
    block = 1.0 if consistent else 0.5
    shares = scan_units(pages, consistent, round_per_partition=per_partition)
    assert len(shares) == len(pages)
    for size, units in zip(pages, shares, strict=True):
        assert units >= block
        assert (units / block).is_integer()
        if size == 0:
            assert units == block


@given(st.lists(st.integers(0, 2 * KB * KB), min_size=1, max_size=30), st.randoms())
def test_scan_page_sum(pages: list[int], shuffler) -> None:
    """The page's sum is rounded once above the minimum of each partition, in whatever order they come."""
    holding = [size for size in pages if size]
    blocks = max(len(holding), math.ceil(sum(holding) / 4096)) + len(pages) - len(holding)
    assert sum(scan_units(pages, True)) == blocks
    shuffled = shuffler.sample(pages, len(pages))
    assert sum(scan_units(shuffled, True)) == blocks
    by_partition = sum(scan_units(pages, True, round_per_partition=True))
    assert blocks <= by_partition < blocks + max(1, len(holding))

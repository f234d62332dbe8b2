"""Units of a touch, from sizes."""

import math

from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.capacity import TABLE
from refire_async.planning.forecast.load import Load, SampleSizes, scan_rcu, units_of

SIZES = st.lists(st.integers(1, 409_600), min_size=1, max_size=60)


def sampled(sizes: list[int], growth: int = 0, index: bool = False) -> SampleSizes:
    """A sample of items of these sizes."""
    sample = SampleSizes()
    for size in sizes:
        sample.add(size, growth, {"by-day": size} if index else {})
    return sample


def test_units_of_one_item() -> None:
    """Whole KiB, at least one; an item that does not exist costs one too."""
    assert [units_of(size) for size in (0, 1, 1024, 1025, 2048, 409_600)] == [1, 1, 1, 2, 2, 400]


def test_a_touch_pays_for_the_larger_item() -> None:
    """The marker can push an item over a KiB boundary, in the table and in an index that projects it."""
    assert sampled([1_020], growth=10, index=True).item_units() == {TABLE: 2.0, "by-day": 2.0}
    assert sampled([1_020], growth=4, index=True).item_units() == {TABLE: 1.0, "by-day": 1.0}


def test_an_index_that_few_items_are_in_costs_little() -> None:
    """Mean units are per item of the table."""
    sample = SampleSizes()
    sample.add(500, 0, {"sparse": 500})
    sample.add(500, 0, {})
    assert sample.item_units() == {TABLE: 1.0, "sparse": 0.5}


@given(SIZES)
def test_a_sample_of_everything_is_exact(sizes: list[int]) -> None:
    """Then the mean units are exact, and the true mean changes nothing."""
    sample = sampled(sizes)
    exact = sum(math.ceil(size / 1024) for size in sizes) / len(sizes)
    assert math.isclose(sample.item_units()[TABLE], exact)
    assert math.isclose(sample.item_units(sample.mean)[TABLE], exact)


@given(SIZES, st.floats(1, 400_000), st.floats(1, 400_000))
def test_units_grow_with_the_true_mean(sizes: list[int], one: float, other: float) -> None:
    """For any sample, larger items cost more, and never less than their bytes or one unit."""
    sample = sampled(sizes)
    small, large = sorted((one, other))
    cheap, dear = sample.item_units(small)[TABLE], sample.item_units(large)[TABLE]
    assert cheap <= dear + 1e-9
    assert cheap >= max(1.0, small / 1024) - 1e-9


def test_large_items_outside_the_sample_count() -> None:
    """The description has the mean of all items; the sample shows how much rounding adds."""
    sample = sampled([1_500] * 100)
    assert math.isclose(sample.item_units(3_000)[TABLE], 2 + 1_500 / 1_024)


@given(st.integers(0, 10**7), st.floats(1, 400_000), st.integers(1, 500), st.integers(1, 1_000))
def test_reads_cost_their_bytes_at_least(items: int, size: float, page: int, segments: int) -> None:
    """Half a unit per 4 KiB, and half a unit per segment even if that is empty."""
    rcu = scan_rcu(items, size, page, segments)
    assert rcu >= max(items * size / 8_192, segments * 0.5)
    assert scan_rcu(items + 1, size, page, segments) >= rcu


def test_units_of_a_load_are_those_of_all_resources() -> None:
    """They determine the cost."""
    assert Load(items=10, item_bytes=100.0, item_wcu={TABLE: 1.0, "by-day": 2.0}, rcu=5.0).wcu == 30.0


def test_quantiles() -> None:
    """Sizes below which shares of the sample lie; none without a sample."""
    assert sampled(list(range(1, 101))).quantiles(0.1, 0.5, 1.0) == (11, 51, 100)
    assert SampleSizes().quantiles(0.5) == ()

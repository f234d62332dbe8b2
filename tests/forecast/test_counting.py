"""How many items a table has, from a few stretches of it."""

import random

from hypothesis import given
from hypothesis import strategies as st

from refire_async.forecast.counting import Stretch, count

STRETCHES = st.lists(st.builds(Stretch, st.integers(0, 500), st.just(1)), min_size=1, max_size=64)


@given(STRETCHES, st.integers(0, 10**6))
def test_what_was_read_to_its_end_is_counted(stretches: list[Stretch], described: int) -> None:
    """Whatever a description of hours ago says."""
    found = count(stretches, len(stretches), described)
    assert found.items == sum(stretch.items for stretch in stretches)


@given(st.integers(0, 2**32), st.integers(100, 5_000_000))
def test_a_description_is_believed_where_the_sample_does_not_object(seed: int, items: int) -> None:
    """Items that fall at random into equal stretches agree with their true number: no hot key is made up."""
    draw = random.Random(seed)
    total = max(1, items // 60)
    mean = items / total
    stretches = [Stretch(max(0, round(draw.gauss(mean, mean**0.5))), 1) for _ in range(min(total, 128))]
    if len(stretches) == total:
        stretches.append(Stretch(0, 0, whole=False))
        total += 1
    found = count(stretches, total * 2, items * 2)
    assert found.items == items * 2
    assert found.hottest_share <= 0.25


def test_a_table_that_grew_is_noticed() -> None:
    """Twice as many items as the description says."""
    found = count([Stretch(60, 1)] * 100, 10_000, 300_000)
    assert found.items == 600_000


def test_items_that_the_sample_does_not_meet_may_share_one_hash_key() -> None:
    """A third of the table is nowhere to be seen: the bound is that it lies in one place."""
    found = count([Stretch(40, 1), Stretch(41, 1), Stretch(39, 1)] * 40, 1_000, 60_000)
    assert found.items == 60_000
    assert 0.32 < found.hottest_share < 0.35


def test_a_hash_key_that_was_met_counts() -> None:
    """One with a tenth of all items, read to its end."""
    found = count([Stretch(10, 1)] * 99 + [Stretch(1_000, 990)], 1_000, 10_000)
    assert found.hottest_share >= 0.099


def test_no_items() -> None:
    """Nothing divides by zero."""
    assert count([Stretch(0, 0)], 1, 0).items == 0
    assert count([Stretch(0, 0)], 5, None).items == 0
    assert count([], 5, 100).items == 100

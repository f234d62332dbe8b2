"""The number of a table's items and the share of its hottest hash key, from some hash ranges."""

import math
import random
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refire_async.planning.forecast.counting import Count, HashRange, count
from refire_async.planning.survey import table as survey

HASH_RANGES = st.lists(st.builds(HashRange, st.integers(0, 500), st.just(1)), min_size=1, max_size=64)


@given(HASH_RANGES, st.integers(0, 10**6), st.booleans())
def test_a_complete_read_is_exact(hash_ranges: list[HashRange], described: int, sorted_keys: bool) -> None:
    """For any description, which may be hours old."""
    found = count(hash_ranges, len(hash_ranges), described, sorted_keys=sorted_keys)
    assert found.items == sum(hash_range.items for hash_range in hash_ranges)
    assert not found.doubtful


def at_random(draw: random.Random, items: int, total: int, read: int) -> list[HashRange]:
    """`read` of `total` equal hash ranges over which `items` are distributed at random."""
    hash_ranges, left = [], items
    for drawn in range(read):
        share = 1.0 / (total - drawn)
        held = round(draw.gauss(left * share, math.sqrt(left * share * (1.0 - share))))
        hash_ranges.append(HashRange(min(left, max(0, held)), 1))
        left -= hash_ranges[-1].items
    return hash_ranges


@given(st.integers(0, 2**32), st.integers(100, 5_000_000), st.booleans())
@example(383102683, 100, False)
def test_a_description_is_used_if_the_sample_agrees(seed: int, items: int, sorted_keys: bool) -> None:
    """Items at random in equal hash ranges agree with their true number: no hot key is invented.

    Where the sample differs by chance (3 standard errors or more), the estimate is within 5 of them.
    """
    total = max(2, items // 60)
    read = min(total // 2, 128)
    hash_ranges = at_random(random.Random(seed), items, total, read)
    found = count(hash_ranges, total, items, sorted_keys=sorted_keys)
    error = total * math.sqrt(items / total * (1.0 / read - 1.0 / total))
    assert abs(found.items - items) <= 5.0 * error + 1.0
    assert found.hottest_share <= max(5.0 * error / items, 0.06)


def test_a_table_that_grew_is_noticed() -> None:
    """Twice as many items as the description says."""
    found = count([HashRange(60, 1)] * 100, 10_000, 300_000, sorted_keys=True)
    assert found.items == 600_000


def test_a_table_that_shrank_is_noticed() -> None:
    """If every item has its own hash key there is no hot one: items that the sample lacks do not exist."""
    found = count([HashRange(60, 1, keys=60)] * 100, 10_000, 900_000, sorted_keys=False)
    assert (found.items, found.doubtful) == (600_000, False)
    assert found.hottest_share < 1e-5


def test_items_outside_the_sample_may_share_one_hash_key() -> None:
    """A third of the table is missing in the sample: at most all of it has one hash key."""
    found = count(
        [HashRange(40, 1), HashRange(41, 1), HashRange(39, 1)] * 40, 1_000, 60_000, sorted_keys=True
    )
    assert found.items == 60_000
    assert 0.32 < found.hottest_share < 0.35
    assert found.doubtful


def test_a_hash_key_in_the_sample_counts() -> None:
    """One with 10% of all items, read to its end."""
    found = count([HashRange(10, 1)] * 99 + [HashRange(1_000, 990)], 1_000, 10_000, sorted_keys=True)
    assert found.hottest_share >= 0.099


def test_a_hash_key_that_was_not_read_to_its_end_has_the_missing_items() -> None:
    """Its hash range, of which only a part was read, says nothing about the others."""
    hash_ranges = [HashRange(40, 10, keys=5)] * 99 + [HashRange(600, 590, whole=False)]
    found = count(hash_ranges, 100, 10_000, sorted_keys=True)
    assert found.hottest_share == pytest.approx(0.6)


def test_few_hash_keys_are_not_hot() -> None:
    """A thousand hash keys in a million hash ranges: nearly all ranges are empty, which is no sign of a hot key."""
    found = count([HashRange(0, 0, keys=0)] * 127 + [HashRange(90, 90)], 1_000_000, 10**8, sorted_keys=True)
    assert (found.items, found.doubtful) == (10**8, True)
    assert found.hottest_share < 1e-5


@pytest.mark.parametrize("sorted_keys", [True, False])
def test_no_items(sorted_keys: bool) -> None:
    """Nothing divides by zero."""
    assert count([HashRange(0, 0, 0)], 1, 0, sorted_keys=sorted_keys).items == 0
    assert count([HashRange(0, 0, 0)], 5, None, sorted_keys=sorted_keys).items == 0
    assert count([], 5, 100, sorted_keys=sorted_keys).items == 100


@dataclass(frozen=True)
class Skew:
    """A table of `items` with hash keys of these weights."""

    items: int
    weights: list[float]

    @property
    def sizes(self) -> list[int]:
        whole = sum(self.weights)
        return [max(1, round(self.items * weight / whole)) for weight in self.weights]


def hot(items: int, keys: int, *shares: float) -> Skew:
    """`keys` of equal size, except the first, which have these shares."""
    others = keys - len(shares)
    rest = (1.0 - sum(shares)) / others
    return Skew(items, [*shares, *([rest] * others)])


def zipf(items: int, keys: int) -> Skew:
    """The second has half as many items as the first, the third a third."""
    return Skew(items, [1.0 / (rank + 1) for rank in range(keys)])


def look(draw: random.Random, skew: Skew) -> Count:
    """The result of a survey of the table: hash ranges at random, more of them if a key may be hot, within bounds."""
    sizes, each = skew.sizes, survey.MOST_ITEMS // survey.HASH_RANGES
    total = math.ceil(sum(sizes) / each)
    held: dict[int, list[int]] = {}
    for size in sizes:
        held.setdefault(draw.randrange(total), []).append(size)
    drawn = draw.sample(range(total), min(total, survey.MORE_HASH_RANGES))
    seen: dict[int, HashRange] = {}

    def read(segments: list[int], most_items: int, most_each: int) -> Count:
        for segment in segments:
            if sum(hash_range.items for hash_range in seen.values()) >= most_items:
                break
            keys = held.get(segment, [])
            whole = sum(keys) < most_each
            seen[segment] = HashRange(
                min(sum(keys), most_each), min(max(keys, default=0), most_each), len(keys), whole
            )
        return count(list(seen.values()), total, sum(sizes), sorted_keys=True)

    found = read(drawn[: survey.HASH_RANGES], survey.MOST_ITEMS, each * survey.CROWDED)
    if found.doubtful:
        all_drawn = total <= survey.MORE_HASH_RANGES
        again = [segment for segment, hash_range in seen.items() if all_drawn and not hash_range.whole]
        again += [segment for segment in drawn if segment not in seen]
        crowded = survey.MORE_CROWDED if all_drawn else survey.CROWDED
        found = read(again, survey.MORE_ITEMS, each * crowded)
    return found


@pytest.mark.parametrize(
    ("skew", "least", "most", "tables"),
    [
        pytest.param(hot(40_000, 2_000, 0.6), 0.97, 1.03, 40, id="a hot key among many"),
        pytest.param(hot(40_000, 100, 0.4), 0.97, 1.03, 40, id="a hot key among few"),
        pytest.param(zipf(40_000, 2_000), 0.95, 1.2, 40, id="Zipf"),
        pytest.param(hot(40_000, 2_000, 0.3, 0.3), 1.0, 1.35, 40, id="two hot keys"),
        pytest.param(hot(300_000, 6_000, 0.6), 0.95, 1.05, 20, id="large, a hot key"),
        pytest.param(hot(300_000, 1_500, 0.4), 0.85, 1.15, 20, id="large, a hot key among few"),
        pytest.param(zipf(300_000, 15_000), 0.95, 3.0, 20, id="large, Zipf"),
    ],
)
def test_the_share_of_the_hottest_key_is_found(skew: Skew, least: float, most: float, tables: int) -> None:
    """19 of 20 tables are within these bounds of the truth, 3% if possible. If it is unknown how many hash keys share
    the missing items, the estimate is rather too high than too low."""
    truth = max(skew.sizes) / sum(skew.sizes)
    found = [look(random.Random(seed), skew).hottest_share / truth for seed in range(tables)]
    assert sum(least <= share <= most for share in found) >= 0.95 * tables, sorted(found)


@pytest.mark.parametrize(
    "skew",
    [hot(40_000, 2_000), hot(40_000, 400), hot(40_000, 100), hot(1_000_000, 1_000), hot(300_000, 30_000)],
    ids=lambda skew: f"{skew.items} items of {len(skew.weights)} keys",
)
def test_no_hot_key_is_invented(skew: Skew) -> None:
    """Hash keys of equal size: no estimate is more than three times the size of each."""
    for seed in range(8):
        found = look(random.Random(seed), skew)
        assert found.items == sum(skew.sizes)
        assert found.hottest_share <= 3.0 / len(skew.weights), seed

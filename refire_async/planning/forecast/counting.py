"""Estimate the items of a whole table, and the share of its hottest hash key, from some hash ranges. Pure.

The hash ranges are equal parts of the whole, drawn at random. A hash key with a large part of all items is in one of
them, which is most probably not drawn, and is too long to be read to its end if it is. So such a key is detected by
what is missing: the drawn hash ranges give the number of items elsewhere, the description gives that of all items.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SIGNIFICANT = 3.0
"""Standard errors above which a difference counts as significant."""

HIDDEN = 0.1
"""A hash key with this share of the items must be detected, with a larger sample if necessary."""

ENOUGH_KEYS = 12
"""Hash keys that must have been read completely before others are estimated from them."""


@dataclass(frozen=True, slots=True)
class HashRange:
    """A hash range that was read: its items, the items of its largest hash key (`most`), its number of hash keys.

    `whole` is false if reading stopped before the end, because the hash range has far more items than others.
    """

    items: int
    most: int
    keys: int = 1
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Count:
    """Items of a table. `hottest_share` is the largest share of them that has, or may have, one hash key.

    `doubtful`: there may be a hot key, so that a larger sample is worthwhile. `few_keys`: few hash keys were read
    completely, so that nothing is known of the hottest except its items in the sample.
    """

    items: int
    hottest_share: float
    doubtful: bool = False
    few_keys: bool = False


def count(hash_ranges: Sequence[HashRange], total: int, described: int | None, *, sorted_keys: bool) -> Count:
    """Count a table of which `hash_ranges` of `total` equal parts of the hash range were read.

    `described` is the item count of DescribeTable, up to 6 hours old (None: it does not cover this selection). It is
    used unless the sample proves that there are more items. If the sample suggests fewer, the difference is attributed
    to hash keys outside the sampled hash ranges. Without `sorted_keys` (a sort key) a hash key has one item, so no hash
    key can be hot and the sample is used either way.
    """
    found = sum(hash_range.items for hash_range in hash_ranges)
    most = max((hash_range.most for hash_range in hash_ranges), default=0)
    whole = [hash_range for hash_range in hash_ranges if hash_range.whole]
    if len(whole) >= total:
        return Count(found, most / found if found else 0.0)
    estimate, error = _estimate(hash_ranges, total)
    if described is None or estimate > described + SIGNIFICANT * error:
        items = round(estimate)
        return Count(items, most / items if items else 0.0)
    rest, error = _estimate(whole, total)
    missing = described - rest
    if not sorted_keys:
        items = round(rest) if whole and missing > SIGNIFICANT * error else described
        return Count(items, most / items if items else 0.0)
    crowded, unmet = len(hash_ranges) - len(whole), 0.0
    enough = sum(hash_range.keys for hash_range in whole) >= ENOUGH_KEYS
    if described and enough and missing > SIGNIFICANT * error:
        unmet = missing / described / _harmonic(_crowds(crowded, len(hash_ranges), total))
    doubtful = not enough or crowded > 0 or max(missing, 0.0) + error > HIDDEN * described
    hottest = max(most / described if described else 0.0, unmet)
    return Count(described, hottest, doubtful, few_keys=not enough)


def _estimate(read: Sequence[HashRange], total: int) -> tuple[float, float]:
    """The number of items extrapolated to all hash ranges, and its standard error."""
    number = len(read)
    if not number:
        return 0.0, 0.0
    mean = sum(hash_range.items for hash_range in read) / number
    spread = sum((hash_range.items - mean) ** 2 for hash_range in read)
    # The spread of few or similar hash ranges says little; that of random items is the square root of their number.
    variance = max(spread / max(1, number - 1), mean)
    # Only the hash ranges that were not read are uncertain.
    return mean * total, total * math.sqrt(variance * max(0.0, 1.0 / number - 1.0 / total))


def _crowds(met: int, number: int, total: int) -> float:
    """The minimum number of crowded hash ranges in `total`, if `met` of `number` are crowded."""
    at_random = met - 2.0 * math.sqrt(met)
    return max(1.0, met, at_random * total / number if met < number < total else 0.0)


def _harmonic(number: float) -> float:
    """The size of `number` hash keys together, as a multiple of the largest.

    Assumes Zipf's law, which human activity often follows: the second is half of the first, the third is a third. If
    their sizes are more similar, the largest is smaller than that.
    """
    return 1.0 if number < 2 else math.log(number) + 0.5772 + 0.5 / number

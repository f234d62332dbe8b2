"""Estimate the items of a whole table, and the share of its hottest hash key, from some hash ranges. Pure.

Stretches are equal parts of the hash range, drawn at random. A hash key with a large part of all items lies in one of
them, which is most probably not drawn, and is too long to be read to its end if it is. So it is found by what is
missing: the other hash ranges tell how many items lie elsewhere, the description how many there are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SIGNIFICANT = 3.0
"""Standard errors above which a difference counts as significant."""

HIDDEN = 0.1
"""A hash key with this share of the items must not go unnoticed if looking at more can help it."""

ENOUGH_KEYS = 12
"""Hash keys that must have been seen whole before anything is said about those that were not."""


@dataclass(frozen=True, slots=True)
class HashRange:
    """One part of the hash range that was read: its items, the most of them under one hash key, its hash keys.

    `whole` is false where reading ended before the hash range did, because it holds far more than it should.
    """

    items: int
    most: int
    keys: int = 1
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Count:
    """Items of a table. `hottest_share` is the largest part of them that lies, or may lie, under one hash key.

    `doubtful`: there is a hot key, or there may be one, so that it is worth to look at more. `few_keys`: hardly any
    hash key was seen whole, so that nothing is known of the hottest but what was met of it.
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
    """Items of all hash ranges if they were like these, and the standard error of that."""
    number = len(read)
    if not number:
        return 0.0, 0.0
    mean = sum(hash_range.items for hash_range in read) / number
    spread = sum((hash_range.items - mean) ** 2 for hash_range in read)
    # Of few or like hash ranges the scatter says little: items that fall at random scatter by the root of their number.
    variance = max(spread / max(1, number - 1), mean)
    # What was read is known: only of the others there is doubt.
    return mean * total, total * math.sqrt(variance * max(0.0, 1.0 / number - 1.0 / total))


def _crowds(met: int, number: int, total: int) -> float:
    """How many crowded hash ranges there are at least, if `met` are among `number` of `total`."""
    at_random = met - 2.0 * math.sqrt(met)
    return max(1.0, met, at_random * total / number if met < number < total else 0.0)


def _harmonic(number: float) -> float:
    """What is missing, as a multiple of the largest of `number` hash keys that it lies under.

    Their sizes are taken to fall as in Zipf's law, as those of what people do often do: the second is half of the
    first, the third a third. Where they are more alike, the largest is smaller than that.
    """
    return 1.0 if number < 2 else math.log(number) + 0.5772 + 0.5 / number

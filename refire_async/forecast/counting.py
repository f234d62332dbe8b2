"""From what some stretches of a table held to how many items all of it holds, and under how few hash keys. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SURE = 3.0
"""Standard errors beyond which a difference is no chance."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """One part of the hash range that was read: its items, and the most of them under one hash key.

    `whole` is false where reading ended before the stretch did, so that it holds more.
    """

    items: int
    most: int
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Count:
    """Items of a table. `hottest_share` is the largest part of them that lies, or may lie, under one hash key."""

    items: int
    hottest_share: float


def count(stretches: Sequence[Stretch], total: int, described: int | None) -> Count:
    """Count a table of which `stretches` of `total` equal parts of the hash range were read.

    `described` is what DescribeTable says, up to 6 hours old (None: it says nothing about this selection). It is
    believed unless the sample shows that there must be more. Where the sample shows less, the rest is real too: it
    lies under hash keys that the stretches do not hold, and for the bound of the hottest partition under one of them.
    """
    found = sum(stretch.items for stretch in stretches)
    most = max((stretch.most for stretch in stretches), default=0)
    if len(stretches) >= total and all(stretch.whole for stretch in stretches):
        return Count(found, most / found if found else 0.0)
    mean = found / len(stretches) if stretches else 0.0
    spread = sum((stretch.items - mean) ** 2 for stretch in stretches)
    # Of few or like stretches the scatter says little: items that fall at random scatter by the root of their number.
    variance = max(spread / max(1, len(stretches) - 1), mean)
    estimate = mean * total
    error = math.sqrt(variance / max(1, len(stretches))) * total
    if described is None or estimate > described + SURE * error:
        items = round(estimate)
        return Count(items, most / items if items else 0.0)
    missing = described - estimate
    unmet = missing / described if described and missing > SURE * error else 0.0
    return Count(described, max(most / described if described else 0.0, unmet))

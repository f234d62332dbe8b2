"""Shares the budget of a run among its processes by what they can use. Pure."""

from collections.abc import Mapping

HUNGRY = 0.85
"""A process that uses more than this part of its share could use more."""

HEADROOM = 1.25
"""A process that uses less keeps this multiple of its use, so that a rise of its use shows."""

LEAST = 0.02
"""The smallest share of a process that is still working."""


def rebalance(shares: Mapping[int, float], used: Mapping[int, float]) -> dict[int, float]:
    """New shares of the parts at work, which together are 1.

    `shares` are the present ones, `used` the share of the whole budget that each part has consumed lately.
    """
    if not shares:
        return {}
    content = {
        part: max(LEAST, used.get(part, 0.0) * HEADROOM)
        for part, share in shares.items()
        if used.get(part, 0.0) < share * HUNGRY
    }
    hungry = [part for part in shares if part not in content]
    left = 1.0 - sum(content.values())
    if not hungry or left <= LEAST * len(hungry):
        # Nobody to give to, or nothing to give: everybody's wish, in proportion.
        wishes = {**content, **dict.fromkeys(hungry, max(LEAST, left / max(1, len(hungry))))}
        whole = sum(wishes.values())
        return {part: wishes[part] / whole for part in shares}
    return {part: content.get(part, left / len(hungry)) for part in shares}

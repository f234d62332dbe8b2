"""Medians and spread of repeated measurements, and ratios that are taken within a round. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeated measurements of one thing: the middle one, the least and the most, and all in the order of rounds."""

    median: float
    low: float
    high: float
    values: tuple[float, ...]

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {"median": self.median, "low": self.low, "high": self.high, "values": list(self.values)}


def spread(values: Sequence[float]) -> Spread:
    """Sum up measurements. Raises ValueError if there are none."""
    if not values:
        raise ValueError("nothing was measured")
    return Spread(median(values), min(values), max(values), tuple(values))


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> Spread:
    """Ratios of measurements of the same rounds: what drifts from round to round cancels out.

    Raises ValueError if the two do not have the same number of rounds.
    """
    return spread([a / b for a, b in zip(above, below, strict=True)])


def interleave(contenders: Sequence[str], rounds: int) -> list[list[str]]:
    """An order for each round: each contender once a round, and in turn at each place.

    A machine that slows down or speeds up in the meantime so treats all alike.
    """
    size = len(contenders)
    return [[contenders[(place + turn) % size] for place in range(size)] for turn in range(rounds)]


def best_within(scores: Mapping[str, float], share: float) -> list[str]:
    """Those whose score is at least `share` of the best one, best first; higher scores are better."""
    best = max(scores.values(), default=0.0)
    good = [name for name, score in scores.items() if score >= share * best]
    return sorted(good, key=lambda name: -scores[name])

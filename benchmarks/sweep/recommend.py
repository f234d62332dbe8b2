"""From measured speeds to settings: the least that is nearly as fast as the best, everywhere. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.framework.statistics import spread


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination: settings, items' size in bytes, the backend's latency in ms, items per second, and in all.

    `items_per_s` is the median of `speeds`, one for each round; results of a single round have none.
    """

    segments: int
    workers: int
    item_bytes: int
    latency_ms: int
    items_per_s: float
    touched: int = 0
    speeds: tuple[float, ...] = ()

    @property
    def place(self) -> tuple[int, int]:
        """What the settings cannot choose."""
        return self.item_bytes, self.latency_ms

    @property
    def scatter(self) -> float:
        """From the slowest round to the fastest, as a share of the median; 0 for a single round."""
        return (max(self.speeds) - min(self.speeds)) / self.items_per_s if self.speeds else 0.0

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {**asdict(self), "speeds": spread(self.speeds).to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Cell:
        """A cell of a result."""
        return cls(**{**data, "speeds": tuple(data.get("speeds", {}).get("values", ()))})


@dataclass(frozen=True, slots=True)
class Advice:
    """Settings, and their speed as a share of the best one at the place where they do worst."""

    segments: int
    workers: int
    worst_share: float


def shares(cells: Iterable[Cell]) -> dict[tuple[int, int], float]:
    """For each (segments, workers): its worst share of the best speed, over all places."""
    cells = list(cells)
    best: dict[tuple[int, int], float] = {}
    for cell in cells:
        best[cell.place] = max(best.get(cell.place, 0.0), cell.items_per_s)
    worst: dict[tuple[int, int], float] = {}
    for cell in cells:
        share = cell.items_per_s / best[cell.place] if best[cell.place] else 0.0
        settings = (cell.segments, cell.workers)
        worst[settings] = min(worst.get(settings, 1.0), share)
    return worst


def recommend(cells: Sequence[Cell], enough: float) -> Advice:
    """Fewest workers, then fewest segments, among those that reach `enough` of the best at every place.

    Where none does, the one whose worst share is largest. Raises ValueError if there are no cells.
    """
    worst = shares(cells)
    if not worst:
        raise ValueError("nothing was measured")
    good = [settings for settings, share in worst.items() if share >= enough]
    if good:
        segments, workers = min(good, key=lambda settings: (settings[1], settings[0]))
    else:
        segments, workers = max(worst, key=lambda settings: worst[settings])
    return Advice(segments, workers, worst[segments, workers])

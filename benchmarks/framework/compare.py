"""Which figures of two results differ beyond their own scatter. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import comb
from statistics import median
from typing import Any

from benchmarks.framework.figures import figures, label_sizes
from benchmarks.framework.result import Result
from benchmarks.framework.scenario import BenchmarkError

CHANCE = 0.01
"""A rank test that gives such a difference by chance less often calls it one."""

LEAST_CHANGE = 0.02
"""Medians that are nearer to each other, as a share of the old one, count as equal."""

DRIFT = 0.1
"""A machine whose speed changed by more than this share between two results is spoken of."""

FEWEST = 5
"""Measurements on each side, with which the test can reach `CHANCE`: 2 in comb(10, 5)."""

RULE = (
    f"A figure differs if both sides have at least {FEWEST} measurements, an exact two-sided rank test "
    f"(Mann-Whitney) gives p < {CHANCE:g}, and the medians are at least {LEAST_CHANGE:.0%} apart. So of 100 figures "
    "that did not change, about one may be called different by chance. The test knows the scatter within a result, "
    "not how a machine drifts between two of them: run both on the same quiet machine. A line says where a bare loop "
    f"shows that its speed changed by more than {DRIFT:.0%}. Figures that were measured once cannot be judged and are "
    "only listed."
)

_APART = ("rounds", "command", "started_at", "seconds", "commit")
"""Parameters that may differ between two results that can be compared; `seconds` is the duration."""


class Verdict(StrEnum):
    """What can be said of a figure."""

    SAME = "same"
    DIFFERS = "differs"
    ONE_SAMPLE = "one sample: cannot be judged"
    FEW_SAMPLES = "too few samples: cannot be judged"


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in both results."""

    name: str
    old: tuple[float, ...]
    new: tuple[float, ...]
    verdict: Verdict

    @property
    def share(self) -> float | None:
        """How much the median changed, as a share of the old one; None if that was 0."""
        before = median(self.old)
        return (median(self.new) - before) / abs(before) if before else None


def compare(old: Result, new: Result) -> list[Change]:
    """All figures that both results of one benchmark hold.

    Raises BenchmarkError if they were not made with the same settings, or share no figure.
    """
    _comparable(old, new)
    first, second = label_sizes(old.metrics), label_sizes(new.metrics)
    sizes = {name: max(first.get(name, 1), second.get(name, 1)) for name in first.keys() | second.keys()}
    before, after = figures(old.metrics, sizes), figures(new.metrics, sizes)
    names = [name for name in before if name in after]
    if not names:
        raise BenchmarkError(f"{old.name}: the two results have no figure in common")
    return [Change(name, before[name], after[name], judge(before[name], after[name])) for name in names]


def judge(old: Sequence[float], new: Sequence[float]) -> Verdict:
    """See `RULE`."""
    fewest = min(len(old), len(new))
    if fewest < FEWEST:
        return Verdict.ONE_SAMPLE if fewest == 1 else Verdict.FEW_SAMPLES
    before, after = median(old), median(new)
    apart = abs(after - before) >= LEAST_CHANGE * abs(before) and after != before
    return Verdict.DIFFERS if apart and rank_test(old, new) < CHANCE else Verdict.SAME


def drift(old: Result, new: Result) -> float | None:
    """How many times as long the same bare loop took around NEW as around OLD; None if one of them does not say."""
    before, after = old.machine.get("loop_us"), new.machine.get("loop_us")
    return sum(after) / sum(before) if before and after else None


def rank_test(old: Sequence[float], new: Sequence[float]) -> float:
    """The two-sided p of the exact Mann-Whitney test: mid-ranks for ties, all ways to split the ranks counted."""
    doubled = _doubled_ranks([*old, *new])
    # ways[n][s]: choices of n ranks whose sum (doubled, so that mid-ranks are whole) is s.
    ways: list[dict[int, int]] = [{0: 1}, *({} for _ in old)]
    for rank in doubled:
        for size in range(len(old), 0, -1):
            for total, count in ways[size - 1].items():
                ways[size][total + rank] = ways[size].get(total + rank, 0) + count
    middle = len(old) * (len(doubled) + 1)
    far = abs(sum(doubled[: len(old)]) - middle)
    extreme = sum(count for total, count in ways[len(old)].items() if abs(total - middle) >= far)
    return extreme / comb(len(doubled), len(old))


def _doubled_ranks(values: Sequence[float]) -> list[int]:
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(values), 1):
        places.setdefault(value, []).append(place)
    return [places[value][0] + places[value][-1] for value in values]


def _comparable(old: Result, new: Result) -> None:
    if old.name != new.name:
        raise BenchmarkError(f"{old.name} and {new.name} are different benchmarks")
    first, second = _settings(old.parameters), _settings(new.parameters)
    apart = sorted(
        name for name in first.keys() | second.keys() if first.get(name, ...) != second.get(name, ...)
    )
    if apart:
        raise BenchmarkError(f"{old.name}: the two results differ in their settings: {', '.join(apart)}")


def _settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    changes = re.findall(r"--set (?!rounds=)\S+", parameters["command"])
    kept = {name: value for name, value in parameters.items() if name not in _APART}
    return {**kept, "--set": sorted(changes)}

"""The figures of a result by name, each with its repetitions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Figures = dict[str, tuple[float, ...]]
"""Measurements by a dotted name; a figure that was measured once has one."""


def figures(metrics: Mapping[str, Any], labels: Mapping[str, int] | None = None) -> Figures:
    """All figures of a result's `metrics`; lists of plain numbers (series over time) are none.

    The members of a list are named by their first `labels` members of plain values, see `label_sizes`.
    """
    sizes = label_sizes(metrics) if labels is None else labels
    return dict(_walk(metrics, "", sizes))


def label_sizes(metrics: Mapping[str, Any]) -> dict[str, int]:
    """For each list of objects: how many of their first members it takes to tell all of them apart."""
    return dict(_sizes(metrics, ""))


def _walk(value: Any, name: str, sizes: Mapping[str, int]) -> Iterator[tuple[str, tuple[float, ...]]]:
    if _is_number(value):
        yield name, (float(value),)
    elif isinstance(value, dict):
        samples = value.get("values")
        if "median" in value and isinstance(samples, list) and samples and all(map(_is_number, samples)):
            yield name, tuple(float(sample) for sample in samples)
            return
        for key, member in value.items():
            yield from _walk(member, f"{name}.{key}" if name else key, sizes)
    elif _is_cases(value):
        size = sizes.get(name, 1)
        for member in value:
            head = _head(member)[:size]
            label = ", ".join(f"{key}={part}" if _is_number(part) else str(part) for key, part in head)
            rest = {key: part for key, part in member.items() if key not in dict(head)}
            yield from _walk(rest, f"{name}[{label}]", sizes)


def _sizes(value: Any, name: str) -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _sizes(member, f"{name}.{key}" if name else key)
    elif _is_cases(value):
        heads = [_head(member) for member in value]
        most = max(map(len, heads))
        size = next(
            (n for n in range(1, most) if len({tuple(head[:n]) for head in heads}) == len(heads)), most
        )
        yield name, size


def _head(member: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The plain values before the first that is none."""
    found = []
    for key, part in member.items():
        if not isinstance(part, str | int | float):
            break
        found.append((key, part))
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_cases(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(member, dict) for member in value)

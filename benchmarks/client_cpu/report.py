"""The table and the plot of client_cpu."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import quantiles
from typing import Any

from matplotlib.figure import Figure

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table

LABELS = {
    "engine": "refire",
    "floor": "floor: bare aiohttp loop",
    "aioboto3_batch": "aioboto3, PartiQL batches",
    "aiodynamo_update": "aiodynamo, update_item",
    "aioboto3_update": "aioboto3, update_item",
    "boto3_resource": "boto3 resource, update_item",
}


def table(_parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per contender, then one per form of table."""
    contenders = metrics["contenders"]
    ours = contenders["engine"]["cpu_us_per_item"]["median"]
    rows = []
    for name, found in contenders.items():
        cpu = found["cpu_us_per_item"]
        rows.append((LABELS.get(name, name), *_cells(cpu), f"{cpu['median'] / ours:.1f}"))
    for label, cpu in metrics["variants"].items():
        rows.append((f"refire, {label}", *_cells(cpu), f"{cpu['median'] / ours:.1f}"))
    return Table(("client", "CPU per item, µs", "least to most", "times refire's"), rows, _note(metrics))


def _cells(cpu: Mapping[str, Any]) -> tuple[str, str]:
    return f"{cpu['median']:.1f}", f"{cpu['low']:.1f} to {cpu['high']:.1f}"


def _note(metrics: Metrics) -> str:
    ratios = metrics["ratios"]
    said = []
    if "plain_to_engine" in ratios:
        said.append(
            f"The plain aioboto3 worker needs {_span(ratios['plain_to_engine'], 0)} times what refire needs"
        )
    if "engine_to_floor" in ratios:
        said.append(f"refire needs {_span(ratios['engine_to_floor'], 2)} times what the floor needs")
    looked_at, rooms = metrics.get("watching"), metrics["profile"].get("rooms", {})
    if rooms:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in list(rooms.items())[:6])
        said.append(f"Where refire's CPU time goes: {shares}")
    if looked_at:
        said.append(
            f"Progress on a terminal, events, log file and recording take {metrics['profile']['watching']:.1%} of "
            f"{metrics['profile']['samples']:,} samples of its CPU time"
        )
        said.append(
            f"With all of them it needs {looked_at['ratio']['median']:.3f} times what it needs without them "
            f"(median of {len(looked_at['ratio']['values'])} pairs; half of them lie between {_middle(looked_at)})"
        )
    return ". ".join(said) + "." if said else ""


def _middle(looked_at: Mapping[str, Any]) -> str:
    low, _, high = quantiles(looked_at["ratio"]["values"], n=4, method="inclusive")
    return f"{low:.3f} and {high:.3f}"


def _span(ratio: Mapping[str, Any], digits: int) -> str:
    return f"{ratio['median']:.{digits}f} ({ratio['low']:.{digits}f} to {ratio['high']:.{digits}f})"


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """CPU per item of each contender, on a logarithmic axis; beside it where the engine's goes."""
    rooms = metrics["profile"].get("rooms", {})
    figure, axes = plots.figure(2 if rooms else 1, width=11 if rooms else 8)
    contenders = sorted(
        metrics["contenders"].items(), key=lambda pair: float(pair[1]["cpu_us_per_item"]["median"])
    )
    cpu = [found["cpu_us_per_item"] for _, found in contenders]
    colours = [plots.COLOURS[0] if name == "engine" else plots.QUIET for name, _ in contenders]
    plots.bars(
        axes[0],
        [LABELS.get(name, name) for name, _ in contenders],
        [value["median"] for value in cpu],
        [(value["low"], value["high"]) for value in cpu],
        colours=colours,
        texts=[plots.digits(value["median"]) for value in cpu],
    )
    axes[0].set_xscale("log")
    axes[0].set_xlim(left=1, right=max(value["high"] for value in cpu) * 2.5)
    axes[0].set_xlabel("client CPU per item, µs (logarithmic; less is better)")
    axes[0].set_title("CPU per item")
    if rooms:
        ours = metrics["contenders"]["engine"]["cpu_us_per_item"]["median"]
        names = list(rooms)[:8]
        values = [rooms[name] * ours for name in names]
        plots.bars(
            axes[1],
            names,
            values,
            [(value, value) for value in values],
            colours=[plots.COLOURS[0]] * len(names),
            texts=[f"{value:.2f}" for value in values],
        )
        axes[1].set_xlim(right=max(values) * 1.2)
        axes[1].set_xlabel("µs per item, by room of the package (sampled)")
        axes[1].set_title("Where refire's goes")
    return figure

"""The table and the heat maps of sweep."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table
from benchmarks.sweep.recommend import Cell, recommend


def _cells(metrics: Metrics) -> list[Cell]:
    return [Cell.from_json(cell) for cell in metrics["cells"]]


def _places(cells: list[Cell]) -> list[tuple[int, int]]:
    return sorted({cell.place for cell in cells})


def table(parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per item size and latency: the fastest settings there, and the least that are nearly as fast."""
    cells = _cells(metrics)
    rows = []
    for place in _places(cells):
        here = [cell for cell in cells if cell.place == place]
        best = max(here, key=lambda cell: cell.items_per_s)
        least = recommend(here, parameters["share"])
        rows.append(
            (
                _name(place),
                f"{best.items_per_s:,.0f}",
                f"{best.segments} x {best.workers}",
                f"{least.segments} x {least.workers}",
                _scatter(here),
            )
        )
    advice = metrics["recommended"]
    note = (
        f"Recommended: {advice['segments']} segments, {advice['workers']} workers: "
        f"at least {advice['worst_share']:.0%} of the fastest everywhere. "
        "Scatter: from the slowest round to the fastest, as a share of the median; middle cell, worst cell."
    )
    columns = (
        "items, latency",
        "fastest, items/s",
        "with segments x workers",
        f"least within {parameters['share']:.0%}",
        "scatter",
    )
    return Table(columns, rows, note)


def _scatter(cells: list[Cell]) -> str:
    if not all(cell.speeds for cell in cells):
        return "one round"
    found = [cell.scatter for cell in cells]
    return f"{median(found):.0%}, {max(found):.0%}"


def _name(place: tuple[int, int]) -> str:
    return f"{place[0]:,} B, {place[1]} ms" if place != (0, 0) else "as they are"


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """A heat map for each item size and latency; the recommended settings have a frame; below the speed its scatter."""
    cells = _cells(metrics)
    places = _places(cells)
    sizes, latencies = sorted({place[0] for place in places}), sorted({place[1] for place in places})
    segments, workers = sorted({cell.segments for cell in cells}), sorted({cell.workers for cell in cells})
    speed = {(cell.place, cell.segments, cell.workers): cell.items_per_s for cell in cells}
    scatter = {(cell.place, cell.segments, cell.workers): cell.scatter for cell in cells if cell.speeds}
    figure = Figure(figsize=(1.2 + 3.4 * len(latencies), 0.9 + 2.9 * len(sizes)), layout="constrained")
    grid = figure.subplots(len(sizes), len(latencies), squeeze=False)
    most = max(speed.values())
    chosen = (metrics["recommended"]["workers"], metrics["recommended"]["segments"])
    image = None
    for row, size in enumerate(sizes):
        for column, latency in enumerate(latencies):
            axes = grid[row][column]
            values = [
                [speed.get(((size, latency), high, wide), 0.0) for wide in workers] for high in segments
            ]
            image = axes.imshow(values, cmap="cividis", vmin=0, vmax=most, aspect="auto", origin="lower")
            for y, line in enumerate(values):
                for x, value in enumerate(line):
                    colour = "black" if value > 0.55 * most else "white"
                    around = scatter.get(((size, latency), segments[y], workers[x]))
                    text = plots.amount(value) + ("" if around is None else f"\n{around:.0%}")
                    axes.text(x, y, text, ha="center", va="center", color=colour, fontsize=8)
            corner = (workers.index(chosen[0]) - 0.5, segments.index(chosen[1]) - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="#D55E00", linewidth=2.5))
            axes.set_xticks(range(len(workers)), [str(value) for value in workers])
            axes.set_yticks(range(len(segments)), [str(value) for value in segments])
            axes.grid(visible=False)
            axes.set_title(_name((size, latency)))
            axes.set_xlabel("workers")
            axes.set_ylabel("segments")
    if image is not None:
        figure.colorbar(image, ax=grid, label="items per second", shrink=0.8)
    return figure

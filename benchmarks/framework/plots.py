"""One look for all plots: readable in print and on screens, and without relying on hues that some cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
"""Okabe and Ito's palette, which people of all kinds of colour vision can tell apart."""

MARKS = ("o", "s", "^", "D", "v", "P", "X")
QUIET = "#8A8A8A"

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    # The same result gives the same file.
    "svg.hashsalt": "refire",
    "svg.fonttype": "none",
}
mpl.rcParams.update(_STYLE)


def figure(columns: int = 1, *, width: float = 8.0, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    """A figure with axes side by side. Drawn without a display."""
    drawn = Figure(figsize=(width, height), layout="constrained")
    axes = drawn.subplots(1, columns, squeeze=False)[0]
    return drawn, list(axes)


def amount(value: float, _position: int = 0) -> str:
    """A number as an axis shows it: 40k, 1.5M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def digits(value: float) -> str:
    """A number with three digits that count: 7.48, 946, 1,200."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def label_amounts(axis: object) -> None:
    """Write the numbers of an axis as `amount` does."""
    axis.set_major_formatter(FuncFormatter(amount))  # type: ignore[attr-defined] # XAxis and YAxis share no public type


def bars(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[float],
    spans: Sequence[tuple[float, float]],
    *,
    colours: Sequence[str],
    texts: Sequence[str],
) -> None:
    """Horizontal bars, the first on top, with a whisker from the least to the most and the value beside it."""
    places = range(len(names))
    low = [value - span[0] for value, span in zip(values, spans, strict=True)]
    high = [span[1] - value for value, span in zip(values, spans, strict=True)]
    axes.barh(places, values, xerr=[low, high], color=colours, error_kw={"ecolor": "#444444", "capsize": 3})
    for place, span, text in zip(places, spans, texts, strict=True):
        axes.annotate(
            text, (span[1], place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9
        )
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def pairs(
    axes: Axes, names: Sequence[str], first: tuple[str, Sequence[float]], second: tuple[str, Sequence[float]]
) -> None:
    """Two upright bars for each name: what is to be expected, and what was measured, each with its label."""
    for shift, (label, values), colour in ((-0.2, first, QUIET), (0.2, second, COLOURS[0])):
        drawn = axes.bar(
            [place + shift for place in range(len(names))], values, 0.38, color=colour, label=label
        )
        axes.bar_label(drawn, fmt=digits, fontsize=9)
    axes.set_xticks(range(len(names)), names)
    axes.grid(visible=False, axis="x")
    axes.legend()


def by_second(axes: Axes, series: Sequence[tuple[str, Sequence[Sequence[float]]]]) -> None:
    """A line for each label; its rows begin with the second and the value."""
    for number, (label, rows) in enumerate(series):
        axes.plot(
            [row[0] for row in rows],
            [row[1] for row in rows],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKS[number % len(MARKS)],
            markersize=4,
            label=label,
        )
    axes.set_ylim(bottom=0)
    axes.set_xlabel("time, s")
    axes.set_title("Second by second")
    if series:
        axes.legend(fontsize=8)

"""The plots of a report, as SVG that takes its colours from the page: readable in light, in dark and on paper."""

import io
import itertools
import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refire_async.errors import UsageError
from refire_async.model.series import Numbers, Point, merge
from refire_async.report.page.markup import Html, el, plain
from refire_async.report.tally import LATENCY_BOUNDS
from refire_async.report.text import count, duration, milliseconds, throttling_reason, units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COLUMNS = 400
MOST_REASONS = 5
MOST_CONSUMERS = 4

# Colours that nothing else has; the page replaces them by its own, which follow the reader's preference.
_COLOURS = {f"#0{n}0{n}0{n}": f"var(--c{n})" for n in range(1, 8)} | {
    "#0a0a0a": "var(--ink)",
    "#0b0b0b": "var(--line)",
}
INK, LINE = "#0a0a0a", "#0b0b0b"
BLUE, ORANGE, RED, GREEN, PURPLE, TEAL, PINK = (f"#0{n}0{n}0{n}" for n in range(1, 8))
_HEAT = (0.23, 0.50, 0.88)
"""The colour of the heat map, whose cells are more or less of it: on white as on black."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.0,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelcolor": INK,
    "text.color": INK,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
_STEPS = ((2 * 86_400.0, 86_400.0, "days"), (2 * 3_600.0, 3_600.0, "hours"), (120.0, 60.0, "minutes"))


@dataclass(frozen=True, slots=True)
class Track:
    """A run's points along its time at work: `edges` (seconds) are one more than the points.

    `breaks` are where another sitting began: the time between two of them is not shown.
    """

    points: list[Point]
    edges: list[float]
    breaks: list[float]

    @property
    def scale(self) -> tuple[float, str]:
        """Seconds of the unit to show time in, and its name."""
        end = self.edges[-1]
        return next(((size, name) for least, size, name in _STEPS if end >= least), (1.0, "seconds"))

    def rates(self, value: Callable[[Point], float]) -> list[float]:
        """`value` per second in each point."""
        return [value(point) / point.seconds for point in self.points]


def lay_out(points: Sequence[Point], starts: Sequence[float]) -> Track | None:
    """Points as a track of at most about `MOST_COLUMNS`; None where there is nothing. `starts` are of sittings."""
    span, kept = 1.0, [Point.from_json(point.at, point.to_json()) for point in points if point.seconds > 0]
    while len(kept) > MOST_COLUMNS and span < 1e9:
        span *= 2
        kept = merge(kept, span)
    if not kept:
        return None
    edges = [0.0, *itertools.accumulate(point.seconds for point in kept)]
    later = [start for start in starts if start > kept[0].at + kept[0].seconds]
    breaks = [
        next((edge for point, edge in zip(kept, edges, strict=False) if point.at >= start - 1.0), edges[-1])
        for start in later
    ]
    return Track(kept, edges, [at for at in breaks if 0 < at < edges[-1]])


def consumption(track: Track) -> Html:
    """What was written, against the budget."""
    names = sorted({name for point in track.points for name in point.wcu})
    table, budget = track.rates(lambda p: p.wcu.get("", 0.0)), track.rates(lambda p: p.budget)
    allowed = track.rates(lambda p: p.allowed)

    def draw(axes: "Axes", edges: list[float]) -> None:
        axes.stairs(table, edges, fill=True, color=BLUE, alpha=0.35, label="table")
        axes.stairs(table, edges, color=BLUE, linewidth=1.0, baseline=None)
        for name, colour in zip(
            [n for n in names if n], itertools.cycle((PURPLE, TEAL, PINK, GREEN)), strict=False
        ):
            values = track.rates(lambda p, name=name: p.wcu.get(name, 0.0))  # type: ignore[misc]
            axes.stairs(
                values, edges, color=colour, linewidth=1.2, baseline=None, label=f"index {plain(name)}"
            )
        axes.stairs(budget, edges, color=ORANGE, linewidth=1.6, baseline=None, label="budget")
        if any(a < 0.999 * b for a, b in zip(allowed, budget, strict=True)):
            axes.stairs(
                allowed,
                edges,
                color=ORANGE,
                linewidth=1.0,
                linestyle=":",
                baseline=None,
                label="left by throttling, pauses",
            )
        axes.set_ylabel("WCU per second")
        axes.set_ylim(bottom=0)

    said = f"Highest {units(max(table))} WCU per second of the table, highest budget {units(max(budget))}."
    return _figure(track, "Write capacity against the budget", said, draw)


def speed(track: Track) -> Html:
    """Items per second."""
    values = track.rates(lambda p: p.items)

    def draw(axes: "Axes", edges: list[float]) -> None:
        axes.stairs(values, edges, fill=True, color=GREEN, alpha=0.35)
        axes.stairs(values, edges, color=GREEN, linewidth=1.0, baseline=None)
        axes.set_ylabel("items per second")
        axes.set_ylim(bottom=0)

    return _figure(track, "Items", f"Highest {units(max(values))} items per second.", draw)


def throttles(track: Track) -> Html | None:
    """Refused attempts by reason, one on the other; None where there were none."""
    totals: Numbers = {}
    for point in track.points:
        for cause, items in point.throttled.items():
            reason = cause.partition(" ")[0]
            totals[reason] = totals.get(reason, 0) + items
    if not totals:
        return None
    ranked = sorted(totals, key=lambda reason: -totals[reason])
    groups: list[tuple[str, tuple[str, ...]]] = [
        (plain(throttling_reason(reason)), (reason,)) for reason in ranked[:MOST_REASONS]
    ]
    if ranked[MOST_REASONS:]:
        groups.append(("other", tuple(ranked[MOST_REASONS:])))

    def draw(axes: "Axes", edges: list[float]) -> None:
        below = [0.0] * len(track.points)
        for (label, reasons), colour in zip(groups, (RED, ORANGE, PURPLE, BLUE, TEAL, PINK), strict=False):
            values = track.rates(
                lambda p, reasons=reasons: sum(  # type: ignore[misc]
                    items for cause, items in p.throttled.items() if cause.partition(" ")[0] in reasons
                )
            )
            above = [a + b for a, b in zip(below, values, strict=True)]
            axes.stairs(above, edges, baseline=below, fill=True, color=colour, alpha=0.75, label=label)
            below = above
        axes.set_ylabel("refused per second")
        axes.set_ylim(bottom=0)

    said = "; ".join(f"{throttling_reason(reason)}: {count(totals[reason])}" for reason in ranked)
    return _figure(track, "Throttling by reason", said + ".", draw)


def latency(track: Track) -> Html | None:
    """Percentiles of the time that write requests took; None where nothing was written."""
    shares = ((0.5, BLUE, "p50"), (0.9, PURPLE, "p90"), (0.99, RED, "p99"))
    if not any(point.writes for point in track.points):
        return None
    whole: Numbers = {}
    for point in track.points:
        for bucket, number in point.writes.items():
            whole[bucket] = whole.get(bucket, 0) + number

    def draw(axes: "Axes", edges: list[float]) -> None:
        for share, colour, label in shares:
            values = [1000 * quantile(point.writes, share) for point in track.points]
            axes.stairs(values, edges, baseline=None, color=colour, linewidth=1.2, label=label)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _at: f"{value:,g}")
        axes.yaxis.set_minor_formatter(lambda _value, _at: "")
        axes.set_ylabel("milliseconds")

    said = ", ".join(f"{label} {milliseconds(quantile(whole, share))}" for share, _, label in shares)
    return _figure(track, "Latency of writes", f"Over the whole run: {said}.", draw)


def consumers(track: Track) -> Html | None:
    """How far consumers were behind; None where nobody looked."""
    names = sorted({name for point in track.points for name in point.ages})[:MOST_CONSUMERS]
    if not names:
        return None

    def draw(axes: "Axes", edges: list[float]) -> None:
        for name, colour in zip(names, (TEAL, PURPLE, PINK, ORANGE), strict=False):
            values = [point.ages.get(name, math.nan) for point in track.points]
            axes.stairs(
                values, edges, baseline=None, color=colour, linewidth=1.4, label=plain(f"age of {name}")
            )
        axes.set_ylabel("seconds")
        axes.set_ylim(bottom=0)

    highest = (max(point.ages.get(name, 0.0) for point in track.points) for name in names)
    said = ", ".join(
        f"{plain(name)} at most {duration(age)}" for name, age in zip(names, highest, strict=True)
    )
    return _figure(track, "Age of what consumers were given", said + ".", draw)


def segments(track: Track, total: int, bands: int, *, hashed: bool) -> Html | None:
    """Where the run was at work when: one row per band of segments."""
    rows = min(total, bands)
    if rows < 2:
        return None
    title = "Progress over the hash range" if hashed else "Progress over the parts of the selection"

    def draw(axes: "Axes", edges: list[float]) -> None:
        import numpy as np  # noqa: PLC0415 - comes with matplotlib

        cells = np.array(
            [[point.bands.get(str(row), 0) / point.seconds for point in track.points] for row in range(rows)]
        )
        top = cells.max() or 1.0
        # Columns of equal width: an image has no others, and points are as long as each other but for their last.
        columns = min(max(len(track.points), 1), MOST_COLUMNS)
        moments = (np.arange(columns) + 0.5) * edges[-1] / columns
        at = np.clip(np.searchsorted(np.array(edges), moments, side="right") - 1, 0, len(track.points) - 1)
        image = np.zeros((rows, columns, 4))
        image[..., :3] = _HEAT
        image[..., 3] = np.sqrt(cells[:, at] / top)
        axes.imshow(
            image,
            aspect="auto",
            interpolation="none",
            origin="lower",
            extent=(0.0, edges[-1], 0.0, float(total)),
        )
        axes.set_ylabel("segment")
        axes.grid(visible=False)

    said = f"{count(total)} segments in {rows} rows; the stronger the colour, the more items per second."
    return _figure(track, title, said, draw, height=3.2)


def quantile(counts: Numbers, share: float) -> float:
    """Latency in seconds below which `share` of the requests lie, within 10%; not a number where there are none."""
    total = sum(counts.values())
    below = 0.0
    for bucket in sorted(counts, key=int):
        below += counts[bucket]
        if below >= share * total:
            # The middle of the bucket on its logarithmic scale.
            return LATENCY_BOUNDS[min(int(bucket), len(LATENCY_BOUNDS) - 1)] / math.sqrt(1.2)
    return math.nan


def _figure(
    track: Track,
    title: str,
    said: str,
    draw: "Callable[[Axes, list[float]], None]",
    height: float = 2.6,
) -> Html:
    """One plot over the time at work, with its title and what it says in words."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise UsageError(
            "a report needs matplotlib", "install it with: pip install 'refire-async[report]'"
        ) from None
    size, unit = track.scale
    edges = [edge / size for edge in track.edges]
    picture = io.StringIO()
    # What a font has no sign for is left to the reader's browser.
    with mpl.rc_context(_STYLE | {"svg.hashsalt": title}), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(9.0, height), layout="constrained")
        axes = figure.subplots()
        axes.grid(visible=True, axis="y")
        axes.set_axisbelow(True)
        draw(axes, edges)
        for at in track.breaks:
            axes.axvline(at / size, color=INK, linewidth=0.8, linestyle="--")
        axes.set_xlim(0, edges[-1])
        axes.set_xlabel(f"{unit} at work" + (" (dashed: resumed)" if track.breaks else ""))
        if len(axes.get_legend_handles_labels()[1]) > 1:
            figure.legend(loc="outside upper right", ncols=6, fontsize=8.5)
        figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    return el(
        "figure", el("figcaption", el("h3", title), el("p", said)), _inline(picture.getvalue(), title, said)
    )


def _inline(svg: str, title: str, said: str) -> Html:
    """matplotlib's file as a part of the page: its colours, its own width, and words for those who cannot see it."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(<svg [^>]*?)width="[^"]*"', r'\1role="img"', body, count=1)
    body = re.sub(r'(<svg [^>]*?)height="[^"]*"', r"\1", body, count=1)
    words = f"{el('title', title)}{el('desc', said)}"
    body = re.sub(r"(<svg [^>]*>)", lambda found: found[1] + words, body, count=1)
    for colour, variable in _COLOURS.items():
        body = body.replace(colour, variable)
    return Html(body)

"""The plots of a report. All share one time axis; colours are variables of the page, for light, dark and print."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence

from refire_async.model.series import Note, Numbers
from refire_async.output.counters import LATENCY_BOUNDS
from refire_async.output.html.causes import (
    BUDGET,
    IDLE,
    INDEX,
    MAX_RATE,
    PAUSED,
    READS,
    REST,
    THROTTLED,
    WAITED,
)
from refire_async.output.html.causes import causes as find_causes
from refire_async.output.html.markup import Html, el, plain, table
from refire_async.output.html.plot import HEIGHT, WIDTH, Axis, Key, Plot
from refire_async.output.html.ticks import round_top
from refire_async.output.html.track import Track
from refire_async.output.text import count, duration, milliseconds, percent, throttling_reason, units

MOST_REASONS = 5
MOST_CONSUMERS = 4
MOST_INDEXES = 6
MOST_CAUSES = 8
HEAT_COLUMNS = 150
HEAT_LEVELS = 6

NEAR = 1.8
"""A budget up to this many times the consumption is shown to scale; a larger one would flatten the curve."""

BLUE, ORANGE, RED, GREEN, PURPLE, TEAL, PINK = (f"var(--c{n})" for n in range(1, 8))
GREY, PALE = "var(--soft)", "var(--line)"

_CAUSE_COLOURS = {
    BUDGET: BLUE,
    READS: TEAL,
    INDEX: PURPLE,
    MAX_RATE: GREEN,
    THROTTLED: RED,
    WAITED: ORANGE,
    PAUSED: PINK,
    IDLE: PALE,
    REST: GREY,
}


def _plot(track: Track, notes: Sequence[Note], axis: Axis | None, height: int = 170) -> Plot:
    """An empty plot over the run's time at work, on which pauses and outages are shaded."""
    gaps = [(start, end) for start, end, _ in track.spans(notes, "pause", "unpause")]
    gaps += [(start, end) for start, end, _ in track.spans(notes, "wait", "recover")]
    return Plot(axis=axis, end_s=track.end_s, height=height, breaks=track.breaks, gaps=gaps)


def rate_limits(track: Track, notes: Sequence[Note]) -> Html:
    """A strip that shows what limited the rate over time, and a table with the duration of each cause."""
    found = find_causes(track, notes)
    seconds, items = Counter[str](), Counter[str]()
    kinds = {cause.label: cause.kind for cause in found}
    for cause, point in zip(found, track.points, strict=True):
        seconds[cause.label] += point.seconds  # type: ignore[assignment]
        items[cause.label] += point.items
    plot = _plot(track, notes, None, height=30)
    spans = zip(found, track.edges, track.edges[1:], strict=False)
    for colour, group in itertools.groupby(spans, key=lambda span: _CAUSE_COLOURS[span[0].kind]):
        run = list(group)
        start, end = run[0][1] / track.end_s * WIDTH, run[-1][2] / track.end_s * WIDTH
        plot.cells(f"M{start:.1f} 0H{end:.1f}V{HEIGHT:.0f}H{start:.1f}Z", colour, 1.0)
    ranked = seconds.most_common(MOST_CAUSES)
    rows: list[tuple[object, ...]] = [
        (
            el("span", el("i", class_="area", style=f"--k:{_CAUSE_COLOURS[kinds[label]]}"), plain(label)),
            percent(lasted / track.end_s),
            duration(lasted),
            f"{units(items[label] / lasted)} items/s",
        )
        for label, lasted in ranked
        if lasted >= track.end_s / 1_000
    ]
    label, lasted = ranked[0]
    caption = f"{percent(lasted / track.end_s)} of the time at work: {plain(label)}."
    causes = el("div", table(("", "share", "time", "rate then"), rows, numbers=(1, 2, 3)), class_="causes")
    return plot.figure("What limited the rate", "", caption, causes)


def consumption(track: Track, notes: Sequence[Note]) -> Html:
    """What was written, against the budget."""
    names = sorted({name for point in track.points for name in point.wcu} - {""})[:MOST_INDEXES]
    written = track.rates(lambda p: p.wcu.get("", 0.0))
    of_index = {name: track.rates(lambda p, name=name: p.wcu.get(name, 0.0)) for name in names}  # type: ignore[misc]
    budget, allowed = track.rates(lambda p: p.budget), track.rates(lambda p: p.allowed)
    highest = max(*written, *itertools.chain(*of_index.values()), 0.0)
    shown = [value for value in budget if value <= highest * NEAR]
    top = round_top(max(highest, *shown) if shown else highest or max(budget))
    axis = Axis(top)
    plot = _plot(track, notes, axis)
    plot.stairs(written, track.edges, Key("table", BLUE), filled=True)
    for name, colour in zip(names, itertools.cycle((PURPLE, TEAL, PINK, GREEN)), strict=False):
        plot.stairs(of_index[name], track.edges, Key(f"index {plain(name)}", colour))
    if any(a < 0.999 * b for a, b in zip(allowed, budget, strict=True)):
        left = Key("after throttling and pauses", ORANGE, dotted=True)
        drawn = [value if value <= top else math.nan for value in allowed]
        plot.stairs(drawn, track.edges, left, width=1.6)
    far = max(budget) > top
    name = f"budget (up to {units(max(budget))}: above this scale)" if far else "budget"
    drawn = [value if value <= top else math.nan for value in budget]
    plot.stairs(drawn, track.edges, Key(name, ORANGE), width=2.2)
    caption = (
        f"Highest {units(max(written))} WCU per second of the table, highest budget {units(max(budget))}."
    )
    return plot.figure("Write capacity against the budget", "WCU per second", caption)


def speed(track: Track, notes: Sequence[Note]) -> Html:
    """Items per second."""
    values = track.rates(lambda p: p.items)
    plot = _plot(track, notes, Axis(round_top(max(values))), height=120)
    plot.stairs(values, track.edges, Key("items", GREEN), filled=True)
    caption = f"Highest {units(max(values))} items per second."
    return plot.figure("Items", "per second", caption)


def throttles(track: Track, notes: Sequence[Note]) -> Html | None:
    """Throttled attempts by reason, stacked; None if there were none."""
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
    refused = track.rates(lambda p: sum(p.throttled.values()))
    plot = _plot(track, notes, Axis(round_top(max(refused))), height=120)
    below = [0.0] * len(track.points)
    for (label, reasons), colour in zip(groups, (RED, ORANGE, PURPLE, BLUE, TEAL, PINK), strict=False):
        values = track.rates(
            lambda p, reasons=reasons: sum(  # type: ignore[misc]
                items for cause, items in p.throttled.items() if cause.partition(" ")[0] in reasons
            )
        )
        above = [a + b for a, b in zip(below, values, strict=True)]
        plot.stairs(above, track.edges, Key(label, colour, line=False), below=below)
        below = above
    caption = "; ".join(f"{throttling_reason(reason)}: {count(totals[reason])}" for reason in ranked)
    return plot.figure("Throttling by reason", "throttled per second", caption + ".")


def latency(track: Track, notes: Sequence[Note]) -> Html | None:
    """Percentiles of the time that write requests took; None where nothing was written."""
    shares = ((0.5, BLUE, "p50"), (0.9, PURPLE, "p90"), (0.99, RED, "p99"))
    if not any(point.writes for point in track.points):
        return None
    whole: Numbers = {}
    for point in track.points:
        for bucket, number in point.writes.items():
            whole[bucket] = whole.get(bucket, 0) + number
    curves = [[1000 * quantile(point.writes, share) for point in track.points] for share, _, _ in shares]
    known = [value for curve in curves for value in curve if not math.isnan(value)]
    plot = _plot(track, notes, Axis(max(known) * 1.3, min(known) / 1.3, log=True))
    for (_, colour, label), values in zip(shares, curves, strict=True):
        plot.stairs(values, track.edges, Key(label, colour))
    caption = ", ".join(f"{label} {milliseconds(quantile(whole, share))}" for share, _, label in shares)
    return plot.figure("Latency of writes", "milliseconds", f"Over the whole run: {caption}.")


def consumers(track: Track, notes: Sequence[Note]) -> Html | None:
    """Iterator age of the consumers; None if they were not watched."""
    names = sorted({name for point in track.points for name in point.ages})[:MOST_CONSUMERS]
    if not names:
        return None
    highest = {name: max(point.ages.get(name, 0.0) for point in track.points) for name in names}
    plot = _plot(track, notes, Axis(round_top(max(highest.values()))), height=120)
    for name, colour in zip(names, (TEAL, PURPLE, PINK, ORANGE), strict=False):
        values = [point.ages.get(name, math.nan) for point in track.points]
        plot.stairs(values, track.edges, Key(plain(f"age of {name}"), colour), width=1.8)
    caption = ", ".join(f"{plain(name)} at most {duration(age)}" for name, age in highest.items())
    return plot.figure("Age of the records that consumers received", "seconds", caption + ".")


def segments(track: Track, notes: Sequence[Note], total: int, bands: int, *, hashed: bool) -> Html | None:
    """Which segments were written when: one row per band of segments."""
    rows = min(total, bands)
    if rows < 2:
        return None
    columns = min(len(track.points), HEAT_COLUMNS)
    cells = [[0.0] * columns for _ in range(rows)]
    for point, start, end in zip(track.points, track.edges, track.edges[1:], strict=False):
        first = int(start / track.end_s * columns)
        last = max(first + 1, math.ceil(end / track.end_s * columns - 1e-6))
        for band, items in point.bands.items():
            if int(band) < rows:
                for column in range(first, min(last, columns)):
                    cells[int(band)][column] += items / (last - first)
    plot = _plot(track, notes, Axis(float(total)), height=200)
    for level, path in _heat(cells, max(map(max, cells)) or 1.0):
        plot.cells(path, BLUE, round(level / HEAT_LEVELS, 2))
    title = "Progress over the hash range" if hashed else "Progress over the selection"
    caption = f"{count(total)} segments in {rows} rows; the stronger the colour, the more items per second."
    return plot.figure(title, "segment", caption)


def _heat(cells: list[list[float]], top: float) -> list[tuple[int, str]]:
    """Paths by strength of their colour (1 to `HEAT_LEVELS`), neighbours in a row as one."""
    paths: dict[int, list[str]] = {}
    high, wide = HEIGHT / len(cells), WIDTH / len(cells[0])
    for row, values in enumerate(cells):
        levels = [math.ceil(math.sqrt(value / top) * HEAT_LEVELS) for value in values]
        y, column = HEIGHT - (row + 1) * high, 0
        for level, group in itertools.groupby(levels):
            length = len(list(group))
            if level:
                x = f"{column * wide:.1f} {y:.1f}"
                paths.setdefault(level, []).append(
                    f"M{x}h{length * wide:.1f}v{high:.1f}h-{length * wide:.1f}z"
                )
            column += length
    return [(level, "".join(path)) for level, path in sorted(paths.items())]


def quantile(counts: Numbers, share: float) -> float:
    """Latency in seconds below which `share` of the requests lie, within 10%; not a number where there are none."""
    total = sum(counts.values())
    below = 0.0
    for bucket in sorted(counts, key=int):
        below += counts[bucket]
        if below >= share * total:
            # The middle of the bucket on the logarithmic scale.
            return LATENCY_BOUNDS[min(int(bucket), len(LATENCY_BOUNDS) - 1)] / math.sqrt(1.2)
    return math.nan

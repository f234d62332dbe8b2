"""A plot over time as SVG: the curves scale with the page, the text does not; colours are variables of the page.

The outer element has no viewBox: lines and text are placed at percentages of its width, so that text keeps its size on
a telephone and in print. The curves are in an inner element with a viewBox that is scaled to the outer one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from refire_async.output.html import ticks
from refire_async.output.html.markup import Html, el, join

WIDTH, HEIGHT = 1_000.0, 200.0
"""The inner element's coordinates."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from `low` to `high`, logarithmic if `log`."""

    high: float
    low: float = 0.0
    log: bool = False

    def place(self, value: float) -> float:
        """Position of `value`: 0 at the lower end, 1 at the upper; values beyond are clipped."""
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, share))

    def ticks(self) -> list[float]:
        return ticks.logarithmic(self.low, self.high) if self.log else ticks.linear(self.high)


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of a legend: `colour` is a variable of the page's style, `line` whether it is a line or an area."""

    label: str
    colour: str
    line: bool = True
    dotted: bool = False


@dataclass(slots=True, kw_only=True)
class Plot:
    """One plot of `end_s` seconds. `height` in pixels is that of the area without the labels."""

    axis: Axis | None
    end_s: float
    height: int = 170
    breaks: Sequence[float] = ()
    gaps: Sequence[tuple[float, float]] = ()
    keys: list[Key] = field(default_factory=list)
    _curves: list[Html] = field(default_factory=list)

    def stairs(
        self,
        values: Sequence[float],
        edges: Sequence[float],
        key: Key,
        *,
        filled: bool = False,
        below: Sequence[float] | None = None,
        width: float = 1.4,
    ) -> None:
        """Each value from its edge to the next; NaN leaves a gap. `below`: an area down to these values."""
        self.keys.append(key)
        if filled or below is not None:
            floor = below or [0.0] * len(values)
            opacity = 0.3 if below is None else 0.8
            self._curves.append(
                el("path", d=self._surface(values, floor, edges), fill=key.colour, fill_opacity=opacity)
            )
            if below is not None:
                return
        self._curves.append(self._line(self._steps(values, edges), key, width))

    def line(self, values: Sequence[float], times: Sequence[float], key: Key) -> None:
        """Straight lines between points."""
        self.keys.append(key)
        points = (f"{self._x(at)} {self._y(value)}" for at, value in zip(times, values, strict=True))
        self._curves.append(self._line("M" + "L".join(points), key, 2.0))

    def cells(self, path: str, colour: str, opacity: float) -> None:
        """An area; `path` is in coordinates of the inner element."""
        self._curves.append(el("path", d=path, fill=colour, fill_opacity=opacity))

    def _line(self, path: str, key: Key, width: float) -> Html:
        return el(
            "path",
            d=path,
            fill="none",
            stroke=key.colour,
            stroke_width=width,
            stroke_dasharray="2 3" if key.dotted else None,
            stroke_linejoin="round",
            vector_effect="non-scaling-stroke",
        )

    def _x(self, at: float) -> str:
        return f"{at / self.end_s * WIDTH:.1f}".removesuffix(".0")

    def _y(self, value: float) -> str:
        share = 0.0 if self.axis is None else self.axis.place(value)
        return f"{(1.0 - share) * HEIGHT:.1f}".removesuffix(".0")

    def _steps(self, values: Sequence[float], edges: Sequence[float]) -> str:
        path, drawn, last = [], False, ""
        for value, start, end in zip(values, edges, edges[1:], strict=False):
            if math.isnan(value):
                drawn = False
                continue
            height = self._y(value)
            if not drawn:
                path.append(f"M{self._x(start)} {height}")
            elif height != last:
                path.append(f"V{height}")
            path.append(f"H{self._x(end)}")
            drawn, last = True, height
        return "".join(path)

    def _surface(self, values: Sequence[float], floor: Sequence[float], edges: Sequence[float]) -> str:
        path = [f"M0 {self._y(floor[0])}"]
        for value, end in zip(values, edges[1:], strict=True):
            path.append(f"V{self._y(value)}H{self._x(end)}")
        for value, start in zip(reversed(floor), reversed(edges[:-1]), strict=True):
            path.append(f"V{self._y(value)}H{self._x(start)}")
        return "".join(path) + "Z"

    def content(self) -> Html:
        """The children of the outer element."""
        return join(
            *(self._gap(start, end) for start, end in self.gaps),
            *self._upright(),
            *self._level(),
            el(
                "svg",
                *self._curves,
                width="100%",
                height=self.height,
                viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
                preserveAspectRatio="none",
            ),
            *(self._break(at) for at in self.breaks),
        )

    def _percent(self, at: float) -> str:
        return f"{at / self.end_s * 100:.2f}%"

    def _gap(self, start: float, end: float) -> Html:
        return el(
            "rect",
            x=self._percent(start),
            width=self._percent(max(end - start, self.end_s / 500)),
            height=self.height,
            class_="gap",
        )

    def _upright(self) -> list[Html]:
        found = []
        for place, (at, label) in enumerate(ticks.times(self.end_s)):
            x, class_ = self._percent(at), "odd" if place % 2 else None
            found.append(el("line", x1=x, x2=x, y1=0, y2=self.height + 4, class_="grid"))
            near = at > 0.96 * self.end_s
            anchor = "start" if not at else "end" if near else "middle"
            found.append(
                el(
                    "text",
                    label,
                    x=x,
                    y=self.height + 18,
                    text_anchor=anchor,
                    class_=class_,
                    fill="var(--ink)",
                )
            )
        return found

    def _level(self) -> list[Html]:
        found = []
        for tick in [] if self.axis is None else self.axis.ticks():
            y = f"{(1.0 - self.axis.place(tick)) * self.height:.1f}" if self.axis is not None else ""
            found.append(el("line", x1=0, x2="100%", y1=y, y2=y, class_="grid"))
            found.append(
                el("text", ticks.number(tick), x=-8, y=y, dy=".32em", text_anchor="end", fill="var(--ink)")
            )
        return found

    def _break(self, at: float) -> Html:
        x = self._percent(at)
        return el("line", x1=x, x2=x, y1=0, y2=self.height, class_="break")

    def figure(self, title: str, unit: str, caption: str, *more: Html | None) -> Html:
        """The plot as a figure with title, legend and caption."""
        picture = el(
            "svg",
            el("title", title),
            el("desc", caption),
            self.content(),
            class_="plot",
            role="img",
            height=self.height + 24,
        )
        heading = el(
            "figcaption", el("h3", title, el("small", f" {unit}") if unit else None), el("p", caption)
        )
        return el("figure", heading, self._legend(), picture, *more)

    def _legend(self) -> Html | None:
        if len(self.keys) < 2:
            return None
        entries = (
            el("li", el("i", class_=_mark(key), style=f"--k:{key.colour}"), key.label) for key in self.keys
        )
        return el("ul", *entries, class_="legend")


def _mark(key: Key) -> str:
    return "area" if not key.line else "dots" if key.dotted else "rule"

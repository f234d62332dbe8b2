"""A plan as a plot: progress and backlog over time, as a self-contained SVG file."""

from importlib.resources import files
from pathlib import Path

from refire_async.errors import UsageError
from refire_async.output.html.markup import Html, el, join
from refire_async.output.html.plot import Axis, Key, Plot
from refire_async.output.html.ticks import round_top
from refire_async.output.text import duration
from refire_async.planning.forecast.plan import Plan

_POINTS = 200
_WIDTH, _HEIGHT = 840, 420


def save_plot(plan: Plan, title: str, path: Path) -> None:
    """Write the SVG file.

    Raises:
        UsageError: the name does not end with .svg, or the file cannot be written.
    """
    if path.suffix.lower() != ".svg":
        raise UsageError(f"{path.name} does not end with .svg", "choose a file name that ends with .svg")
    try:
        path.write_text(draw(plan, title), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}", "choose another path with --plot"
        ) from None


def draw(plan: Plan, title: str) -> str:
    """The content of the SVG file."""
    backlog = plan.backlog
    end = plan.duration.seconds if backlog is None else backlog.drained_s
    times = [end * step / _POINTS for step in range(_POINTS + 1)]
    plot = Plot(axis=Axis(round_top(plan.load.items)), end_s=end, height=270)
    touched = [plan.load.items * min(1.0, time / plan.duration.seconds) for time in times]
    plot.line(touched, times, Key("items touched", "var(--c1)"))
    if backlog is not None:
        waiting = Key("records waiting for the consumers", "var(--c2)")
        plot.line([backlog.at(time) for time in times], times, waiting)
    summary = f"takes {duration(plan.duration.seconds)}, bound by {plan.duration.bound_by}"
    svg = el(
        "svg",
        el("title", f"Plan for {title}"),
        el("desc", summary),
        Html(f"<style>{_style()}</style>"),
        el("rect", width="100%", height="100%", fill="var(--paper)"),
        el("text", f"Plan for {title}", x=24, y=34, class_="h"),
        el("text", summary, x=24, y=54, fill="var(--soft)"),
        join(*(_key(key, 24 + 150 * place, 80) for place, key in enumerate(plot.keys))),
        el("svg", plot.content(), x=64, y=100, width=_WIDTH - 100, height=300, overflow="visible"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width=_WIDTH,
        height=_HEIGHT,
        role="img",
        class_="plot",
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{svg}\n'


def _style() -> str:
    """The colours and plot styles of the report."""
    colours = files("refire_async.output.html").joinpath("colours.css").read_text(encoding="utf-8")
    plots = files("refire_async.output.html").joinpath("plots.css").read_text(encoding="utf-8")
    own = "svg{font:12px system-ui,'Segoe UI','Helvetica Neue',Arial,sans-serif}"
    own += "text{fill:var(--ink)}.plot .h{font-size:17px}"
    return colours + plots + own


def _key(key: Key, x: int, y: int) -> Html:
    line = el("line", x1=x, x2=x + 18, y1=y - 4, y2=y - 4, stroke=key.colour, stroke_width=2.4)
    return join(line, el("text", key.label, x=x + 24, y=y))

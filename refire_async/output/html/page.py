"""The report as one self-contained HTML file: no script, no request, colours for light, dark and print."""

from datetime import datetime
from importlib.resources import files

from refire_async import __version__
from refire_async.model.units import utc_text
from refire_async.output.counters import BANDS
from refire_async.output.html import charts, sections
from refire_async.output.html.markup import Html, el, join
from refire_async.output.html.promises import promises
from refire_async.output.html.report_data import ReportData
from refire_async.output.html.track import lay_out
from refire_async.output.text import count

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Even if foreign markup got into the page, a browser would load and run nothing."""

_STATUS = {"complete": "ok", "failed": "fail"}


def render(report_data: ReportData, now: datetime) -> str:
    """The content of the HTML file; `now` is the time of its creation."""
    run = report_data.run
    title = f"Run {run.spec.run_id} of table {run.spec.table}"
    failed = run.counts.failed
    status_text = f"{report_data.status}, {count(failed)} items failed" if failed else report_data.status
    mark = "fail" if failed else _STATUS.get(report_data.status, "open")
    status = el("span", status_text, class_=f"mark {mark}")
    top = el(
        "header",
        el("h1", title),
        el(
            "p",
            status,
            f" · started {time_text(run.created_at)} · last saved {time_text(run.updated_at)}",
            class_="muted",
        ),
    )
    private = (
        "It contains keys of items, which can be personal data."
        if report_data.with_keys
        else "It contains no keys of items."
    )
    main = el("main", sections.key_figures(report_data), *_sections(report_data))
    return document(title, top, main, f"from the run's checkpoint. {private}", now)


def document(title: str, top: Html, main: Html, origin: str, now: datetime) -> str:
    """A whole HTML file. `origin` says what it was made from."""
    style = "".join(
        files("refire_async.output.html").joinpath(f"{name}.css").read_text(encoding="utf-8")
        for name in ("colours", "plots", "style")
    )
    head = join(
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Html('<meta name="referrer" content="no-referrer">'),
        el("title", title),
        Html(f"<style>{style}</style>"),
    )
    made = f"Made by refire {__version__}, {utc_text(now.timestamp())}, {origin}"
    body = join(top, main, el("footer", el("p", made)))
    return f"<!DOCTYPE html>\n{el('html', el('head', head), el('body', body), lang='en')}\n"


def _sections(report_data: ReportData) -> list[Html]:
    return [
        section("Summary", sections.outcomes(report_data)),
        section("Promises and proof", promises(report_data)),
        section("Over time", *_plots(report_data)),
        section("Cost", sections.money(report_data)),
        section("Findings", sections.findings(report_data)),
        section("Failed items", sections.failed(report_data)),
        section(
            "Settings", sections.settings(report_data), el("h3", "Attempts"), sections.attempts(report_data)
        ),
        section("Timeline", sections.timeline(report_data)),
    ]


def _plots(report_data: ReportData) -> list[Html | None]:
    notes = report_data.recorded.notes
    track = lay_out(report_data.recorded.points, [note.at for note in report_data.notes("start")])
    if track is None:
        return [el("p", "Nothing was recorded.", class_="muted")]
    spec = report_data.run.spec
    refused = charts.throttles(track, notes)
    axis = "Time at work, the same in all plots."
    if track.breaks:
        axis += " Dashed: resumed; the time between attempts is left out."
    if any(note.kind in ("pause", "wait") for note in notes):
        axis += " Shaded: paused, or waiting for the service."
    return [
        el("p", axis, class_="muted"),
        charts.rate_limits(track, notes),
        charts.consumption(track, notes),
        charts.speed(track, notes),
        refused or el("p", "Nothing was throttled.", class_="muted"),
        sections.throttled(report_data),
        charts.latency(track, notes),
        charts.consumers(track, notes),
        charts.segments(track, notes, spec.total_segments, BANDS, hashed=spec.selection.kind == "scan"),
    ]


def section(title: str, *content: Html | None) -> Html:
    """A section of the page under its heading."""
    return el("section", el("h2", title), *content)


def time_text(text: str) -> str:
    """A time of the checkpoint (ISO 8601) in the page's format."""
    return utc_text(datetime.fromisoformat(text).timestamp())

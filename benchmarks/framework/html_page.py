"""All results of a folder as one HTML file that needs no network: plots, figures, and what changed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from benchmarks.framework.compare import RULE, Verdict, compare
from benchmarks.framework.compare_cli import line
from benchmarks.framework.registry import NAMES, load
from benchmarks.framework.result import Result, read
from benchmarks.framework.results_page import machine_line, read_all
from benchmarks.framework.scenario import BenchmarkError

_STYLE = """
:root { color-scheme: light }
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; margin: 2rem auto; max-width: 96rem;
  padding: 0 1rem }
nav a { margin-right: 1em; white-space: nowrap }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(30rem, 1fr)); gap: 1rem }
.plots figure, section { margin: 0; padding: 1rem; border: 1px solid #ddd; border-radius: 6px }
section { margin-top: 1rem; overflow-x: auto }
img { width: 100%; height: auto }
table { border-collapse: collapse } td, th { padding: .2em .8em; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child { text-align: left }
.how { color: #555; font-size: .9em } .differs { color: #a33; font-weight: bold }
"""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write(folder: Path, against: Path, target: Path) -> Path:
    """Write the page of the results in `folder`, compared with those in `against`. Raises BenchmarkError."""
    results = read_all(folder)
    earlier = {name: read(against / f"{name}.json") for name in NAMES if (against / f"{name}.json").exists()}
    plots = {found.name: folder / f"{found.name}.svg" for found in results}
    images = {name: path.read_bytes() for name, path in plots.items() if path.exists()}
    target.write_text(page(results, images, earlier))
    return target


def page(results: Sequence[Result], images: dict[str, bytes], earlier: dict[str, Result]) -> str:
    """The whole text; `images` holds SVG files by name of benchmark."""
    commits = sorted({str(found.parameters.get("commit", "not recorded")) for found in results})
    warning = "" if len(commits) == 1 else '<p class="differs">These results are of more than one commit.</p>'
    links = " ".join(f'<a href="#{escape(found.name)}">{escape(found.name)}</a>' for found in results)
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Benchmarks of refire</title>',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>Benchmarks of refire</h1><p>Commit {escape(', '.join(commits))}.</p>{warning}<nav>{links}</nav>",
        '<h2>Plots</h2><div class="plots">',
        *(_plot(found, images.get(found.name)) for found in results),
        f"</div><h2>Figures</h2><p class=how>{escape(RULE)}</p>",
        *(_section(found, earlier.get(found.name)) for found in results),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _plot(found: Result, svg: bytes | None) -> str:
    question = escape(load(found.name).question)
    if svg is None:
        return f"<figure><figcaption>{question}</figcaption>no plot</figure>"
    # As an image an SVG runs no script and loads nothing.
    data = base64.b64encode(svg).decode()
    return (
        f'<figure><figcaption><a href="#{escape(found.name)}">{escape(found.name)}</a>: {question}</figcaption>'
        f'<img alt="{question}" src="data:image/svg+xml;base64,{data}"></figure>'
    )


def _section(found: Result, earlier: Result | None) -> str:
    how = found.parameters
    made = (
        f"{how['command']} ({how['mode']}, {how['target']}), commit {how.get('commit', 'not recorded')}, "
        f"{how['started_at']}, {how['seconds']:.0f} s. {machine_line(found.machine)}."
    )
    table = load(found.name).table(how, found.metrics)
    head = "".join(f"<th>{escape(str(cell))}</th>" for cell in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in table.rows
    )
    return (
        f'<section id="{escape(found.name)}"><h3>{escape(found.name)}</h3>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p>{escape(table.note)}</p>"
        f'<p class="how">{escape(made)}</p>{_changes(found, earlier)}</section>'
    )


def _changes(found: Result, earlier: Result | None) -> str:
    """What changed since the earlier result, figures that cannot be judged apart."""
    if earlier is None:
        return "<p>New: there is no earlier result.</p>"
    since = (
        f"{earlier.parameters['started_at'][:10]}, commit {earlier.parameters.get('commit', 'not recorded')}"
    )
    try:
        changes = compare(earlier, found)
    except BenchmarkError as error:
        return f"<p>Not comparable with the earlier result ({escape(since)}): {escape(str(error))}</p>"
    differing = [change for change in changes if change.verdict is Verdict.DIFFERS]
    lines = "".join(f'<li class="differs">{escape(line(change))}</li>' for change in differing)
    judged = [change for change in changes if change.verdict in (Verdict.DIFFERS, Verdict.SAME)]
    moved = [change for change in changes if change not in judged and change.old != change.new]
    listed = "".join(f"<li>{escape(line(change))}</li>" for change in moved)
    more = f"<details><summary>{len(moved)} others moved and cannot be judged</summary><ul>{listed}</ul></details>"
    return (
        f"<p>Since {escape(since)}: {len(differing)} of {len(judged)} figures with repetitions differ.</p>"
        f"<ul>{lines}</ul>{more if moved else ''}"
    )

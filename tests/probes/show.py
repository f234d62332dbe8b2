"""What probes are going to do, and what they saw, as text and HTML. Pure."""

import html
import json
from collections import Counter
from collections.abc import Iterable, Sequence

from tests.probes.catalogue import areas
from tests.probes.cost import Cost, total
from tests.probes.facts import Fact, Probe
from tests.probes.policy import policy, services_of
from tests.probes.resources import PREFIX, TAG
from tests.probes.results import Results
from tests.probes.runner import Result
from tests.probes.tables import KINDS, PROVISIONED_UNITS

_MARKS = {"agrees": "agrees  ", "differs": "DIFFERS ", "not tried": "not tried"}


def bound(probes: Sequence[Probe]) -> Cost:
    """What these probes cost at the most, their tables included."""
    kinds = {kind for probe in probes for kind in probe.tables}
    hours = sum(units for kind, units in PROVISIONED_UNITS.items() if kind in kinds)
    return total([probe.cost for probe in probes]) + Cost(
        writes=100, reads=100, stream_reads=0, provisioned_unit_hours=hours
    )


def announcement(probes: Sequence[Probe], where: str) -> str:
    """What is going to be made, what it costs at the most, and the policy that it takes."""
    kinds = list(dict.fromkeys(kind for probe in probes for kind in probe.tables))
    services = services_of(probes)
    lines = [f"{len(probes)} probes on {where}. They make, and take away again:"]
    lines += [f"  table {PREFIX}…-{kind}: {KINDS[kind][0]}" for kind in kinds]
    more = {"lambda": "functions, mappings and a role", "sqs": "queues", "s3": "a bucket with small objects"}
    lines += [f"  {words} {PREFIX}…" for service, words in more.items() if service in services]
    lines.append(f"Everything has the tag {TAG}. No table is touched that the probes did not make.")
    lines.append(f"Cost: at most ${bound(probes).dollars:.4f} in the dearest region.")
    lines.append("Permissions:")
    lines.append(json.dumps(policy(services), indent=1))
    return "\n".join(lines)


def line_of(result: Result) -> str:
    """One line for a result."""
    return f"{_MARKS[result.outcome]} {result.id:34} {result.text}"


def summary(results: Iterable[Result]) -> str:
    """How many agree, differ and were not tried."""
    counts = Counter(result.outcome for result in results)
    return f"{counts['agrees']} agree, {counts['differs']} differ, {counts['not tried']} not tried"


def details(results: Iterable[Result], facts: dict[str, Fact]) -> str:
    """What differs, with what rests on it."""
    lines = []
    for result in results:
        if result.outcome == "differs":
            fact = facts[result.id]
            lines += [
                f"{fact.id}: {fact.assumed}",
                f"  seen: {result.text}",
                f"  source: {fact.source}",
                f"  rests on it: {', '.join(fact.rests)}; {', '.join(fact.code)}",
            ]
            if isinstance(fact, Probe):
                lines.append(f"  tried: {fact.how}")
    return "\n".join(lines)


_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em;
  color: #222; background: #fff }
table { border-collapse: collapse; width: 100%; margin-bottom: 2em }
td, th { text-align: left; vertical-align: top; padding: .35em .6em; border-bottom: 1px solid #ddd }
.differs { background: #fdecea } .agrees td:first-child { color: #1a7f37 } .not td { color: #777 }
code { font-size: 13px }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #181818 } td, th { border-color: #444 } .differs { background: #4a2320 }
}
"""


def page(results: Results, facts: dict[str, Fact]) -> str:
    """One HTML file: all facts of a session by area."""
    where = f"{results.server} {results.region}".strip()
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Assumptions on {html.escape(where)}</title>",
        f"<style>{_STYLE}</style><h1>What refire-async assumes, tried on {html.escape(where)}</h1>",
        f"<p>{html.escape(results.date)}; {html.escape(summary(results.facts.values()))}; ",
        html.escape(", ".join(f"{name} {version}" for name, version in results.versions.items())),
        "</p>",
    ]
    for area in areas():
        rows = [
            _row(facts[fact.id], results.facts[fact.id]) for fact in area.facts if fact.id in results.facts
        ]
        if rows:
            parts.append(
                f"<h2>{html.escape(area.title)}</h2><table><tr><th>outcome<th>fact<th>seen, or why not"
            )
            parts += ["<th>source<th>rests on it", *rows, "</table>"]
    return "".join(parts)


def _row(fact: Fact, result: Result) -> str:
    how = f"<br><small>{html.escape(fact.how)}</small>" if isinstance(fact, Probe) else ""
    cells = (
        result.outcome,
        f"<code>{html.escape(fact.id)}</code><br>{html.escape(fact.assumed)}{how}",
        html.escape(result.text),
        html.escape(fact.source),
        f"{html.escape(', '.join(fact.rests))}<br>"
        + " ".join(f"<code>{html.escape(name)}</code>" for name in fact.code),
    )
    return f'<tr class="{result.outcome}">' + "".join(f"<td>{cell}" for cell in cells)

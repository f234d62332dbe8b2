"""docs/assumptions.md, made from result files. Pure."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.probes.catalogue import areas, facts
from tests.probes.facts import OTHER_USES, PROMISES, Fact, Probe
from tests.probes.results import Results

SERVERS = {"sandbox": "sandbox", "dynamodb-local": "DynamoDB Local", "ministack": "ministack", "aws": "AWS"}
_MARKS = {"agrees": "agrees", "differs": "**differs**", "not tried": "not tried"}

_HEAD = (Path(__file__).parent / "assumptions-head.md").read_text(encoding="utf-8")


def page(files: Sequence[Results]) -> str:
    """The page. Of several files of a server the last one by date counts, fact by fact."""
    latest = _latest(files)
    parts = [
        _HEAD,
        "## Which server agrees\n",
        *_counts(latest, files),
        "",
        "## Which promise stands on which fact\n",
    ]
    parts += [*_promises(), "", *_areas(latest), "## Where a server differs\n", *_differences(latest), ""]
    parts += ["## Facts that cannot be tried\n", *_untried()]
    return "\n".join(parts) + "\n"


def promises_of() -> dict[str, list[str]]:
    """The ids of the facts that each promise, or other use, rests on."""
    return {name: [fact.id for fact in facts() if name in fact.rests] for name in (*PROMISES, *OTHER_USES)}


def _latest(files: Iterable[Results]) -> dict[str, Results]:
    latest: dict[str, Results] = {}
    for results in sorted(files, key=lambda one: one.date):
        before = latest.get(results.server)
        known = dict(before.facts) if before else {}
        # An area that was not run does not erase what an earlier file has.
        known |= {
            name: result
            for name, result in results.facts.items()
            if result.outcome != "not tried" or name not in known
        }
        latest[results.server] = Results(
            results.server, results.date, results.region, results.versions, known
        )
    return latest


def _counts(latest: dict[str, Results], files: Sequence[Results]) -> list[str]:
    rows = ["| server | agree | differ | not tried | when, where |", "|---|---:|---:|---:|---|"]
    for server, title in SERVERS.items():
        if server not in latest:
            rows.append(f"| {title} | | | | no result file yet |")
            continue
        results = latest[server]
        known = [result for result in results.facts.values() if result.id in _ids()]
        numbers = [sum(result.outcome == outcome for result in known) for outcome in _MARKS]
        where = sorted({one.region for one in files if one.server == server and one.region})
        rows.append(f"| {title} | {' | '.join(map(str, numbers))} | {', '.join([results.date, *where])} |")
    return rows


def _ids() -> set[str]:
    return {fact.id for fact in facts()}


def _promises() -> list[str]:
    rows = ["| promise or use | facts |", "|---|---|"]
    for name, ids in promises_of().items():
        rows.append(f"| **{name}** | {', '.join(f'`{one}`' for one in ids)} |")
    return rows


def _areas(latest: dict[str, Results]) -> list[str]:
    lines: list[str] = []
    for area in areas():
        titles = " | ".join(SERVERS.values())
        lines += [
            f"## {area.title}\n",
            f"| fact | what is assumed, and from where | rests on it | {titles} |",
        ]
        lines.append("|---|---|---|" + "---|" * len(SERVERS))
        for fact in area.probes:
            lines.append(
                f"| `{fact.id}` | {_cell(fact.assumed)} *{_cell(fact.source)}* | {_cell(', '.join(fact.rests))}: "
                f"{_files(fact)} | {' | '.join(_mark(latest, server, fact) for server in SERVERS)} |"
            )
        lines.append("")
    return lines


def _mark(latest: dict[str, Results], server: str, fact: Fact) -> str:
    if server not in latest or fact.id not in latest[server].facts:
        return ""
    return _MARKS[latest[server].facts[fact.id].outcome]


def _files(fact: Fact) -> str:
    return ", ".join(f"`{name.removeprefix('refire_async/')}`" for name in fact.code)


def _differences(latest: dict[str, Results]) -> list[str]:
    rows = ["| fact | server | what was seen | which is believed, and why |", "|---|---|---|---|"]
    for fact in facts():
        for server, title in SERVERS.items():
            result = latest[server].facts.get(fact.id) if server in latest else None
            if result is not None and result.outcome == "differs":
                believed = fact.believed.get(server) or (
                    "the service: the assumption is wrong" if server == "aws" else "not judged yet"
                )
                rows.append(f"| `{fact.id}` | {title} | {_cell(result.text)} | {_cell(believed)} |")
    return rows


def _untried() -> list[str]:
    return [
        "| fact | what is assumed, and from where | rests on it | why it cannot be tried |",
        "|---|---|---|---|",
        *(
            f"| `{fact.id}` | {_cell(fact.assumed)} *{_cell(fact.source)}* | {_cell(', '.join(fact.rests))}: "
            f"{_files(fact)} | {_cell(str(fact.untried))} |"
            for fact in facts()
            if not isinstance(fact, Probe)
        ),
    ]


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    for mark in "\\|<>*_`":
        text = text.replace(mark, "\\" + mark)
    return text

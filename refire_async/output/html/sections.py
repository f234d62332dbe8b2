"""The sections of a report as text and tables. They show keys and conditions only with `--with-keys`."""

from typing import Any

import orjson

from refire_async.model.units import utc_text
from refire_async.output.html.markup import Html, el, join, pairs, table, tiles
from refire_async.output.html.report_data import MOST_KEYS, ReportData
from refire_async.output.summary import MEANINGS
from refire_async.output.text import count, dollars, duration, throttling_reason, units

HIDDEN = "left out: it may be personal data (--with-keys shows it)"


def key_figures(report_data: ReportData) -> Html:
    """The key figures."""
    run, spent = report_data.run, report_data.cost
    seconds = run.totals.seconds
    found: list[tuple[str, str, str]] = [
        (count(run.counts.touched), "items touched", f"of {count(run.counts.scanned)} scanned"),
        (
            duration(seconds),
            "at work",
            f"{units(run.counts.settled / seconds)} items/s" if seconds > 0 else "",
        ),
        (units(run.totals.wcu), "WCU written", f"{units(run.totals.rcu)} RCU read"),
        (count(run.totals.throttled), "throttled", f"{count(run.totals.retries)} other retries"),
        (count(run.counts.failed), "failed", f"{count(run.counts.vanished)} vanished"),
    ]
    if spent is not None:
        found.append((dollars(spent.total), "cost", "" if spent.extra else "of capacity you already pay for"))
    return tiles(found)


def outcomes(report_data: ReportData) -> Html:
    """Items by outcome."""
    counts = report_data.run.counts
    rows: list[tuple[object, ...]] = [
        ("scanned", count(counts.scanned), "read from the table or the list of keys")
    ]
    rows += [(name, count(getattr(counts, name)), meaning) for name, meaning in MEANINGS]
    rows.append(
        (
            "conflicts",
            count(counts.conflicts),
            "of the touched: changed by other writers during the run, no update was lost",
        )
    )
    return table(("outcome", "items", "meaning"), rows, numbers=(1,))


def money(report_data: ReportData) -> Html:
    """The cost of the run."""
    spent, prices, totals = report_data.cost, report_data.prices, report_data.run.totals
    if spent is None:
        return el("p", "The table's billing mode was not recorded.", class_="muted")
    how = (
        "on demand, by request"
        if spent.extra
        else "provisioned: you already paid for these units by the hour"
    )
    rows: list[tuple[object, ...]] = [
        ("writes", units(totals.wcu), dollars(spent.writes)),
        ("reads", units(totals.rcu), dollars(spent.reads)),
        (el("b", "total"), "", el("b", dollars(spent.total))),
    ]
    billed = f"Billed {how}. Prices of {prices.region}, {prices.date}; without consumers and copies in other regions."
    return join(table(("", "units", "US dollars"), rows, numbers=(1, 2)), el("p", billed, class_="muted"))


def settings(report_data: ReportData) -> Html:
    """The selection and settings of the run."""
    spec, keys = report_data.run.spec, report_data.run.spec.keys
    chosen, connection = spec.selection, report_data.run.connection
    rows: list[tuple[str, object]] = [
        ("table", f"{spec.table} ({spec.table_id})"),
        ("region", connection.region),
        ("endpoint", connection.endpoint_url),
        ("keys", ", ".join(keys.names)),
        ("marker", f"{spec.marker.kind} in attribute {spec.marker.attribute}"),
        ("segments", count(spec.total_segments)),
        ("selection", chosen.kind),
        ("index", chosen.index),
        ("sample", None if chosen.sample is None else f"{chosen.sample:g}%"),
    ]
    private = {
        "hash keys": [chosen.hash_key(n) for n in range(len(chosen.key_values))],
        "sort key": chosen.sort_key_condition,
        "filter": chosen.filter,
        "values": dict(chosen.values),
        "list of keys": chosen.keys_file,
        "export": chosen.export,
    }
    for name, value in private.items():
        if value:
            shown = value if isinstance(value, str) else orjson.dumps(value).decode()
            rows.append((name, shown if report_data.with_keys else HIDDEN))
    return pairs(rows)


def attempts(report_data: ReportData) -> Html:
    """Start, budget and settings of each attempt."""
    rows: list[tuple[object, ...]] = []
    for number, note in enumerate(report_data.notes("start"), 1):
        rows.append((number, utc_text(note.at), note.data["budget"], _options(note.data["settings"])))
    if not rows:
        return el("p", "Nothing was recorded.", class_="muted")
    return table(("", "started", "budget", "settings"), rows)


def _options(settings: dict[str, Any]) -> str:
    """Settings as command-line options."""
    options = []
    for name, value in settings.items():
        option = f"--{name.replace('_', '-').removesuffix('-s')}"
        if value is True:
            options.append(option)
        elif isinstance(value, list):
            options += [f"{option} {one}" for one in value]
        else:
            options.append(f"{option} {value:g}" if isinstance(value, float) else f"{option} {value}")
    return " ".join(options) or "defaults only"


def findings(report_data: ReportData) -> Html:
    """Findings of the checks before the first write."""
    seen: dict[str, tuple[object, ...]] = {}
    for note in report_data.notes("finding"):
        data = note.data
        mark = el("span", data["level"], class_=f"mark {'fail' if data['level'] == 'stop' else 'open'}")
        seen[data["id"]] = (mark, data["id"], data["message"], data["action"])
    if not seen:
        return el("p", "No problems found.", class_="muted")
    return table(("", "finding", "what it means", "what to do"), list(seen.values()))


def failed(report_data: ReportData) -> Html:
    """Items that could not be touched."""
    if not report_data.failed:
        return el("p", "No item failed.", class_="muted")
    parts: list[object] = [
        table(
            ("error code", "items"),
            [(code, count(items)) for code, items in report_data.failed.most_common()],
            numbers=(1,),
        )
    ]
    if report_data.with_keys:
        rows: list[tuple[object, ...]] = [
            (el("code", orjson.dumps(failure.key).decode()), failure.code, failure.reason)
            for failure in report_data.failed_keys
        ]
        parts.append(table(("key", "error code", "reason"), rows))
        if sum(report_data.failed.values()) > len(rows):
            parts.append(el("p", f"The first {count(MOST_KEYS)} of them.", class_="muted"))
    return join(*parts)


_DESCRIPTIONS = {
    "start": lambda data: (
        f"{'resumed' if data['resumed'] else 'started'}; at most {units(data['max_wcu'])} WCU/s"
    ),
    "budget": lambda data: f"budget {units(data['wcu'])} WCU/s, {units(data['rcu'])} RCU/s: {data['why']}",
    "pause": lambda data: f"paused: {data['why']}",
    "unpause": lambda data: f"continued: {data['why']}",
    "wait": lambda data: f"waited: {data['reason']}",
    "recover": lambda data: f"the service responded again after {duration(data['after_s'])}",
    "advice-missing": lambda data: f"{data['topic']} unknown: {data['why']}; {data['instead']}",
    "advice-back": lambda data: f"{data['topic']} known again",
    "process-replaced": lambda data: f"process {data['index']} died and was replaced",
    "stop": lambda data: f"stopping: {data['reason']}",
    "canary": lambda data: (
        f"canary of {count(data['items'])} items: {'clean' if data['clean'] else 'not clean'}"
    ),
    "end": lambda data: f"{data['status']}: {count(data['touched'])} touched",
    "proof": lambda data: f"proof: {count(data['tally']['once'])} of {count(data['tally']['expected'])} once",
}


def timeline(report_data: ReportData) -> Html:
    """Events of the run with their times."""
    rows: list[tuple[object, ...]] = [
        (utc_text(note.at), _DESCRIPTIONS[note.kind](note.data))
        for note in report_data.recorded.notes
        if note.kind in _DESCRIPTIONS
    ]
    return table(("when", "what"), rows) if rows else el("p", "Nothing was recorded.", class_="muted")


def throttled(report_data: ReportData) -> Html | None:
    """Throttled attempts by reason and resource."""
    totals: dict[str, float] = {}
    for point in report_data.recorded.points:
        for cause, items in point.throttled.items():
            totals[cause] = totals.get(cause, 0) + items
    if not totals:
        return None
    rows: list[tuple[object, ...]] = []
    for cause, items in sorted(totals.items(), key=lambda pair: -pair[1]):
        reason, _, resource = cause.partition(" ")
        rows.append((throttling_reason(reason), reason, resource or "-", count(items)))
    return table(("reason", "as DynamoDB reports it", "resource", "throttled"), rows, numbers=(3,))

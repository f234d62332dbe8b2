"""The report of a replay or redrive. It contains no keys and no records."""

from collections import Counter
from datetime import datetime
from pathlib import Path

import orjson

from refire_async.delivery.catalog import DeliveryInfo
from refire_async.model.units import utc_text
from refire_async.output.delivery import MEANINGS
from refire_async.output.html.markup import Html, el, pairs, table, tiles
from refire_async.output.html.page import document, section, time_text
from refire_async.output.text import count, duration, units

_MOST_SHARDS = 500


def render_delivery(info: DeliveryInfo, now: datetime) -> str:
    """The content of the HTML file; `now` is the time of its creation."""
    saved = info.saved
    spec, counts = saved.spec, saved.counts
    title = f"{spec.command.capitalize()} {spec.run_id} to {spec.function}"
    failed = f", {count(counts.failed)} records failed" if counts.failed else ""
    mark = "fail" if counts.failed else "ok" if info.status == "complete" else "open"
    top = el(
        "header",
        el("h1", title),
        el(
            "p",
            el("span", info.status + failed, class_=f"mark {mark}"),
            f" · started {time_text(saved.created_at)} · last saved {time_text(saved.updated_at)}",
            class_="muted",
        ),
    )
    main = el(
        "main",
        _key_figures(info),
        section("Summary", _outcomes(info)),
        section("Failed records", _failed(info.failed_records_file)),
        section("May have run twice", _doubtful(info.may_have_run_twice)),
        section("Settings", _settings(info)),
        section("Shards", _shards(info)),
    )
    origin = "from the delivery's ledger. It contains no keys and no records."
    return document(title, top, main, origin, now)


def _key_figures(info: DeliveryInfo) -> Html:
    saved = info.saved
    counts, seconds = saved.counts, saved.seconds
    settled = counts.delivered + counts.failed
    found = (
        (count(counts.delivered), "records delivered", f"of {count(settled)} settled"),
        (duration(seconds), "at work", f"{units(settled / seconds)} records/s" if seconds > 0 else ""),
        (count(counts.invocations), "invocations", f"{count(counts.retries)} retries"),
        (count(counts.throttled), "throttled", ""),
        (count(counts.failed), "failed", f"{count(counts.lost)} lost"),
    )
    return tiles(found)


def _outcomes(info: DeliveryInfo) -> Html:
    counts = info.saved.counts
    rows: list[tuple[object, ...]] = [
        (name, count(getattr(counts, name)), meaning) for name, meaning in MEANINGS
    ]
    if counts.messages:
        rows.append(("messages", count(counts.messages), f"{count(counts.messages_deleted)} of them deleted"))
    return table(("outcome", "records", "meaning"), rows, numbers=(1,))


def _failed(path: Path | None) -> Html:
    """How many records were given up, by condition: read from the failed-records file, as far as it can be."""
    if path is None:
        return el("p", "No record was given up.", class_="muted")
    conditions: Counter[str] = Counter()
    try:
        with path.open("rb") as file:
            for line in file:
                record = orjson.loads(line)
                conditions[record["requestContext"]["condition"]] += record["DDBStreamBatchInfo"]["batchSize"]
    except (OSError, ValueError, KeyError, TypeError):
        return el("p", f"The list {path} cannot be read.", class_="muted")
    rows: list[tuple[object, ...]] = [(name, count(number)) for name, number in conditions.most_common()]
    return el("div", table(("condition", "records"), rows, numbers=(1,)), el("p", f"The list: {path}"))


def _doubtful(batches: tuple[str, ...]) -> Html:
    if not batches:
        return el("p", "Every invocation was answered.", class_="muted")
    return el("ul", *(el("li", batch) for batch in batches))


def _settings(info: DeliveryInfo) -> Html:
    spec = info.saved.spec
    rules = spec.rules
    return pairs(
        [
            ("source", spec.source),
            ("from", None if spec.since is None else utc_text(spec.since)),
            ("until", None if spec.until is None else utc_text(spec.until)),
            ("table", spec.table),
            ("stream", spec.stream_arn),
            ("target", spec.function),
            ("batch size", count(rules.batch_size)),
            ("window", f"{rules.window_s:g} s"),
            ("lanes per shard", rules.parallelization),
            ("retries", "without limit" if rules.retries is None else count(rules.retries)),
            (
                "maximum record age",
                None if rules.max_record_age_s is None else duration(rules.max_record_age_s),
            ),
            ("bisect", "yes" if rules.bisect else "no"),
            ("partial failures", "yes" if rules.partial_failures else "no"),
            ("filter patterns", len(rules.filters)),
            ("checkpoint", info.checkpoint),
        ]
    )


def _shards(info: DeliveryInfo) -> Html:
    shards = info.saved.shards
    rows: list[tuple[object, ...]] = [
        (name, len(shard.lanes), "yes" if shard.token in ("end", "late") else "no")
        for name, shard in sorted(shards.items())[:_MOST_SHARDS]
    ]
    found = table(("shard", "lanes", "read to its end"), rows, numbers=(1,))
    left_out = len(shards) - len(rows)
    more = el("p", f"… and {count(left_out)} more", class_="muted") if left_out else None
    return el("div", found, more)

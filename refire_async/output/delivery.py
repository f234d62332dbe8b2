"""A delivery as text for people: what it is about to do, and how it ended."""

from collections.abc import Sequence

from refire_async.model.delivery import DeliveryCommand, DeliveryOutlook, DeliveryResult
from refire_async.model.units import utc_text
from refire_async.output.text import about_duration, count, dollars, duration, shorten, units
from refire_async.planning.forecast.delivery import DeliveryForecast

_SAMPLE_CHARS = 400

_ENDINGS = {
    "complete": "complete",
    "stopped": "stopped before the end",
    "failed": "failed",
    "dry-run": "dry run, nothing was delivered",
    "running": "still running",
}

MEANINGS = (
    ("delivered", "taken by the target at least once"),
    ("failed", "given up; listed in a file, or in the on-failure destination"),
    ("filtered", "not delivered: no filter pattern of the mapping matches them"),
    ("lost", "no longer in the source"),
    ("repeated", "delivered again, after a failed batch or a lost answer"),
)


def describe_outlook(outlook: DeliveryOutlook) -> str:
    """The screen before the first invocation: how many records, of when, to what, and at what cost."""
    rows = [
        ("records", _records(outlook)),
        ("events of", _span(outlook.first_at, outlook.last_at)),
        ("target", f"{outlook.function} ({outlook.version})" if outlook.version else outlook.function),
        ("invocations", f"about {count(outlook.invocations)}, {_size(outlook.size_bytes)} in all"),
        ("batches", outlook.mapping),
        ("cost", _cost(outlook)),
    ]
    if outlook.seconds is not None:
        time = f"about {about_duration(outlook.seconds)} at the function's latest speed"
        rows.insert(-1, ("time", f"{time}, bound by {outlook.bound_by}"))
    if outlook.filtered:
        rows.insert(1, ("filtered", f"{count(outlook.filtered)} match no filter pattern and are left out"))
    if outlook.lost:
        rows.insert(1, ("lost", f"{count(outlook.lost)} are no longer in the source"))
    lines = [f"About to deliver from {outlook.source}:", ""]
    lines += [f"  {name:<12} {text}" for name, text in rows]
    lines += [f"  warning      {line}" for line in outlook.warnings]
    if outlook.stale_keys and outlook.warnings:
        lines.append(f"  stale keys   {', '.join(outlook.stale_keys)}, …")
    return "\n".join(lines)


def _cost(outlook: DeliveryOutlook) -> str:
    requests = f"{dollars(outlook.cost_usd)} for requests"
    if outlook.run_cost_usd is None:
        return f"{requests}, and the function's run time"
    return f"{requests}, about {dollars(outlook.run_cost_usd)} for the function's run time"


def describe_delivery_plan(forecast: DeliveryForecast) -> str:
    """The plan of a delivery that is only assumed: `refire plan --records`."""
    load, speed, cost = forecast.load, forecast.speed, forecast.cost
    size = _size(round(load.size_bytes / load.records))
    lines = [
        f"Plan for a delivery of {count(load.records)} records",
        "",
        f"  {'records':<12} {count(load.records)} of {size}, {_size(load.size_bytes)} in all",
        f"  {'invocations':<12} {count(load.invocations)}, {count(speed.at_once)} at a time",
    ]
    if forecast.seconds is not None:
        lines.append(f"  {'takes':<12} {duration(forecast.seconds)}, bound by {forecast.bound_by}")
        lines += [
            f"  {'':<12} --concurrency {most}: {duration(seconds)}" for most, seconds in forecast.others
        ]
        lines += [
            f"  {'':<12} --parallelization {most}: {duration(seconds)}"
            for most, seconds in forecast.parallelizations
        ]
    else:
        lines.append(f"  {'takes':<12} unknown; give --function-ms, or --max-rate")
    run_time = "run time unknown (give --function-ms and --function-memory)"
    if cost.run_time is not None:
        run_time = f"{dollars(cost.run_time)} run time"
    lines.append(
        f"  {'cost':<12} {dollars(cost.requests)} requests, {run_time}, {dollars(cost.reads)} stream reads"
    )
    return "\n".join(lines)


def _records(outlook: DeliveryOutlook) -> str:
    kinds = ", ".join(f"{count(number)} {kind}" for kind, number in outlook.by_kind if number)
    return f"{count(outlook.records)} ({kinds})" if kinds else count(outlook.records)


def _span(first: float | None, last: float | None) -> str:
    if first is None or last is None:
        return "no time: there are none"
    return f"{utc_text(first)} to {utc_text(last)}"


def _size(number: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if number >= size:
            return f"{units(number / size)} {unit}"
    return f"{number} bytes"


def describe_delivery(
    command: DeliveryCommand, result: DeliveryResult, *, resume_with: str, redrive_with: str | None
) -> str:
    """The text at the end: counts, rate, and what to do next.

    `redrive_with` is the command that delivers the failed records again, None if there are none in a file.
    """
    summary, counts = result.summary, result.summary.counts
    if result.outlook is not None:
        return _describe_dry_run(result.outlook)
    ending = _ENDINGS[summary.status]
    if counts.failed and summary.status == "complete":
        ending += f", but {count(counts.failed)} records failed"
    lines = [f"{command.capitalize()} {summary.run_id} to {summary.function}: {ending}"]
    if result.reason:
        lines.append(f"  because: {result.reason}")
    lines += ["", f"  {'selected':<11} {count(counts.selected)}"]
    for name, meaning in MEANINGS:
        number = getattr(counts, name)
        if number or name == "delivered":
            lines.append(f"  {name:<11} {count(number)}  {meaning}")
    if summary.unaccounted:
        lines.append(
            f"  {'unaccounted':<11} {count(summary.unaccounted)}  left to Lambda, whose metrics do not count them"
        )
    lines += [
        "",
        f"  took        {duration(summary.seconds)}, {units(summary.records_per_second)} records/s",
    ]
    if counts.invocations or counts.throttled or not counts.selected:
        lines.append(
            f"  invoked     {count(counts.invocations)} times ({count(counts.retries)} retries), throttled "
            + count(counts.throttled)
        )
    if counts.messages:
        lines.append(
            f"  messages    {count(counts.messages)}, of which {count(counts.messages_deleted)} deleted"
        )
    lines += _repeats(result.may_have_run_twice)
    if redrive_with is not None:
        lines += [
            "",
            f"Failed records, with reasons: {summary.failed_records_file}",
            f"To deliver them again once the causes are fixed: {redrive_with}",
        ]
    if summary.status != "complete":
        lines += ["", f"Resume with: {resume_with}"]
    return "\n".join(lines)


def _repeats(batches: Sequence[str]) -> Sequence[str]:
    if not batches:
        return []
    return [
        "",
        "These batches may have run twice, since their answers were lost:",
        *(f"  {one}" for one in batches),
    ]


def _describe_dry_run(outlook: DeliveryOutlook) -> str:
    lines = [describe_outlook(outlook).replace("About to deliver", "Dry run, nothing was delivered"), ""]
    if outlook.samples:
        lines.append("The first records:")
        lines += [f"  {shorten(body.decode(errors='replace'), _SAMPLE_CHARS)}" for body in outlook.samples]
    return "\n".join(lines).rstrip()

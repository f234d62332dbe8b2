"""Output of `refire status`: the list of runs, or the details of one; as text and as JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from refire_async.checkpoint.catalog import RunInfo
from refire_async.checkpoint.details import Details
from refire_async.model.units import iso_seconds
from refire_async.output.text import count, duration, percent, shorten, units, visible

FIELDS = ("run_id", "table", "status", "touched", "updated_at")

_HEADINGS = ("run", "table", "status", "read", "touched", "items/s", "updated (UTC)")
_RIGHT = frozenset((3, 4, 5))
_GAP = "  "
_LABEL = 13


def list_entry(run: RunInfo) -> dict[str, Any]:
    """One run of `refire status --json`."""
    return {name: getattr(run, name) for name in FIELDS} | {
        "checkpoint": run.place,
        "failed": run.failed,
        "share": None if run.share is None else round(run.share, 4),
        "items_per_second": round(run.items_per_second, 1),
    }


def list_lines(runs: Sequence[RunInfo], width: int | None) -> list[str]:
    """A line for each run under headings; two lines for each, wrapped at commas, if that exceeds `width` columns."""
    rows = [_cells(run) for run in runs]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    if width is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        return [line for row in rows for line in _stacked(row, width)]
    return [_aligned(row, widths) for row in (_HEADINGS, *rows)]


def _cells(run: RunInfo) -> tuple[str, ...]:
    return (
        visible(run.run_id),
        visible(run.table),
        describe_status(run.status, run.failed),
        "-" if run.share is None else percent(run.share),
        count(run.touched),
        units(run.items_per_second),
        _minute(run.updated_at),
    )


def describe_status(status: str, failed: int) -> str:
    """The status with the number of failed items: a complete run can have some."""
    return f"{status}, {count(failed)} failed" if failed else status


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(room) if number in _RIGHT else cell.ljust(room)
        for number, (cell, room) in enumerate(zip(cells, widths, strict=True))
    ]
    return _GAP.join(padded).rstrip()


def _stacked(cells: Sequence[str], width: int) -> list[str]:
    """The run id in full, for copying; the rest below it, with the table's name shortened if necessary."""
    run_id, table, status, read, touched, rate, updated = cells
    rest = f"{status}, read {read}, touched {touched}, {rate} items/s, {updated}"
    one = f"{_GAP}{table}: {rest}"
    if len(one) <= width:
        return [run_id, one]
    room = max(width - len(_GAP), 12)
    return [run_id, f"{_GAP}{shorten(table, room)}", *(f"{_GAP}{line}" for line in _wrapped(rest, room))]


def _wrapped(text: str, room: int) -> list[str]:
    lines = [""]
    for part in text.split(", "):
        joined = f"{lines[-1]}, {part}" if lines[-1] else part
        if len(joined) <= room:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines


def details_entry(details: Details, kept_files: Sequence[Path]) -> dict[str, Any]:
    """Fields of `refire status RUN_ID --json` in addition to `list_entry`."""
    saved, totals = details.run, details.run.totals
    spec, proof = saved.spec, details.proof
    present = details.present_rate
    return {
        **saved.counts.to_json(),
        "created_at": saved.created_at,
        "seconds": round(totals.seconds, 3),
        "items_per_second_now": None if present is None else round(present, 1),
        "expected_items": details.expected,
        "wcu": round(totals.wcu, 1),
        "rcu": round(totals.rcu, 1),
        "throttled": totals.throttled,
        "retries": totals.retries,
        "budget": details.budget,
        "reason": details.reason,
        "selection": spec.selection.describe(),
        "marker": {"kind": spec.marker.kind, "attribute": spec.marker.attribute},
        "segments": spec.total_segments,
        "segments_finished": saved.finished_segments,
        "attempts": details.attempts,
        "failures": dict(details.failures),
        "region": saved.connection.region,
        "profile": saved.connection.profile,
        "endpoint_url": saved.connection.endpoint_url,
        "proof": None if proof is None else {"at": iso_seconds(proof.at), **_proof_counts(proof.data)},
        "kept_files": [str(path) for path in kept_files],
    }


def details_lines(details: Details, kept_files: Sequence[Path]) -> list[str]:
    """Details of one run, one per line, with control characters escaped."""
    saved, counts, totals = details.run, details.run.counts, details.run.totals
    spec, where = saved.spec, saved.connection
    share = "unknown" if details.share is None else percent(details.share)
    expected = "" if details.expected is None else f" of about {count(details.expected)} items"
    rows = [
        ("run", spec.run_id),
        ("table", spec.table),
        ("status", describe_status(details.status, counts.failed)),
        ("because", details.reason),
        ("selection", spec.selection.describe()),
        ("marker", f"{spec.marker.kind}, attribute {spec.marker.attribute}"),
        ("read", f"{share}{expected}"),
        ("items", _outcomes(details)),
        ("failed", ", ".join(f"{count(number)} {code}" for code, number in details.failures.items())),
        ("rate", _rate(details)),
        ("budget", _budget(details)),
        ("consumed", f"{units(totals.wcu)} WCU, {units(totals.rcu)} RCU"),
        ("throttled", f"{count(totals.throttled)}, retries {count(totals.retries)}"),
        ("proof", _proof(details)),
        ("started", f"{_minute(saved.created_at)} UTC, attempts: {details.attempts}"),
        ("updated", f"{_minute(saved.updated_at)} UTC"),
        ("region", where.region),
        ("profile", where.profile),
        ("endpoint", where.endpoint_url),
        *(("list of keys", str(path)) for path in kept_files),
    ]
    return [visible(f"{name:<{_LABEL}}{text}").replace("\n", " ") for name, text in rows if text]


def _outcomes(details: Details) -> str:
    counts = details.run.counts
    parts = [f"{count(counts.scanned)} read", f"{count(counts.touched)} touched"]
    parts += [
        f"{count(number)} {name}"
        for name in ("already", "vanished", "expired", "failed")
        if (number := getattr(counts, name))
    ]
    return ", ".join(parts)


def _rate(details: Details) -> str:
    whole = f"{units(details.items_per_second)} items/s over {duration(details.run.totals.seconds)} of work"
    now = details.present_rate
    return whole if now is None else f"{units(now)} items/s now, {whole}"


def _budget(details: Details) -> str | None:
    budget = details.budget
    if budget is None:
        return None
    limits = [
        f"{units(number)} {name}/s"
        for name, number in (("WCU", budget["max_wcu"]), ("RCU", budget["max_rcu"]))
        if isinstance(number, int | float)
    ]
    return ", ".join(limits) + (f" ({budget['why']})" if isinstance(budget["why"], str) else "")


def _proof(details: Details) -> str:
    note = details.proof
    if note is None:
        return (
            f"none yet: refire verify {details.run.spec.run_id}"
            if details.status == "complete"
            else "none yet"
        )
    counts = _proof_counts(note.data)
    shown = [
        f"{count(number)} {name.replace('_', ' ')}"
        for name, number in counts.items()
        if number or name == "once"
    ]
    return f"at {iso_seconds(note.at)[:16].replace('T', ' ')} UTC: {', '.join(shown)}"


def _proof_counts(data: dict[str, Any]) -> dict[str, int]:
    """The counts in a proof's note."""
    counts = data.get("tally")
    known = counts if isinstance(counts, dict) else {}
    names = ("expected", "once", "missing", "doubled", "by_others", "unproven")
    return {name: number for name in names if isinstance(number := known.get(name), int)}


def _minute(text: str) -> str:
    return visible(text[:16].replace("T", " "))

"""Lines of a log file, JSON events or notes of a recording, reduced to what is harmless."""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from refire_async.diagnosis import harmless
from refire_async.preflight.findings import KINDS
from refire_async.private import NOFOLLOW

MOST_EVENTS = 400
_TAIL_BYTES = 1 << 20

_FINDINGS = frozenset(kind.id for kind in KINDS)

EVENTS = frozenset(
    (
        # JSON events and notes
        *(
            "finding",
            "start",
            "progress",
            "checkpoint",
            "throttle",
            "retry",
            "item-failed",
            "budget",
            "pause",
        ),
        *("unpause", "wait", "recover", "consumer", "canary", "stop", "proof", "records-failed", "end"),
        *("records-lost", "plan", "mapping"),
        # log events
        *("program.started", "config.read", "keys.reading", "keys.read", "run.started", "run.resumed"),
        *(
            "run.progress",
            "run.snapshot",
            "write.throttled",
            "read.throttled",
            "request.retried",
            "item.failed",
        ),
        *("rate.changed", "budget.changed", "run.paused", "run.unpaused", "run.waiting", "run.recovered"),
        *("consumer.seen", "advice.missing", "advice.back", "process.replaced", "recording.lost"),
        *("canary.flown", "run.draining", "run.stopping", "run.ended", "verify.started", "verify.progress"),
        *("verify.ended", "library.warning", "program.error", "program.bug", "page.read", "segment.finished"),
        *(
            "delivery.started",
            "delivery.resumed",
            "delivery.progress",
            "delivery.snapshot",
            "delivery.paused",
        ),
        *("delivery.unpaused", "delivery.stopping", "delivery.ended", "records.failed", "records.lost"),
        *("invocation.retried", "invocation.throttled", "mapping.state", "service.waiting"),
        "service.recovered",
        *(f"check.{name}" for name in _FINDINGS),
    )
)
"""The events of docs/logging.md and docs/scripting.md, and the notes of a recording."""

SUMMARY_NUMBERS = frozenset(
    (
        *(
            "scanned",
            "touched",
            "already",
            "conflicts",
            "vanished",
            "expired",
            "failed",
            "throttled",
            "retries",
        ),
        *("wcu", "rcu", "seconds", "items_per_second", "selected", "delivered", "filtered", "lost"),
        *("invocations", "repeated", "messages", "messages_deleted", "records_per_second", "unaccounted"),
    )
)
_NUMBERS = SUMMARY_NUMBERS | frozenset(
    (
        *(
            "items",
            "saved",
            "settled",
            "settled_before",
            "expected",
            "expected_items",
            "share",
            "remaining_s",
        ),
        *("wcu_per_second", "rcu_per_second", "max_wcu", "max_rcu", "held_to_wcu", "cost_usd", "segments"),
        *("segments_finished", "lanes", "lanes_backing_off", "latency_p50_ms", "latency_p99_ms", "records"),
        *("keys", "duplicates", "bad_lines", "since_s", "after_s", "age_s", "errors", "throttles", "clean"),
        *("resumed", "once", "missing", "doubled", "by_others", "ceiling", "exit_code", "done", "total"),
        *("segment", "finished", "failing", "behind", "unknown"),
    )
)
_CODED = frozenset(("reason", "code", "type"))
_WORDS = {
    "level": ("debug", "info", "warning", "error", "stop", "warn"),
    "state": ("starting", "running", "waiting", "paused", "draining", "ended"),
    "status": ("running", "complete", "stopped", "failed", "dry-run"),
    "kind": ("read", "write"),
    "selection": ("scan", "query", "keys", "export"),
    "billing": ("PROVISIONED", "PAY_PER_REQUEST"),
    "id": _FINDINGS,
}
_STOPS = ("interrupted", "terminated", "limit", "output", "error")


def read_tail(path: Path) -> dict[str, Any]:
    """The harmless part of the last events in a log file or in the output of `--json`.

    `events` has them in order; `lines_left_out` counts lines without a known event.
    """
    try:
        data = _tail(path)
    except OSError as error:
        return {"read": harmless.code(type(error).__name__)}
    lines = [one for one in data.split(b"\n") if one.strip()]
    events = [event for line in lines if (event := _parse(line)) is not None]
    return {"read": True, "lines_left_out": len(lines) - len(events), "events": events[-MOST_EVENTS:]}


def _tail(path: Path) -> bytes:
    """The last lines of a regular file. Raises OSError."""
    # A FIFO without a writer would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("not a file")
        begin = max(0, status.st_size - _TAIL_BYTES)
        file.seek(begin)
        data = file.read(_TAIL_BYTES)
    return data if begin == 0 else data.partition(b"\n")[2]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return reduce_event(found) if isinstance(found, dict) else None


def reduce_event(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """The harmless fields of an event, or of a summary, which has no `event`; None for anything else."""
    name = event.get("event", "summary" if "status" in event and "run_id" in event else None)
    if not isinstance(name, str) or (name not in EVENTS and name != "summary"):
        return None
    reduced: dict[str, Any] = {"event": name}
    if (at := harmless.moment(event.get("time", event.get("timestamp")))) is not None:
        reduced["time"] = at
    for field, value in event.items():
        if field in _NUMBERS and (found := harmless.number(value)) is not None:
            reduced[field] = found
        elif field in _WORDS and isinstance(value, str):
            reduced[field] = harmless.word(value, _WORDS[field])
        elif field in _CODED and isinstance(value, str):
            reduced[field] = value if value in _STOPS else harmless.code(value)
        elif field == "throttled_by" and isinstance(value, dict):
            reduced[field] = by_code(value.items())
    return reduced


def by_code(counts: Iterable[tuple[object, object]]) -> dict[str, int | float]:
    """Numbers by error code; those of unknown codes are added up."""
    found: dict[str, int | float] = {}
    for name, value in counts:
        amount = harmless.number(value)
        if amount is not None:
            known = harmless.code(name)
            found[known] = found.get(known, 0) + amount
    return found

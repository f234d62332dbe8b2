"""The last run or delivery, from its checkpoint: counts, settings that are numbers or known words, and its events."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from refire_async.checkpoint import catalog
from refire_async.checkpoint.details import read_details
from refire_async.checkpoint.read_only import holds_delivery
from refire_async.checkpoint.reading import SavedRun
from refire_async.delivery import catalog as deliveries
from refire_async.diagnosis import harmless
from refire_async.diagnosis.events import MOST_EVENTS, by_code, reduce_event
from refire_async.errors import CheckpointRefusedError, UsageError

_STATUSES = ("running", "complete", "stopped", "failed", "dry-run")
_KINDS = ("scan", "query", "keys", "export")


def newest_checkpoint() -> Path | None:
    """The checkpoint in the state folder that was updated last; None if there is none that can be read."""
    with suppress(UsageError):  # no home, and so no state folder
        return max(_found(catalog.runs_folder()), default=("", None))[1]
    return None


def _found(folder: Path) -> Iterator[tuple[str, Path]]:
    for run in catalog.list_runs(folder).runs:
        yield run.updated_at, run.checkpoint
    for delivery in deliveries.list_deliveries(folder).deliveries:
        yield delivery.saved.updated_at, delivery.checkpoint


def describe_last_run(checkpoint: Path | None) -> dict[str, Any] | None:
    """What the checkpoint has that is harmless; None without a checkpoint."""
    if checkpoint is None:
        return None
    try:
        return _describe_delivery(checkpoint) if holds_delivery(checkpoint) else _describe_run(checkpoint)
    except CheckpointRefusedError as error:
        return {"read": harmless.code(type(error).__name__)}


def _describe_run(checkpoint: Path) -> dict[str, Any]:
    details = read_details(checkpoint)
    saved = details.run
    notes = [{**note.data, "event": note.kind, "time": note.at} for note in details.recorded.notes]
    events = [event for note in notes if (event := reduce_event(note)) is not None]
    return {
        "read": True,
        "command": "run",
        "status": harmless.word(details.status, _STATUSES),
        "created_at": harmless.moment(saved.created_at),
        "updated_at": harmless.moment(saved.updated_at),
        **_numbers(asdict(saved.counts)),
        **_numbers(asdict(saved.totals)),
        "attempts": details.attempts,
        "expected_items": harmless.number(details.expected),
        "segments": saved.spec.total_segments,
        "segments_finished": saved.finished_segments,
        "open_pages": saved.open_pages,
        "selection": _selection(saved),
        "marker": harmless.word(saved.spec.marker.kind, ("revision", "stamp")),
        "failures": by_code(details.failures.items()),
        "events": events[-MOST_EVENTS:],
    }


def _selection(saved: SavedRun) -> dict[str, Any]:
    """Its kind, and which parts are used: none of their texts."""
    selection = saved.spec.selection
    return {
        "kind": harmless.word(selection.kind, _KINDS),
        "index": selection.index is not None,
        "filter": selection.filter is not None,
        "sample": harmless.number(selection.sample),
        "hash_keys": len(selection.key_values),
    }


def _describe_delivery(checkpoint: Path) -> dict[str, Any]:
    info = deliveries.describe(checkpoint)
    saved, rules = info.saved, asdict(info.saved.spec.rules)
    return {
        "read": True,
        "command": harmless.word(saved.spec.command, ("replay", "redrive")),
        "status": harmless.word(info.status, _STATUSES),
        "created_at": harmless.moment(saved.created_at),
        "updated_at": harmless.moment(saved.updated_at),
        **_numbers(asdict(saved.counts)),
        "seconds": harmless.number(saved.seconds),
        "shards": len(saved.shards),
        "may_have_run_twice": len(info.may_have_run_twice),
        "rules": {**_numbers(rules), "filters": len(rules["filters"])},
    }


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    return harmless.numbers(values, [*values])

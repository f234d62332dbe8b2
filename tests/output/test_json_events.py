"""JSON events: documented types and fields, equal to the schema, limited in number, without personal data."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from refire_async.events import (
    BatchWritten,
    BudgetChanged,
    CanaryFlown,
    CheckpointSaved,
    ConsumerSeen,
    Event,
    ItemFailed,
    LanesSeen,
    Noticed,
    PageAcknowledged,
    PageRead,
    Paused,
    Recovered,
    Resumed,
    Retried,
    RunEnded,
    SegmentFinished,
    Stopping,
    Throttled,
    Waiting,
)
from refire_async.model.canary import Canary, Consumers
from refire_async.model.counts import Counts
from refire_async.model.finding import Finding
from refire_async.model.proof import Proof, ProofCounts
from refire_async.output.json_events import JsonEvents
from refire_async.output.stats import RunStats
from tests.output.samples import started, summary

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCHEMA: dict[str, Any] = json.loads((DOCS / "events.schema.json").read_text())
THROTTLED = Throttled(0, 25, "TableWriteKeyRangeThroughputExceeded", "orders", lane_only=True)
PROOF = Proof(
    run_id="run-1", counts=ProofCounts(5, 5), records=5, shards=1, view_type="KEYS_ONLY", seconds=1.0
)

EVERY: tuple[Event, ...] = (
    Noticed(Finding("stream-disabled", "warn", "the stream is off", "turn it on")),
    started(before=Counts(scanned=4, touched=4)),
    PageRead(0, 25, 12.5, 0.01),
    BatchWritten(0, 25, 50.0, 0.004),
    PageAcknowledged(0, Counts(scanned=25, touched=24, failed=1)),
    SegmentFinished(0, 1, 8),
    LanesSeen(5, 2),
    CheckpointSaved(0, 25),
    THROTTLED,
    Throttled(0, 1, "ThrottlingException", "", lane_only=False),
    Retried(0, 3, "ConnectionReset", 1, 0.2),
    ItemFailed(0, 2, "ValidationError"),
    BudgetChanged(300.0, 100.0, "autoscaling"),
    Paused("the consumer is behind"),
    Resumed("table"),
    Waiting("no network", 5.0),
    Recovered(7.25),
    ConsumerSeen("mail", 12.5, 1, 0, 250.0),
    CanaryFlown(Canary(5, PROOF, None, Consumers())),
    Stopping("interrupted"),
    RunEnded(summary("stopped", scanned=5, touched=5)),
)


class Recorded:
    """The lines that were written, and clocks that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.text: list[str] = []
        self.events = JsonEvents(self.text.append, lambda: self.now, lambda: 1_800_000_000.0 + self.now)
        self.stats = RunStats(0.0)

    def handle(self, *events: Event) -> "Recorded":
        for event in events:
            self.events.handle(event)
            self.stats.handle(event)
        return self

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == kind]


def everything() -> Recorded:
    """Each kind of line at least once."""
    recorded = Recorded()
    recorded.events.progress(recorded.stats.sample(0.0))
    recorded.handle(*EVERY)
    recorded.now = 10.0
    recorded.events.progress(recorded.stats.sample(10.0))
    recorded.events.proof(PROOF)
    return recorded


def test_every_line_is_as_the_schema_says() -> None:
    """Each type is written once at least, with exactly the fields that docs/events.schema.json has for it."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    lines = everything().lines
    for line in lines:
        assert not list(validator.iter_errors(line)), line
        broken = line | {"unknown": 1}
        assert list(validator.iter_errors(broken)), "an unknown field is an error"
    assert {line["event"] for line in lines} == {*SCHEMA["$defs"]} - {"summary", "common"}
    assert not list(validator.iter_errors(summary().to_json()))
    assert list(validator.iter_errors({"event": "start"}))


def test_every_type_and_field_is_in_the_docs() -> None:
    """docs/scripting.md names every type and every field of the schema."""
    text = (DOCS / "scripting.md").read_text()
    for kind, definition in SCHEMA["$defs"].items():
        if kind in ("summary", "common"):
            continue
        section = text.partition(f"### `{kind}`\n")[2].partition("\n### ")[0]
        assert section, f"no section {kind}"
        for name in {*definition["properties"]} - {"event", "time", "run_id"}:
            assert f"`{name}`" in section, f"{kind}: {name}"


def test_start_and_time() -> None:
    """A line has the time and the run id, which is null before the start."""
    recorded = Recorded().handle(*EVERY[:2])
    finding, start = recorded.lines
    assert finding["run_id"] is None
    assert start["time"] == "2027-01-15T08:00:00.000Z"
    assert (start["run_id"], start["resumed"], start["settled_before"]) == ("run-1", True, 4)


def test_progress_is_the_snapshot() -> None:
    """The numbers of the panel."""
    (first, second) = everything().of("progress")
    assert first["state"] == "starting"
    assert second["items"] == 29
    assert second["saved"] == 29
    assert second["throttled_by"] == {
        "TableWriteKeyRangeThroughputExceeded": 25,
        "ThrottlingException": 1,
    }
    assert (second["lanes"], second["lanes_backing_off"]) == (5, 2)
    assert second["latency_p50_ms"] == pytest.approx(4, rel=0.1)


def test_no_flood_and_nothing_left_out() -> None:
    """A thousand refusals in 10 s are two lines with the right sum; likewise saved pages."""
    recorded = Recorded().handle(started())
    for step in range(1001):
        recorded.now = step * 0.01
        recorded.handle(THROTTLED, CheckpointSaved(0, step))
    assert sum(line["items"] for line in recorded.of("throttle")) == 25 * 1001
    assert len(recorded.of("throttle")) == 2
    assert len(recorded.of("checkpoint")) == 2
    recorded.handle(CheckpointSaved(0, 5000), CheckpointSaved(1, 50), RunEnded(summary()))
    assert recorded.of("checkpoint")[-1]["saved"] == 5050


def test_no_key_values() -> None:
    """The events have only the kind of the selection."""
    assert "ann@example.org" not in str(everything().lines)


def test_a_dry_run_saves_nothing() -> None:
    """It has no checkpoint and no `checkpoint` event."""
    recorded = Recorded().handle(
        replace(started(), checkpoint=":memory:"), CheckpointSaved(0, 25), RunEnded(summary("dry-run"))
    )
    assert [line["event"] for line in recorded.lines] == ["start"]
    assert recorded.lines[0]["checkpoint"] is None

"""Recording: events become points and notes, and a failure never ends a run."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from refire_async.checkpoint.recording import read_recording
from refire_async.events import (
    BatchWritten,
    BudgetChanged,
    ConsumerSeen,
    Event,
    ItemFailed,
    Noticed,
    PageRead,
    Paused,
    RateChanged,
    Resumed,
    Retried,
    RunEnded,
    Throttled,
    Waiting,
)
from refire_async.model.capacity import Consumed
from refire_async.model.finding import Finding
from refire_async.model.proof import Proof, ProofCounts
from refire_async.output.counters import BANDS, Counters
from refire_async.output.recorder import Recorder, record_proof
from tests.output.samples import SPEC, started, summary
from tests.support.checkpoints import new_store

ARN = "arn:aws:dynamodb:eu-west-1:1:table/orders/index/by-day"


class Harness:
    """A recorder with its own clock; `play` emits events second by second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lost: list[str] = []
        self.counters = Counters()
        self.recorder = Recorder(
            self.counters,
            {"verify": True},
            self.lost.append,
            clock=lambda: self.now,
            wall=lambda: 1e9 + self.now,
        )

    def emit(self, event: Event) -> None:
        self.counters.handle(event)
        self.recorder.handle(event)

    async def play(self, *seconds: list[Event]) -> None:
        left = list(seconds)

        async def sleep(_seconds: float) -> None:
            if not left:
                await anyio.sleep_forever()
            for event in left.pop(0):
                self.emit(event)
            self.now += 1.0
            if not left:
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.recorder.run, sleep)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The checkpoint of a new run."""
    new_store(tmp_path / "run-1.refire").close()
    return tmp_path / "run-1.refire"


def batch(segment: int = 0, items: int = 25, consumed: Consumed | None = None) -> BatchWritten:
    """The event of one batch."""
    return BatchWritten(segment, items, 2.0 * items, 0.010, consumed)


async def test_a_point_for_each_second(checkpoint: Path) -> None:
    """Items, units by resource, throttles, retries, failures, latencies and segments are those of the events."""
    harness = Harness()
    start = replace(started(), checkpoint=str(checkpoint), indexes={"by-day": 40.0})
    written = batch(7, consumed=Consumed(60.0, {"": 50.0, "by-day": 10.0}))
    throttled = Throttled(3, 5, "IndexWriteKeyRangeThroughputExceeded", ARN, lane_only=True)
    await harness.play(
        [start, PageRead(0, 100, 12.5, 0.004), batch(), written],
        [],
        [
            ConsumerSeen("f", 31.5, 0, 0),
            ConsumerSeen("g", None, 0, 0),
            throttled,
            throttled,
            Retried(3, 4, "timeout", 1, 0.1),
            ItemFailed(1, 2, "ValidationException"),
        ],
    )
    first, second, third = read_recording(checkpoint).points
    assert (first.items, first.rcu, first.wcu) == (50, 12.5, {"": 100.0, "by-day": 10.0})
    assert (sum(first.writes.values()), sum(first.reads.values())) == (2, 1)
    assert first.bands == {"0": 25, "7": 25}
    assert (second.items, second.wcu, second.seconds) == (0, {}, 1.0)
    assert third.throttled == {"IndexWriteKeyRangeThroughputExceeded orders/index/by-day": 10}
    assert (second.ages, third.ages) == ({}, {"f": 31.5})
    assert (third.retries, third.failed) == ({"timeout": 1}, {"ValidationException": 2})
    assert [point.at for point in (first, second, third)] == [1e9, 1e9 + 1, 1e9 + 2]


async def test_the_budget_and_the_allowed_rate(checkpoint: Path) -> None:
    """The budget follows its changes; the allowed rate follows throttling and pauses too."""
    harness = Harness()
    await harness.play(
        [replace(started(), checkpoint=str(checkpoint))],
        [RateChanged(200.0, 400.0, "throttled")],
        [BudgetChanged(400.0, 50.0, "you")],
        [Paused("the control socket")],
        [Resumed("you"), RateChanged(400.0, 400.0, "recovered")],
    )
    found = [(point.budget, point.allowed) for point in read_recording(checkpoint).points]
    assert found == [(800.0, 800.0), (800.0, 400.0), (400.0, 200.0), (400.0, 0.0), (400.0, 400.0)]


async def test_budgets_of_indexes_follow_their_changes(checkpoint: Path) -> None:
    """They are recorded from the start, and change with the table's."""
    harness = Harness()
    await harness.play(
        [replace(started(), checkpoint=str(checkpoint), indexes={"by-day": 300.0})],
        [BudgetChanged(400.0, 50.0, "you", {"by-day": 150.0})],
    )
    points = read_recording(checkpoint).points
    assert [point.index_budgets for point in points] == [{"by-day": 300.0}, {"by-day": 150.0}]


async def test_notes(checkpoint: Path) -> None:
    """Findings from before the start, the start with its settings, a wait once, the end. They contain no key."""
    harness = Harness()
    finding = Finding("pitr-off", "warn", "no point-in-time recovery", "turn it on")
    await harness.play(
        [Noticed(finding), replace(started(), checkpoint=str(checkpoint))],
        [Waiting("no network", 1.0), Waiting("no network", 2.0)],
        [RunEnded(summary(touched=5))],
    )
    notes = read_recording(checkpoint).notes
    assert [note.kind for note in notes] == ["finding", "start", "wait", "end"]
    assert notes[0].data["id"] == "pitr-off"
    assert notes[1].data["settings"] == {"verify": True}
    assert notes[1].data["max_wcu"] == 800.0
    assert notes[3].data["touched"] == 5
    assert "ann@example.org" not in repr(notes)


async def test_a_dry_run_is_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no checkpoint, and no file comes about."""
    monkeypatch.chdir(tmp_path)
    harness = Harness()
    await harness.play([replace(started(), checkpoint=":memory:"), batch()], [batch()], [])
    assert (os.listdir(tmp_path), harness.lost) == ([], [])  # noqa: PTH208 - nothing blocks here


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(lambda path: path.write_text("gone bad" * 100), True), (Path.unlink, False)],
    ids=["damaged", "discarded"],
)
async def test_what_cannot_be_recorded_ends_the_recording_only(
    checkpoint: Path, spoil: Callable[[Path], object], said: bool
) -> None:
    """A checkpoint that went bad is told once; one that a refused run took with it is no loss."""
    harness = Harness()
    spoil(checkpoint)
    await harness.play([replace(started(), checkpoint=str(checkpoint)), batch()], [batch()])
    harness.emit(batch())
    assert len(harness.lost) == said
    assert harness.counters.written == 75


def test_segments_share_bands() -> None:
    """However many segments there are, the map has at most `BANDS` rows, in the order of the segments."""
    counters = Counters()
    counters.handle(replace(started(), spec=replace(SPEC, total_segments=1_000)))
    for segment in (0, 499, 500, 999):
        counters.handle(batch(segment))
    assert [band for band, items in enumerate(counters.bands) if items] == [0, 31, 32, BANDS - 1]


def test_a_proof_is_kept_with_its_run(checkpoint: Path) -> None:
    """Its figures are there afterwards, and no path of this machine."""
    proof = Proof(
        run_id="run-1",
        counts=ProofCounts(5, 4, 1),
        records=9,
        shards=2,
        view_type="KEYS_ONLY",
        seconds=1.5,
        missing_keys_file="/data/ann/keys",
    )
    assert record_proof(checkpoint, proof) is None
    (note,) = read_recording(checkpoint).notes
    assert (note.kind, note.data["tally"]["missing"], note.data["view_type"]) == ("proof", 1, "KEYS_ONLY")
    assert "ann" not in repr(note)
    assert record_proof(checkpoint.parent / "none.refire", proof) is not None

"""The recording of a run is bounded and survives a crash, and no run depends on it."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.checkpoint import recording
from refire_async.checkpoint.reading import peek
from refire_async.checkpoint.recording import Recording, RecordingError, read_recording
from refire_async.model.series import Note, Point, merge, overlay
from tests.support.checkpoints import crashed_copy, new_store

groups = st.dictionaries(st.sampled_from(["", "by-day", "3"]), st.integers(1, 1_000), max_size=3)
points = st.builds(
    Point,
    at=st.floats(1e9, 2e9),
    seconds=st.integers(1, 10),
    items=st.integers(0, 1_000),
    wcu=groups,
    throttled=groups,
    bands=groups,
    ages=groups,
)


@given(st.lists(points, max_size=30), st.integers(1, 10**9))
def test_merging_loses_nothing(many: list[Point], span: int):
    """For any span, merged points have the same sums, are in chronological order, and are no more than before."""
    in_order = sorted(many, key=lambda one: one.at)
    total, before = Point(0.0, 0.0), len(many)
    for one in in_order:
        total.add(one)

    merged = merge(in_order, span)

    again = Point(0.0, 0.0)
    for one in merged:
        again.add(one)
    assert again.to_json() == total.to_json()
    assert len(merged) <= before
    assert len({one.at // span for one in merged}) == len(merged)


@given(st.lists(st.lists(points, max_size=12), max_size=4), st.integers(1, 10**9))
def test_an_overlay_loses_nothing(many: list[list[Point]], span: int):
    """The series of processes that work at the same time have the same sums together, in the time of the longest."""
    series = [sorted(points, key=lambda one: one.at) for points in many]
    before = [[one.to_json() for one in points] for points in series]
    together = overlay(series, span)
    assert [[one.to_json() for one in points] for points in series] == before
    assert sum(one.items for one in together) == sum(one.items for points in series for one in points)
    assert [one.at // span for one in together] == sorted(
        {one.at // span for points in series for one in points}
    )
    for one in together:
        own = [sum(p.seconds for p in points if p.at // span == one.at // span) for points in series]
        assert one.seconds == max(own)


@given(points)
def test_a_point_is_read_as_it_was_written(point: Point):
    """The stored form omits empty fields."""
    assert Point.from_json(point.at, point.to_json()) == point


def test_a_long_run_has_no_more_points_than_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2,000 seconds in two attempts with a night between, in at most 50 points: no item is lost."""
    monkeypatch.setattr(recording, "MAX_POINTS", 50)
    path = tmp_path / "a.refire"
    new_store(path).close()
    seconds = [*range(1_000), *range(40_000, 41_000)]
    for attempt in (seconds[:1_000], seconds[1_000:]):
        with Recording(path) as kept:
            for number in attempt:
                kept.save([Point(1e9 + number, 1.0, items=3, bands={str(number % 4): 3})], [])
    found = read_recording(path).points
    assert 25 <= len(found) <= 50
    assert sum(point.items for point in found) == 6_000
    assert sum(point.seconds for point in found) == 2_000
    assert all(sum(point.bands.values()) == point.items for point in found)
    assert [point.at for point in found] == sorted(point.at for point in found)


def test_notes_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If there are too many notes, the first are kept."""
    monkeypatch.setattr(recording, "MAX_NOTES", 3)
    path = tmp_path / "a.refire"
    new_store(path).close()
    with Recording(path) as kept:
        kept.save([], [Note(1.0, "pause", {"why": "a"}), Note(2.0, "unpause", {"why": "b"})])
        kept.save([], [Note(float(at), "pause", {}) for at in (3, 4, 5)])
    assert [note.at for note in read_recording(path).notes] == [1.0, 2.0, 3.0]


def test_a_crash_leaves_what_was_saved(tmp_path: Path) -> None:
    """A copy of the files, as `kill -9` leaves them, has every save; a run uses the same checkpoint."""
    store = new_store(tmp_path / "a.refire")
    kept = Recording(store.path)
    kept.save([Point(1e9, 1.0, items=7)], [Note(1e9, "start", {"resumed": False})])
    with store.transaction():
        store.save_status("running")
    kept.save([Point(1e9 + 1, 1.0, items=8)], [])
    copy = crashed_copy(store, tmp_path / "copy.refire")
    kept.close()
    store.close()
    found = read_recording(copy)
    assert [point.items for point in found.points] == [7, 8]
    assert [note.kind for note in found.notes] == ["start"]


def test_a_recording_that_cannot_be_written_raises_recording_error(tmp_path: Path) -> None:
    """The checkpoint is missing or not a database: RecordingError, and no file is created."""
    with pytest.raises(RecordingError):
        Recording(tmp_path / "a.refire")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "b.refire").write_text("not a database at all, but long enough to be looked at" * 20)
    with pytest.raises(RecordingError):
        Recording(tmp_path / "b.refire")


def test_a_point_that_cannot_be_saved_changes_nothing(tmp_path: Path) -> None:
    """A save is atomic, and the checkpoint stays unchanged."""
    path = tmp_path / "a.refire"
    new_store(path).close()
    with Recording(path) as kept:
        kept.save([Point(1e9, 1.0, items=7)], [])
        with pytest.raises(RecordingError):
            kept.save([Point(1e9 + 5, 1.0, items=1)], [Note(1.0, "odd", {"a set is no JSON": {1}})])
    assert [point.items for point in read_recording(path).points] == [7]
    assert peek(path).spec.run_id == "run-1"
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()

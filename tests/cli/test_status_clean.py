"""`refire status --clean` removes only finished runs, and only after confirmation."""

import os
import pty
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.checkpoint import catalog, cleanup
from refire_async.checkpoint.lock import locked
from refire_async.checkpoint.store import Store
from refire_async.model.run import RunStatus
from refire_async.settings import Connection
from refire_async.sources.key_list import list_path
from tests.cli.conftest import Ended
from tests.output.samples import SPEC

Refire = Callable[..., Ended]


def save(run_id: str, status: RunStatus) -> Path:
    """A checkpoint in the state folder with this status."""
    path = catalog.path_of(run_id)
    marker = replace(SPEC.marker, run_id=run_id)
    store = Store.create(path, replace(SPEC, run_id=run_id, marker=marker), Connection())
    with store.transaction():
        for segment in range(SPEC.total_segments if status == "complete" else 0):
            store.move_cursor(segment, None)
        store.save_status(status)
    store.close()
    path.with_name(path.name + ".lock").touch()
    list_path(path).touch()
    return path


@pytest.fixture
def runs(state: Path) -> Path:
    """One run of each kind: finished, finished with failed keys, stopped, killed. Returns their folder."""
    save("done", "complete")
    failed = save("some-failed", "complete")
    failed.with_name(failed.name + ".failed.jsonl").write_text("{}\n")
    save("stopped", "stopped")
    save("killed", "running")
    return failed.parent


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_only_finished_runs_are_removed(refire: Refire, runs: Path) -> None:
    """Checkpoint, list and lock of a finished run are removed; resumable runs and those with failed keys are not."""
    before = names(runs)
    ended = refire("status", "--clean", "--yes", "--json")
    assert (ended.code, ended.err) == (0, "")
    result = orjson.loads(ended.out)
    assert result["removed"] == ["done"]
    kept = {entry["run_id"]: entry["reason"] for entry in result["kept"]}
    assert kept.keys() == {"some-failed", "stopped", "killed"}
    assert kept["stopped"] == kept["killed"] == "it can be resumed"
    assert "some-failed.refire.failed.jsonl" in kept["some-failed"]
    assert before - names(runs) == {"done.refire", "done.refire.lock", "done.refire.keys"}
    assert names(runs) <= before
    assert refire("resume", "done").code == 2


def test_a_run_without_its_failed_keys_is_removed(refire: Refire, runs: Path) -> None:
    """The user removes the list of failed keys when it is no longer needed."""
    (runs / "some-failed.refire.failed.jsonl").unlink()
    ended = refire("status", "some-failed", "--clean", "--yes")
    assert ended.out == "Removed some-failed (orders)\n"
    assert "some-failed.refire" not in names(runs)
    assert "done.refire" in names(runs)


def test_without_a_terminal_it_needs_yes(refire: Refire, runs: Path) -> None:
    """A script without --yes removes nothing."""
    before = names(runs)
    ended = refire("status", "--clean")
    assert (ended.code, ended.out) == (2, "")
    assert "1 finished run would be removed" in ended.err
    assert "--yes" in ended.err
    assert names(runs) == before


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, typed: str) -> Iterator[None]:
    """Standard input and error are a terminal with the user's answer."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r", closefd=False) as stdin, os.fdopen(theirs, "w") as stderr:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stderr", stderr)
        os.write(ours, typed.encode())
        yield
    os.close(ours)


@pytest.mark.parametrize(("answer", "gone"), [("y\n", True), ("n\n", False), ("\n", False), ("\x04", False)])
def test_on_a_terminal_it_asks(
    refire: Refire, runs: Path, monkeypatch: pytest.MonkeyPatch, answer: str, *, gone: bool
) -> None:
    """No is the default."""
    with terminal(monkeypatch, answer):
        assert refire("status", "--clean").code == 0
    assert ("done.refire" not in names(runs)) == gone


def test_nothing_to_remove_asks_nothing(refire: Refire, state: Path) -> None:
    assert refire("status", "--clean").out == "No runs, so nothing to remove.\n"
    save("stopped", "stopped")
    assert refire("status", "--clean").out == "Kept stopped (orders): it can be resumed\n"


def test_a_run_in_progress_stays(state: Path) -> None:
    """Even if it was finished when it was listed: the lock decides."""
    path = save("done", "complete")
    run = catalog.describe(path)
    with locked(path):
        kept = cleanup.remove(run)
    assert kept is not None
    assert "in use" in kept.reason
    assert path.exists()


def test_a_run_that_has_changed_stays(state: Path) -> None:
    """The decision is made again under the lock."""
    path = save("done", "complete")
    run = catalog.describe(path)
    path.with_name(path.name + ".failed.jsonl").touch()
    kept = cleanup.remove(run)
    assert kept is not None
    assert "failed.jsonl" in kept.reason
    assert path.exists()


@given(
    st.builds(
        catalog.RunInfo,
        run_id=st.just("r"),
        table=st.just("t"),
        status=st.sampled_from(["running", "stopped", "complete", "failed"]),
        touched=st.integers(0, 9),
        updated_at=st.just("2026"),
        checkpoint=st.just(Path("x")),
        kept_files=st.sampled_from([(), (Path("x.failed.jsonl"),)]),
    )
)
def test_which_runs_are_removable(run: catalog.RunInfo) -> None:
    """Complete runs without failed keys, and no others."""
    assert (cleanup.why_kept(run) is None) == (run.status == "complete" and not run.kept_files)

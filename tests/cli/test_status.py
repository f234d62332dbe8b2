"""`refire status` lists what there is."""

import re
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from refire_async.checkpoint import catalog
from refire_async.checkpoint.store import Store
from refire_async.cli.status import _text
from refire_async.settings import Connection
from tests.cli.conftest import Ended
from tests.report.samples import SPEC


@pytest.fixture
def checkpoint(state: Path) -> Path:
    """The checkpoint of a run that has begun and whose process is gone."""
    path = catalog.path_of("run-1")
    Store.create(path, SPEC, Connection()).close()
    return path


def test_none(refire: Callable[..., Ended]) -> None:
    """No runs is no error, and says what to do."""
    ended = refire("status")
    assert (ended.code, ended.err) == (0, "")
    assert "refire run --table NAME" in ended.out
    assert refire("status", "--json").out == '{"runs":[]}\n'


@pytest.mark.parametrize("which", ["all", "id", "file"])
def test_one(refire: Callable[..., Ended], checkpoint: Path, which: str) -> None:
    """All runs, one by its id, one by its file: the same line, in the documented form."""
    arguments = {"all": (), "id": ("run-1",), "file": ("--checkpoint", str(checkpoint))}[which]
    ended = refire("status", *arguments, "--json")
    assert ended.code == 0, ended.err
    (run,) = orjson.loads(ended.out)["runs"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*(Z|\+00:00)", run.pop("updated_at"))
    assert run == {
        "run_id": "run-1",
        "table": "orders",
        "status": "stopped",
        "touched": 0,
        "checkpoint": str(checkpoint),
    }


def test_for_people(refire: Callable[..., Ended], checkpoint: Path) -> None:
    """A table, and what to do with a run that was stopped."""
    out = refire("status").out
    assert re.search(
        r"run +table +status +read +touched +items/s +updated \(UTC\)\nrun-1 +orders +stopped +0.0% +0 +0 ",
        out,
    )
    assert str(checkpoint) in out
    assert "Go on with: refire resume run-1\n" in out


def test_how_to_go_on_elsewhere(refire: Callable[..., Ended], checkpoint: Path, tmp_path: Path) -> None:
    """A checkpoint that is not in the state folder is named; of many runs only the form is told."""
    moved = checkpoint.rename(tmp_path / "moved.refire")
    out = refire("status", "--checkpoint", str(moved)).out
    assert f"Go on with: refire resume run-1 --checkpoint {moved}\n" in out
    runs = [catalog.RunInfo(f"r{n}", "t", "stopped", 5, "2026", Path("/x")) for n in range(6)]
    assert "refire resume RUN_ID" in _text(runs)
    assert "refire resume r1" not in _text(runs)


def test_what_cannot_be_read_is_told(refire: Callable[..., Ended], checkpoint: Path) -> None:
    """A damaged checkpoint does not hide the others, and is not hidden itself."""
    damaged = checkpoint.with_name("damaged.refire")
    damaged.write_bytes(checkpoint.read_bytes()[:5_000])
    ended = refire("status", "--json")
    assert ended.code == 0
    assert [run["run_id"] for run in orjson.loads(ended.out)["runs"]] == ["run-1"]
    assert len(ended.err.splitlines()) == 1
    assert f"checkpoint {damaged} is damaged" in ended.err


def test_wide_names_are_not_folded_in_a_pipe() -> None:
    """What a script cuts by columns stays on one line."""
    run = catalog.RunInfo("r" * 64, "t" * 255, "complete", 5, "2026-01-31T12:00:00Z", Path("/x"))
    assert any(run.run_id in line and run.table in line for line in _text([run]).splitlines())


def test_run_and_checkpoint_of_another(refire: Callable[..., Ended], checkpoint: Path) -> None:
    """Both given must be the same run."""
    ended = refire("resume", "other", "--checkpoint", str(checkpoint))
    assert ended.code == 2
    assert "is that of run run-1, not of other" in ended.err

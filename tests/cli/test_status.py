"""`refire status` lists runs."""

import re
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from refire_async.checkpoint import catalog
from refire_async.checkpoint.lock import locked
from refire_async.checkpoint.recording import Recording
from refire_async.checkpoint.store import Store
from refire_async.cli.status import _text
from refire_async.model.counts import Counts, Totals
from refire_async.model.proof import Proof, ProofCounts
from refire_async.model.run import RunStatus
from refire_async.model.series import Note, Point
from refire_async.output.recorder import record_proof
from refire_async.output.runs import list_lines
from refire_async.settings import Connection
from tests.cli.conftest import Ended, FakeEngine
from tests.output.samples import SPEC

Refire = Callable[..., Ended]


@pytest.fixture
def checkpoint(state: Path) -> Path:
    """The checkpoint of a run that began and whose process is gone."""
    path = catalog.path_of("run-1")
    Store.create(path, SPEC, Connection()).close()
    return path


def test_none(refire: Callable[..., Ended]) -> None:
    """No runs is no error, and the text says what to do."""
    ended = refire("status")
    assert (ended.code, ended.err) == (0, "")
    assert "refire run --table NAME" in ended.out
    assert refire("status", "--json").out == '{"runs":[],"deliveries":[]}\n'


@pytest.mark.parametrize("which", ["all", "id", "file"])
def test_one(refire: Callable[..., Ended], checkpoint: Path, which: str) -> None:
    """All runs, one by its id, one by its file: the same line, in the documented form."""
    arguments = {"all": (), "id": ("run-1",), "file": ("--checkpoint", str(checkpoint))}[which]
    ended = refire("status", *arguments, "--json")
    assert ended.code == 0, ended.err
    (run,) = orjson.loads(ended.out)["runs"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*(Z|\+00:00)", run.pop("updated_at"))
    assert {name: run[name] for name in ("run_id", "table", "status", "touched", "checkpoint")} == {
        "run_id": "run-1",
        "table": "orders",
        "status": "stopped",
        "touched": 0,
        "checkpoint": str(checkpoint),
    }
    assert (run["failed"], run["share"], run["items_per_second"]) == (0, 0.0, 0.0)
    assert ("selection" in run) == (which != "all")


def test_for_people(refire: Callable[..., Ended], checkpoint: Path) -> None:
    """A table, and the command that resumes a stopped run."""
    out = refire("status").out
    assert re.search(
        r"run +table +status +read +touched +items/s +updated \(UTC\)\nrun-1 +orders +stopped +0.0% +0 +0 ",
        out,
    )
    assert str(checkpoint) in out
    assert "Resume with: refire resume run-1\n" in out


def test_resume_commands(refire: Callable[..., Ended], checkpoint: Path, tmp_path: Path) -> None:
    """A checkpoint outside the state folder is named; for many runs only the pattern is shown."""
    moved = checkpoint.rename(tmp_path / "moved.refire")
    out = refire("status", "--checkpoint", str(moved)).out
    assert f"Resume with: refire resume run-1 --checkpoint {moved}\n" in out
    runs = [catalog.RunInfo(f"r{n}", "t", "stopped", 5, "2026", Path("/x")) for n in range(6)]
    assert "refire resume RUN_ID" in _text(runs)
    assert "refire resume r1" not in _text(runs)


def test_an_unreadable_checkpoint_is_reported(refire: Callable[..., Ended], checkpoint: Path) -> None:
    """It does not hide the others and is not hidden itself."""
    damaged = checkpoint.with_name("damaged.refire")
    damaged.write_bytes(checkpoint.read_bytes()[:5_000])
    ended = refire("status", "--json")
    assert ended.code == 0
    assert [run["run_id"] for run in orjson.loads(ended.out)["runs"]] == ["run-1"]
    assert len(ended.err.splitlines()) == 1
    assert f"checkpoint {damaged} is damaged" in ended.err


def save(run_id: str, status: RunStatus = "stopped", *, table: str = "orders", failed: int = 0) -> Path:
    """A run that has read 100 of about 400 items."""
    path = catalog.path_of(run_id)
    spec = replace(SPEC, run_id=run_id, table=table, marker=replace(SPEC.marker, run_id=run_id))
    with (
        closing(Store.create(path, spec, Connection(region="eu-west-1", profile="work"))) as store,
        store.transaction(),
    ):
        store.save_process(0, Counts(scanned=100, touched=100 - failed, failed=failed), Totals(seconds=5.0))
        store._db.executemany(
            "INSERT INTO failed (key, code, reason) VALUES ('{}', ?, 'x')", [("Odd\x1b[2J",)] * failed
        )
        store.save_status(status)
        store._db.execute(
            "UPDATE run SET updated_at = ?", (f"2026-01-01T00:00:{len(list_names()):02}+00:00",)
        )
    with Recording(path) as recording:
        start = {"expected": 400, "max_wcu": 80.0, "max_rcu": 9.0, "budget": "80% of 100"}
        notes = [Note(1.0, "start", start), Note(2.0, "stop", {"reason": "the \x1b[2J limit"})]
        recording.save([Point(1.0, 5.0, items=100)], notes)
    return path


def list_names() -> list[Path]:
    return [*catalog.default_folder().glob("*.refire")]


def ids(ended: Ended) -> list[str]:
    return [run["run_id"] for run in orjson.loads(ended.out)["runs"]]


def test_filters(refire: Refire) -> None:
    """Runs of one table, unfinished runs, the newest ones."""
    for run_id, status, table in (
        *(("a-1", "complete", "orders"), ("a-2", "stopped", "orders")),
        *(("b-1", "stopped", "customers"), ("b-2", "complete", "customers")),
    ):
        save(run_id, status, table=table)
    assert ids(refire("status", "--json")) == ["b-2", "b-1", "a-2", "a-1"]
    assert ids(refire("status", "--json", "--table", "orders")) == ["a-2", "a-1"]
    assert ids(refire("status", "--json", "--table", "arn:aws:dynamodb:eu-west-1:1:table/orders")) == [
        "a-2",
        "a-1",
    ]
    assert ids(refire("status", "--json", "--unfinished")) == ["b-1", "a-2"]
    assert ids(refire("status", "--json", "--limit", "3", "--unfinished")) == ["b-1", "a-2"]
    assert ids(refire("status", "--json", "--limit", "1")) == ["b-2"]
    assert ids(refire("status", "--json", "latest")) == ["b-2"]
    assert ids(refire("status", "--json", "a-1")) == ["a-1"]
    assert "Only runs of table orders are shown." in refire("status", "--table", "orders").out
    assert refire("status", "--table", "other").out == "No matching runs.\n"
    assert refire("status", "a-1", "--limit", "3").code == 2


def test_ids_by_prefix(refire: Refire, fake_engine: FakeEngine) -> None:
    """In every command that takes one; resume without an id resumes the only run that it can."""
    save("a-1", "complete")
    save("a-2", "complete")
    stopped = save("b-1")
    assert ids(refire("status", "--json", "b")) == ["b-1"]
    ended = refire("status", "a")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "refire: 2 run ids begin with a: a-1, a-2; give more characters of the id\n"
    assert "there is no run c" in refire("resume", "c").err
    assert "there is no run [ab]-1" not in refire("resume", "ab").err
    assert refire("resume", "--yes").code == 0
    assert refire("resume", "b", "--yes").code == 0
    assert refire("resume", "latest", "--yes").code == 0
    assert [settings.checkpoint for settings in fake_engine.seen] == [stopped] * 3
    save("b-2")
    ended = refire("resume", "--yes")
    assert ended.code == 2
    assert "2 runs can be resumed: b-2, b-1; give the RUN_ID of one" in ended.err


def test_details(refire: Refire) -> None:
    """What remains, the rate, why it stopped, what failed; control characters are escaped."""
    save("a-1", failed=3)
    ended = refire("status", "a-1")
    assert "\x1b" not in ended.out
    for line in (
        "status       stopped, 3 failed",
        r"because      the \x1b[2J limit",
        "read         25.0% of about 400 items",
        "items        100 read, 97 touched, 3 failed",
        r"failed       3 Odd\x1b[2J",
        "rate         20 items/s over 5.0 s of work",
        "budget       80 WCU/s, 9 RCU/s (80% of 100)",
        "proof        none yet",
        "profile      work",
        "Resume with: refire resume a-1",
    ):
        assert line in ended.out.splitlines()
    (run,) = orjson.loads(refire("status", "a-1", "--json").out)["runs"]
    assert run["share"] == 0.25
    assert run["failures"] == {"Odd\x1b[2J": 3}
    assert run["budget"] == {"max_wcu": 80.0, "max_rcu": 9.0, "why": "80% of 100"}
    assert (run["profile"], run["proof"], run["attempts"]) == ("work", None, 1)


def test_a_complete_run_with_failed_items_is_not_just_complete(refire: Refire) -> None:
    save("a-1", "complete", failed=2)
    assert re.search(r"a-1 +orders +complete, 2 failed +100% +98 ", refire("status").out)
    (run,) = orjson.loads(refire("status", "--json").out)["runs"]
    assert (run["status"], run["failed"]) == ("complete", 2)


def test_a_proof_is_shown(refire: Refire) -> None:
    path = save("a-1", "complete")
    assert "proof        none yet: refire verify a-1" in refire("status", "a-1").out
    proof = Proof(
        run_id="a-1",
        counts=ProofCounts(expected=100, once=98, missing=2),
        records=100,
        shards=1,
        view_type="NEW_IMAGE",
        seconds=1.0,
    )
    assert record_proof(path, proof) is None
    assert "UTC: 100 expected, 98 once, 2 missing" in refire("status", "a-1").out


def test_a_watch_ends_with_the_run(refire: Refire) -> None:
    """No run is in progress: it is shown once."""
    save("a-1")
    assert len(refire("status", "--watch", "--json").out.splitlines()) == 1
    assert ids(refire("status", "a-1", "--watch", "--json")) == ["a-1"]


def test_a_watch_repeats_for_a_run_in_progress(refire: Refire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until its process is gone."""
    path, looks = save("a-1", "running"), []
    with ExitStack() as stack:
        stack.enter_context(locked(path))

        def sleep(seconds: float) -> None:
            looks.append(seconds)
            if len(looks) == 3:
                stack.close()

        monkeypatch.setattr(time, "sleep", sleep)
        ended = refire("status", "a-1", "--watch", "--json")
    lines = [orjson.loads(line)["runs"][0]["status"] for line in ended.out.splitlines()]
    assert lines == ["running"] * 3 + ["stopped"]


def test_forget(refire: Refire) -> None:
    """A run is removed with its files, after confirmation."""
    path = save("a-1", failed=1)
    other = save("b-1")
    for end in (".keys", ".failed.jsonl", ".missing.jsonl", ".lock"):
        path.with_name(path.name + end).touch()
    ended = refire("forget", "a-1")
    assert (ended.code, ended.out) == (2, "")
    assert "give --yes to remove without asking" in ended.err
    with locked(path):
        ended = refire("forget", "a-1", "--yes")
        assert ended.code == 11
        assert "in use" in ended.err
    assert path.exists()
    ended = refire("forget", "a", "--yes", "--json")
    assert ended.code == 0
    result = orjson.loads(ended.out)
    assert result["run_id"] == "a-1"
    assert {Path(name).name for name in result["removed"]} == {
        "a-1.refire",
        "a-1.refire.keys",
        "a-1.refire.failed.jsonl",
        "a-1.refire.missing.jsonl",
    }
    assert [one.name for one in path.parent.iterdir()] == [other.name]
    assert refire("forget").code == 2


def test_forget_of_a_running_run(refire: Refire) -> None:
    path = save("a-1", "running")
    with locked(path):
        ended = refire("forget", "a-1", "--yes")
    assert ended.code == 11
    assert ended.err == "refire: run a-1 is running; stop it first, or wait until it ends\n"
    assert path.exists()


@pytest.mark.parametrize("width", [20, 40, 80, 120, 400])
def test_no_word_is_broken(width: int) -> None:
    """If the table is too wide, each run has its own lines: ids in full, everything else within the width."""
    runs = [
        catalog.RunInfo(
            "r" * 64, "t" * 255, "complete", 1_234_567, "2026-01-31T12:00:00Z", Path("/x"), 1.0, 12.5
        ),
        catalog.RunInfo("a-1", "orders", "stopped", 5, "2026-01-31T12:00:00Z", Path("/x"), None, failed=3),
    ]
    lines = list_lines(runs, width)
    assert all(len(line) <= max(width, 24) or line == "r" * 64 for line in lines)
    text = "\n".join(lines)
    for word in ("r" * 64, "a-1", "orders", "1,234,567", "3 failed", "2026-01-31 12:00"):
        assert word in text


def test_wide_names_are_not_wrapped_in_a_pipe() -> None:
    """Lines that a script splits by columns stay lines."""
    run = catalog.RunInfo("r" * 64, "t" * 255, "complete", 5, "2026-01-31T12:00:00Z", Path("/x"))
    assert any(run.run_id in line and run.table in line for line in _text([run]).splitlines())


def test_run_and_checkpoint_of_another(refire: Callable[..., Ended], checkpoint: Path) -> None:
    """Both must be the same run."""
    ended = refire("resume", "other", "--checkpoint", str(checkpoint))
    assert ended.code == 2
    assert "belongs to run run-1, not to other" in ended.err


@pytest.mark.parametrize(
    ("stream", "region", "table", "shown"),
    [
        (None, None, "arn:aws:dynamodb:eu-west-1:123456789012:table/orders", True),
        (None, "eu-west-1", "arn:aws:dynamodb:eu-west-1:123456789012:table/orders", True),
        (None, "eu-west-2", "arn:aws:dynamodb:eu-west-1:123456789012:table/orders", False),
        (None, "eu-west-2", "orders", True),
        ("eu-west-1:123456789012", None, "arn:aws:dynamodb:eu-west-1:123456789012:table/orders", True),
        ("eu-west-1:123456789012", "x", "arn:aws:dynamodb:eu-west-1:999999999999:table/orders", False),
        ("eu-west-2:123456789012", None, "arn:aws:dynamodb:eu-west-1:123456789012:table/orders", False),
        ("eu-west-2:123456789012", None, "orders", True),
        (None, None, "arn:aws:dynamodb:eu-west-1:123456789012:table/other", False),
    ],
)
def test_runs_of_an_arn(  # noqa: PLR0917 - one column each
    refire: Refire, state: Path, stream: str | None, region: str | None, table: str, shown: bool
) -> None:
    """Region and account count where the checkpoint has them: from its stream, or else from its connection."""
    with closing(Store.create(catalog.path_of("run-1"), SPEC, Connection(region=region))) as store:
        if stream is not None:
            store._db.execute(
                "INSERT INTO stream VALUES (?, ?)",
                (f"arn:aws:dynamodb:{stream}:table/orders/stream/2026", "NEW_IMAGE"),
            )
    found = orjson.loads(refire("status", "--table", table, "--json").out)["runs"]
    assert [run["run_id"] for run in found] == (["run-1"] if shown else [])

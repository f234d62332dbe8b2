"""The log file, and a snapshot on request, during a run."""

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from refire_async.errors import ExitCode, RefusedError
from refire_async.events import BatchWritten, Emit, RunEnded
from refire_async.model.run import Result
from refire_async.model.stop import StopRequest
from tests.cli.conftest import Ended, FakeEngine
from tests.output.samples import started, summary

RUN = ("run", "--table", "orders")
Refire = Callable[..., Ended]


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_text().splitlines()]


def test_log_file(refire: Refire, fake_engine: FakeEngine, tmp_path: Path) -> None:
    """JSON lines, mode 0600, at its own level; a second run appends."""

    async def course(emit: Emit, _stop: object) -> Result:
        emit(started())
        await anyio.lowlevel.checkpoint()
        emit(RunEnded(summary()))
        return Result(summary(), ExitCode.COMPLETE)

    fake_engine.course = course
    path = tmp_path / "run.log"
    for _ in range(2):
        assert refire(*RUN, "--log-level", "error", "--log-file", str(path)).err == ""
    assert [line["event"] for line in lines(path)] == ["program.started", "run.started", "run.ended"] * 2
    assert lines(path)[1]["run_id"] == "run-1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "arguments", [(*RUN, "--key-value", "ann@example.org"), ("verify", "--checkpoint", "x")]
)
def test_log_file_that_cannot_be_written(
    refire: Refire, fake_engine: FakeEngine, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """One line before anything starts."""
    (tmp_path / "x").touch()
    arguments = tuple(str(tmp_path / "x") if word == "x" else word for word in arguments)
    ended = refire(*arguments, "--log-file", "/proc/run.log")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[-1] == (
        "refire: --log-file /proc/run.log cannot be written: No such file or directory; choose another file"
    )
    assert fake_engine.seen == []


def test_a_log_file_that_is_a_link(refire: Refire, fake_engine: FakeEngine, tmp_path: Path) -> None:
    """Another user may have created it, to make this user write to another file."""
    victim, link = tmp_path / "victim", tmp_path / "run.log"
    for there in (False, True):
        if there:
            victim.write_text("mine")
        link.unlink(missing_ok=True)
        link.symlink_to(victim)
        ended = refire(*RUN, "--log-file", str(link))
        assert (ended.code, ended.out) == (2, "")
        assert (
            ended.err == f"refire: --log-file {link} is a link, which is not followed; name the file itself\n"
        )
        assert victim.exists() == there
    assert victim.read_text() == "mine"
    assert fake_engine.seen == []


def test_errors_are_in_the_log_file(refire: Refire, fake_engine: FakeEngine, tmp_path: Path) -> None:
    """An error as its line, a bug with its traceback and without data."""
    path = tmp_path / "run.log"
    password = "hunter2"

    async def refused(_emit: Emit, _stop: object) -> Result:
        await anyio.lowlevel.checkpoint()
        raise RefusedError("no such table", "check --table")

    async def bug(_emit: Emit, _stop: object) -> Result:
        await anyio.lowlevel.checkpoint()
        raise KeyError(password)

    for course, code in ((refused, 10), (bug, 1)):
        fake_engine.course = course
        assert refire(*RUN, "--log-file", str(path)).code == code
    _, error, _, crash = lines(path)
    assert (error["event"], error["text"]) == ("program.error", "no such table; check --table")
    assert error["exit_code"] == 10
    assert (crash["event"], crash["type"], crash["level"]) == ("program.bug", "KeyError", "error")
    assert "test_watching.py" in crash["traceback"]
    assert password not in path.read_text()


def test_snapshot_on_request(refire: Refire, fake_engine: FakeEngine) -> None:
    """SIGUSR1 is one line with the whole state, at once, with and without progress; the run continues."""

    async def course(emit: Emit, _stop: StopRequest) -> Result:
        emit(started())
        emit(BatchWritten(0, 25, 50.0, 0.004))
        os.kill(os.getpid(), signal.SIGUSR1)
        # The handler runs in the event loop; its line is there when all other tasks wait.
        await anyio.wait_all_tasks_blocked()
        return Result(summary(), ExitCode.COMPLETE)

    fake_engine.course = course
    for more in ((), ("--no-progress",)):
        ended = refire(*RUN, *more)
        assert ended.code == 0
        (snapshot,) = [
            line for line in map(orjson.loads, ended.err.splitlines()) if line["event"] == "run.snapshot"
        ]
        assert (snapshot["items"], snapshot["state"], snapshot["run_id"]) == (25, "running", "run-1")
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL

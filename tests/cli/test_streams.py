"""Standard streams that are full or closed: the run is saved, and the exit code is the run's."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import orjson
import pytest

from refire_async.cli import streams
from refire_async.errors import ExitCode
from refire_async.events import Emit, RunEnded, Stopping
from refire_async.model.run import Result
from refire_async.model.stop import StopRequest
from tests.cli.conftest import Ended, FakeEngine
from tests.output.samples import started, summary

CODE = """
import sys
import anyio
from refire_async import cli
from refire_async.engine import run as engine
from refire_async.errors import ExitCode
from refire_async.events import Paused, RunEnded
from refire_async.model.run import Result
from tests.output.samples import started, summary

COMPLETE = sys.argv.pop(1) == "complete"

async def run(settings, *, emit, stop, **_):
    emit(started())
    asked = anyio.Event()
    stop.subscribe(asked.set)
    while not COMPLETE and not asked.is_set():
        emit(Paused("a test"))
        await anyio.sleep(0.001)
    if COMPLETE:
        return Result(summary(), ExitCode.COMPLETE)
    return Result(summary("stopped"), stop.error.exit_code, str(stop.error))

engine.run = run
cli.main()
"""


def run_with(
    tmp_path: Path, *arguments: str, complete: bool, shell: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run the program with an engine that works until it is stopped, or completes at once; `shell` redirects."""
    return subprocess.run(
        [
            "/bin/bash",
            "-c",
            f'"$@" {shell}',
            "bash",
            sys.executable,
            "-c",
            CODE,
            "complete" if complete else "works",
            "run",
            "--table",
            "orders",
            *arguments,
        ],
        env={"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "shell", "said"),
    [
        (("--json",), "> /dev/full", b"standard output cannot be written: No space left on device"),
        (
            ("--json",),
            "| head -n 1; exit ${PIPESTATUS[0]}",
            b"standard output cannot be written: its reader is gone",
        ),
        ((), "2> /dev/full", b"standard error cannot be written: No space left on device"),
        ((), "2> >(head -n 1)", b"standard error cannot be written: Broken pipe"),
        (("--json", "--no-progress"), "> /dev/full 2> /dev/full", b""),
    ],
)
def test_lost_during_the_run(tmp_path: Path, arguments: tuple[str, ...], shell: str, said: bytes) -> None:
    """The run stops in good order, with exit code 3."""
    ended = run_with(tmp_path, *arguments, complete=False, shell=shell)
    assert ended.returncode == ExitCode.STOPPED, ended
    assert said in ended.stdout + ended.stderr
    assert b"Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("arguments", [(), ("--json",)])
@pytest.mark.parametrize("shell", ["> /dev/full", "2> /dev/full", ">&- 2>&-", "> /dev/full 2> /dev/full"])
def test_lost_at_the_end(tmp_path: Path, arguments: tuple[str, ...], shell: str) -> None:
    """A complete run has the exit code of one."""
    ended = run_with(tmp_path, *arguments, complete=True, shell=shell)
    assert ended.returncode == 0, ended
    assert b"bug" not in ended.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("status",), ("status", "--json")])
def test_full_standard_output(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A result that cannot be written is no success."""
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "refire_async", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env={"PATH": os.defpath, "HOME": str(tmp_path)},
            check=False,
        )
    assert ended.returncode == 10
    (line,) = ended.stderr.decode().splitlines()
    assert "No space left on device" in line


def test_hang_up_saves_and_stops(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """SIGHUP has the effect of SIGTERM; a second one, which a closed terminal often sends, does not cancel."""

    async def course(emit: Emit, stop: StopRequest) -> Result:
        asked = anyio.Event()
        stop.subscribe(asked.set)
        emit(started())
        os.kill(os.getpid(), signal.SIGHUP)
        await asked.wait()
        assert stop.reason == "terminated"
        os.kill(os.getpid(), signal.SIGHUP)
        await anyio.wait_all_tasks_blocked()
        emit(Stopping("terminated"))
        emit(RunEnded(summary("stopped")))
        return Result(summary("stopped"), ExitCode.STOPPED, "terminated")

    fake_engine.course = course
    before = signal.getsignal(signal.SIGHUP)
    ended = refire("run", "--table", "orders")
    assert ended.code == ExitCode.STOPPED
    assert "Resume with: refire resume run-1" in ended.out
    assert signal.getsignal(signal.SIGHUP) == before


def test_hang_up_that_is_ignored(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """Under `nohup` a run continues."""

    async def course(emit: Emit, stop: StopRequest) -> Result:
        emit(started())
        os.kill(os.getpid(), signal.SIGHUP)
        await anyio.wait_all_tasks_blocked()
        assert stop.reason is None
        return Result(summary(), ExitCode.COMPLETE)

    fake_engine.course = course
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert refire("run", "--table", "orders").code == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_results_have_no_control_characters(capfd: pytest.CaptureFixture[str]) -> None:
    """Text shows escapes as characters; JSON has its own escapes for them."""
    hostile = "\x1b]0;title\x07 \x9b2J \u202e"
    streams.print_result(hostile)
    assert capfd.readouterr().out == "\\x1b]0;title\\x07 \\x9b2J \\u202e\n"
    streams.print_json(orjson.dumps({"reason": hostile}).decode())
    line = capfd.readouterr().out
    assert line.rstrip("\n").isprintable()
    assert orjson.loads(line) == {"reason": hostile}

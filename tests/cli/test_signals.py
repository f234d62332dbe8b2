"""Ctrl-C and SIGTERM: the first stops, the second cancels, and both leave a run that can be resumed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import orjson
import pytest

from refire_async.cli import session
from refire_async.errors import ExitCode
from refire_async.events import Emit, RunEnded, Stopping
from refire_async.model.run import Result
from refire_async.model.stop import StopRequest
from tests.cli.conftest import Ended, FakeEngine
from tests.output.samples import started, summary

RUN = ("run", "--table", "orders", "--max-wcu", "50")
CODES = {"interrupted": ExitCode.INTERRUPTED, "terminated": ExitCode.STOPPED}


async def until_asked(stop: StopRequest) -> str:
    """Wait until a stop is requested, as the engine's tasks do; returns the reason."""
    asked = anyio.Event()
    stop.subscribe(asked.set)
    await asked.wait()
    assert stop.reason is not None
    return stop.reason


@pytest.mark.parametrize(
    ("number", "reason", "code"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 3)]
)
def test_first_signal_stops(
    refire: Callable[..., Ended], fake_engine: FakeEngine, number: signal.Signals, reason: str, code: int
) -> None:
    """The engine gets a stop request with the reason; the result has its exit code and the resume command."""

    async def course(emit: Emit, stop: StopRequest) -> Result:
        emit(started())
        os.kill(os.getpid(), number)
        assert await until_asked(stop) == reason
        emit(Stopping(reason))
        emit(RunEnded(summary("stopped", scanned=3, touched=3)))
        return Result(summary("stopped", scanned=3, touched=3), CODES[reason], reason)

    fake_engine.course = course
    ended = refire(*RUN)
    assert ended.code == code
    assert "a second signal stops immediately" in ended.err
    assert ended.out.endswith("Resume with: refire resume run-1 --max-wcu 50\n")


@pytest.mark.parametrize(("second", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 3)])
def test_second_signal_cancels(
    refire: Callable[..., Ended], fake_engine: FakeEngine, second: signal.Signals, code: int
) -> None:
    """An engine that does not end is cancelled; there is no result, but the resume command."""
    cancelled = False

    async def course(emit: Emit, stop: StopRequest) -> Result:
        nonlocal cancelled
        emit(started())
        os.kill(os.getpid(), signal.SIGINT)
        await until_asked(stop)
        os.kill(os.getpid(), second)
        try:
            await anyio.sleep_forever()
        finally:
            cancelled = True

    fake_engine.course = course
    ended = refire(*RUN, "--json")
    assert ended.code == code
    assert cancelled
    assert [orjson.loads(line)["event"] for line in ended.out.splitlines()] == ["start"], "no summary"
    assert (
        ended.err.splitlines()[-1]
        == "refire: stopped immediately; resume with: refire resume run-1 --max-wcu 50"
    )


def test_cancelled_before_the_start(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """Before the first write is allowed there is nothing to resume."""

    async def course(_emit: Emit, stop: StopRequest) -> Result:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            await until_asked(stop)
        await anyio.sleep_forever()

    fake_engine.course = course
    ended = refire(*RUN)
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == "refire: stopped immediately, before anything was written"


def test_result_despite_a_second_signal(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """An engine that completes its work keeps its result."""

    async def course(emit: Emit, stop: StopRequest) -> Result:
        emit(started())
        os.kill(os.getpid(), signal.SIGINT)
        await until_asked(stop)
        with anyio.CancelScope(shield=True):
            os.kill(os.getpid(), signal.SIGINT)
            await anyio.wait_all_tasks_blocked()
        return Result(summary("stopped"), ExitCode.INTERRUPTED, "interrupted")

    fake_engine.course = course
    ended = refire(*RUN)
    assert ended.code == 130
    assert "Resume with" in ended.out


def test_handlers_are_restored(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """After a run signals have their earlier effect."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert refire(*RUN).code == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


LATE = """
import atexit, builtins, os, signal, sys
from refire_async import cli
from refire_async.engine import run as engine
from refire_async.errors import ExitCode
from refire_async.model.run import Result
from tests.output.samples import summary

def hit(kill=os.kill, pid=os.getpid(), number=int(sys.argv.pop(1))):
    kill(pid, number)

class Last:
    def __del__(self, hit=hit):
        hit()

class Loud:
    def write(self, text):
        hit()
        return sys.__stdout__.write(text)
    def flush(self):
        sys.__stdout__.flush()
    def isatty(self):
        return False

async def run(settings, *, emit, stop, **_):
    return Result(summary(), ExitCode.COMPLETE)

engine.run = run
sys.stdout = Loud()
atexit.register(hit)
builtins.last = Last()
cli.main()
"""
"""The program, to which a signal comes while it prints its result, when the interpreter begins to shut down, and when
that has taken off all handlers of Python."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_after_the_end_are_ignored(tmp_path: Path, number: signal.Signals) -> None:
    """A complete run has its exit code, for signals at any later time."""
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", LATE, str(int(number)), *RUN, "--json"],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert orjson.loads(done.stdout)["status"] == "complete"


def test_a_program_that_hangs_can_be_ended(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """A program without a result that hangs at its end is ended by a further signal."""
    found = []

    async def course(_emit: Emit, stop: StopRequest) -> Result:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            await until_asked(stop)
        await anyio.sleep_forever()

    fake_engine.course = course
    with pytest.MonkeyPatch.context() as patch:
        run_loop = session.run_loop

        def looking(main: Callable[..., object]) -> object:
            try:
                return run_loop(main)
            finally:
                found.append(signal.getsignal(signal.SIGTERM))

        patch.setattr(session, "run_loop", looking)
        assert refire(*RUN).code == 3
    assert found == [signal.SIG_DFL]

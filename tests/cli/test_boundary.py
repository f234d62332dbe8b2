"""Every error ends as one line and an exit code; a bug leaves a file that only its user can read."""

import asyncio
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from botocore.exceptions import ClientError

from refire_async.cli import exit_codes
from refire_async.cli.bug import write_report
from refire_async.errors import (
    CheckpointRefusedError,
    ExitCode,
    RefireError,
    RefusedError,
    StoppedError,
    UsageError,
)
from refire_async.model.run import Result
from tests.cli.conftest import Ended, FakeEngine
from tests.output.samples import summary

RUN = ("run", "--table", "orders")


def failing(fake_engine: FakeEngine, error: BaseException) -> None:
    """Make the engine raise this."""

    async def course(_emit, _stop):
        await anyio.lowlevel.checkpoint()
        raise error

    fake_engine.course = course


@pytest.mark.parametrize(
    ("kind", "code"), [(UsageError, 2), (RefusedError, 10), (CheckpointRefusedError, 11), (StoppedError, 3)]
)
def test_error_of_the_engine(
    refire: Callable[..., Ended], fake_engine: FakeEngine, kind: type[RefireError], code: int
) -> None:
    """An error of the engine passes all task groups as its line and exit code; with --json too."""
    failing(fake_engine, kind("it\nis\x1b[31m wrong", "mend it"))
    for arguments in (RUN, (*RUN, "--json")):
        ended = refire(*arguments)
        assert (ended.code, ended.out) == (code, "")
        assert ended.err == "refire: it is [31m wrong; mend it\n"


@pytest.mark.parametrize("code", [ExitCode.REFUSED, ExitCode.USAGE])
def test_refusal_after_the_start(
    refire: Callable[..., Ended], fake_engine: FakeEngine, code: ExitCode
) -> None:
    """A missing permission or a bad line of a keys file may show itself late.

    As long as nothing was written there is no result; after that there is one.
    """
    touched = 0

    async def course(_emit, _stop):
        await anyio.lowlevel.checkpoint()
        return Result(summary("failed", scanned=touched, touched=touched), code, "no permission; grant it")

    fake_engine.course = course
    ended = refire(*RUN, "--json")
    assert (ended.code, ended.out, ended.err) == (code, "", "refire: no permission; grant it\n")
    touched = 5
    ended = refire(*RUN, "--json")
    assert ended.code == code
    assert '"touched":5' in ended.out
    assert ended.err == "refire: no permission; grant it; resume with: refire resume run-1\n"


def test_long_error_is_cut(capfd: pytest.CaptureFixture[str]) -> None:
    """An error with a long quotation is still a line that fits a screen."""
    exit_codes.say_error("x" * 100_000)
    assert len(capfd.readouterr().err) < 1100


def test_several_errors_at_once() -> None:
    """Of several errors a bug is reported, at any depth, so that it is not hidden."""
    group = ExceptionGroup("", [RefusedError("a"), ExceptionGroup("", [StoppedError("b"), KeyError("c")])])
    assert isinstance(exit_codes.single(group), KeyError)
    assert str(exit_codes.single(ExceptionGroup("", [RefusedError("a"), StoppedError("b")]))) == "a"


def test_bug(refire: Callable[..., Ended], fake_engine: FakeEngine, state: Path) -> None:
    """Exit code 1; the line names a file with the traceback, without values of variables, mode 0600."""
    password = "hunter2"

    async def course(_emit, _stop):
        secret = password
        await anyio.lowlevel.checkpoint()
        raise ZeroDivisionError(len(secret))

    fake_engine.course = course
    ended = refire(*RUN, "--key-value", "ann@example.org")
    assert (ended.code, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1
    match = re.fullmatch(r"refire: this is a bug: ZeroDivisionError; please report it with (.+)\n", ended.err)
    assert match is not None
    path = Path(match[1])
    assert path.is_relative_to(state)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert "ZeroDivisionError: 7" in text
    assert "test_boundary.py" in text
    assert password not in text
    assert "ann@example.org" not in text


def test_what_a_bug_file_leaves_out(state: Path) -> None:
    """Messages of errors that quote data or foreign text, at any depth. Places and types remain."""

    def raise_all() -> None:
        try:
            try:
                raise ClientError({"Error": {"Code": "X", "Message": "PLANTED token"}}, "Scan")  # noqa: TRY301 - an inner one is what is tested
            except ClientError as error:
                raise KeyError("ann@PLANTED.example") from error
        except KeyError:
            errors = [ValueError("PLANTED"), TypeError("told"), UsageError("told too")]
            raise ExceptionGroup("PLANTED", errors)  # noqa: B904 - the link is what is tested

    with pytest.raises(ExceptionGroup) as caught:
        raise_all()
    text = write_report(caught.value).read_text()
    # Lines of the program's source, which are indented, hold no data but that of this test.
    assert not [line for line in text.splitlines() if "PLANTED" in line and not line.startswith("    ")]
    for name in (
        "ClientError",
        "KeyError",
        "ExceptionGroup",
        "ValueError",
        "TypeError: told",
        "UsageError: told too",
    ):
        assert name in text
    assert text.index("ClientError:") < text.index("KeyError:") < text.index("ExceptionGroup:")
    assert "in raise_all" in text


def test_bug_without_a_state_folder(
    refire: Callable[..., Ended], fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the state folder cannot be created, the file is elsewhere."""
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    failing(fake_engine, ZeroDivisionError())
    ended = refire(*RUN)
    assert ended.code == 1
    path = Path(ended.err.strip().rpartition(" ")[2])
    assert "ZeroDivisionError" in path.read_text()
    path.unlink()
    path.parent.rmdir()


def test_interrupt_before_the_engine(capfd: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C while the program starts."""

    def work() -> int:
        raise KeyboardInterrupt

    assert exit_codes.guarded(work) == 130
    assert capfd.readouterr().err == "refire: interrupted before anything was written\n"


def test_cancelled_loop_is_a_bug(capfd: pytest.CaptureFixture[str], state: Path) -> None:
    """Nothing but ordinary exceptions is caught."""

    def work() -> int:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        exit_codes.guarded(work)
    assert capfd.readouterr().err == ""
    assert not state.exists()


@pytest.mark.parametrize("arguments", [("--help",), ("status",), ("status", "--json")])
def test_closed_reader_of_results(state: Path, arguments: tuple[str, ...]) -> None:
    """`refire … | head` ends without an error about pipes, with the exit code of the work."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as stdout:
        child = subprocess.run(
            [sys.executable, "-m", "refire_async", *arguments],
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={"PATH": os.defpath, "XDG_STATE_HOME": str(state), "HOME": str(state)},
            check=False,
        )
    assert (child.returncode, child.stderr) == (0, b"")


def test_closed_standard_output(state: Path) -> None:
    """`refire status >&-` is no bug."""
    child = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m refire_async status >&-', sys.executable],
        stderr=subprocess.PIPE,
        env={"PATH": os.defpath, "XDG_STATE_HOME": str(state), "HOME": str(state)},
        check=False,
    )
    assert (child.returncode, child.stderr) == (0, b"")

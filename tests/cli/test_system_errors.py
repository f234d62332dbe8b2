"""Errors of the operating system are one line that says what to do, and never a bug; real bugs remain bugs."""

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from refire_async.cli.system_errors import from_system
from refire_async.errors import ExitCode, UsageError
from refire_async.events import Emit
from refire_async.folders import state_folder, temporary_folder
from tests.cli.conftest import Ended, FakeEngine
from tests.output.samples import started

RUN = ("run", "--table", "orders")
ERRNOS = sorted({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOLCK})
PROGRAM = [sys.executable, "-m", "refire_async"]


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("-n 10", "ulimit -n 64"),
        ("-n 18", "ulimit -n 64"),
        ("-n 63", "ulimit -n 64"),
        ("-S -n 20", "cannot connect"),
    ],
)
def test_few_file_descriptors(tmp_path: Path, limit: str, said: str) -> None:
    """A hard limit that is too low is one line; a soft one is raised."""
    arguments = [*PROGRAM, "check", "--table", "orders", "--endpoint-url", "http://127.0.0.1:1"]
    ended = subprocess.run(
        ["/bin/bash", "-c", f'ulimit {limit}; exec "$@"', "bash", *arguments],
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOME": str(tmp_path),
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "y",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == ExitCode.REFUSED, ended.stderr
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.get)
def test_refused_by_the_system(refire: Callable[..., Ended], fake_engine: FakeEngine, number: int) -> None:
    """Before a run: exit code 10 and the path. During a run: 3 and how to resume."""
    begun = False

    async def course(emit: Emit, _stop: object) -> None:
        if begun:
            emit(started())
        await anyio.lowlevel.checkpoint()
        raise ExceptionGroup("", [OSError(number, os.strerror(number), "/some/file")])

    fake_engine.course = course
    ended = refire(*RUN)
    assert (ended.code, ended.out) == (10, "")
    (line,) = ended.err.splitlines()
    assert line.startswith(f"refire: /some/file cannot be used: {os.strerror(number)}; ")
    begun = True
    ended = refire(*RUN)
    assert ended.code == ExitCode.STOPPED
    assert ended.err.splitlines()[-1].endswith("; resume with: refire resume run-1")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "out of memory"),
        (RuntimeError("can't start new thread"), "cannot start more threads"),
        (sqlite3.OperationalError("disk I/O error"), "disk I/O error"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"), "TMPDIR"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
    ],
)
def test_words(error: BaseException, said: str) -> None:
    """Limits of the machine come with what raises them."""
    assert said in str(from_system(error))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EBADF, "x"),
        RuntimeError("x"),
        sqlite3.ProgrammingError("x"),
        ValueError("x"),
        KeyError("x"),
    ],
)
def test_bugs_stay_bugs(error: BaseException) -> None:
    """An invalid call is a bug of the program."""
    assert from_system(error) is None


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (
            (b"run", b"--table", b"orders", b"--keys-file", b"kunden-m\xfcller.csv"),
            {},
            "kunden-m\\udcfcller.csv",
        ),
        ((b"run", b"--table", b"orders", b"--where", b"name = '\xff'"), {}, "not UTF-8"),
        ((b"stat\xff",), {}, "not UTF-8"),
        ((b"status",), {b"REFIRE_RUN_ID": b"\xff"}, "variable REFIRE_RUN_ID is not UTF-8"),
        ((b"check", b"--table", b"orders"), {b"AWS_PROFILE": b"\xff"}, "variable AWS_PROFILE is not UTF-8"),
        ((b"status",), {b"XDG_STATE_HOME": b"/tmp/\xff"}, "the state folder"),
    ],
)
def test_what_is_not_utf8(
    tmp_path: Path, arguments: tuple[bytes, ...], environment: dict[bytes, bytes], said: str
) -> None:
    """Arguments, variables and paths that are not UTF-8: one line that names them, exit code 2."""
    ended = subprocess.run(
        [*PROGRAM, *arguments],
        env={
            b"PATH": os.fsencode(os.defpath),
            b"HOME": os.fsencode(tmp_path),
            b"LANG": b"C.UTF-8",
            **environment,
        },
        capture_output=True,
        check=False,
    )
    (line,) = ended.stderr.decode().splitlines()
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert said in line


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("status",), ("config", "--json")])
def test_legacy_locale(tmp_path: Path, encoding: str, arguments: tuple[str, ...]) -> None:
    """Characters that the encoding of standard output lacks are escaped, and JSON stays JSON."""
    ended = subprocess.run(
        [*PROGRAM, *arguments],
        env={
            "PATH": os.defpath,
            "HOME": str(tmp_path),
            "PYTHONIOENCODING": encoding,
            "REFIRE_TABLE": "orders",
        },
        capture_output=True,
        check=False,
    )
    assert ended.returncode in (0, 2)
    assert b"bug" not in ended.stderr
    (ended.stdout + ended.stderr).decode(encoding)


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user id without a name and no HOME: the line says what to set."""
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    with pytest.raises(UsageError, match="set HOME or XDG_STATE_HOME, or name a file with --checkpoint"):
        state_folder()


def test_no_home_and_no_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Then there is no control socket, and the run continues without one."""
    from refire_async.pacing.control.address import addresses

    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in []")

    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    assert len(addresses(tmp_path / "a.refire")) == 1, "in the folder for temporary files"
    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    assert temporary_folder() is None
    assert addresses(tmp_path / "a.refire") == []


def test_bug_without_any_place(
    refire: Callable[..., Ended], fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug is one line even if no report file can be written."""

    async def course(_emit: Emit, _stop: object) -> None:
        await anyio.lowlevel.checkpoint()
        raise ZeroDivisionError

    def nowhere(prefix: str) -> str:
        raise OSError(errno.EROFS, prefix)

    fake_engine.course = course
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    monkeypatch.setattr("tempfile.mkdtemp", nowhere)
    ended = refire(*RUN)
    assert ended.code == 1
    assert ended.err == (
        "refire: this is a bug: ZeroDivisionError; please report it (no report file could be written)\n"
    )


def test_windows(tmp_path: Path) -> None:
    """One clear line if the modules of POSIX are missing, and no traceback at import."""
    code = """
import sys
for name in ("fcntl", "pwd", "termios", "resource"):
    sys.modules[name] = None
import signal
del signal.SIGHUP, signal.SIGUSR1, signal.SIGTSTP
sys.platform = "win32"
from refire_async.__main__ import main
main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (10, b"")
    assert ended.stderr == b"refire: Windows is not supported; use Linux or macOS, or WSL 2 on Windows\n"

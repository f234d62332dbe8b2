"""The demo as a process: its output, and what it leaves."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.support.processes import spawn, stop

PROGRAM = [sys.executable, "-m", "refire_async", "demo"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An empty home and folder for temporary files, and AWS settings that lead to no account."""
    for name in ("home", "temporary"):
        (tmp_path / name).mkdir()
    return {
        "PATH": os.defpath,
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "temporary"),
        "AWS_PROFILE": "missing",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }


def left_behind(environment: dict[str, str]) -> list[Path]:
    """Files and folders that the demo has left."""
    return [path for name in ("HOME", "TMPDIR") for path in Path(environment[name]).rglob("*")]


def test_json(environment: dict[str, str]) -> None:
    """One line with the counts and the summary, with any AWS settings of the user; nothing is left."""
    child = subprocess.run(
        [*PROGRAM, "--items", "1500", "--json"], env=environment, capture_output=True, check=False
    )
    assert (child.returncode, child.stderr) == (0, b"")
    result = orjson.loads(child.stdout)
    summary = result.pop("summary")
    assert result.pop("seconds") > 0
    assert result == {
        "proven": True,
        "items": 1500,
        "events": 1500,
        "once": 1500,
        "missing": 0,
        "doubled": 0,
        "otherwise_changed": 0,
        "strangers": 0,
    }
    assert (summary["status"], summary["touched"], summary["scanned"]) == ("complete", 1500, 1500)
    assert left_behind(environment) == []


def test_too_few_items_to_stop_half_way(environment: dict[str, str]) -> None:
    """The demo also completes if the first batch is the whole table."""
    child = subprocess.run([*PROGRAM, "--items", "2"], env=environment, capture_output=True, check=False)
    assert (child.returncode, child.stderr) == (0, b"")
    assert b"2 orders with exactly one event" in child.stdout
    assert b"Proven" in child.stdout
    assert all(len(line) < 80 for line in child.stdout.splitlines())


def test_on_a_terminal(environment: dict[str, str]) -> None:
    """With a terminal as standard error the panel is drawn there and erased at the end; results are separate."""
    master, slave = os.openpty()
    child = spawn(
        [*PROGRAM, "--items", "4000"],
        env={**environment, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=slave,
    )
    os.close(slave)
    drawn = b""
    try:
        # The other side of a closed terminal reads an error.
        with contextlib.suppress(OSError):
            while chunk := os.read(master, 1 << 16):
                drawn += chunk
        assert child.stdout is not None
        out = child.stdout.read()
        assert child.wait() == 0
    finally:
        stop(child)
        os.close(master)
    text = drawn.decode()
    assert "RCU/s" in text
    assert text.rstrip().endswith(("\x1b[2K", "\x1b[?25h")), "the panel is erased, the cursor is back"
    assert b"\x1b" not in out
    assert b"Proven" in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 3)])
def test_stopped(environment: dict[str, str], number: signal.Signals, code: int) -> None:
    """Ctrl-C ends the demo and its sandbox at once, and removes all files."""
    # The sandbox writes to the demo's standard error: the end of file means that the sandbox has ended too.
    child = spawn(
        [*PROGRAM, "--items", "20000"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stderr is not None
        assert b"sandbox" in child.stdout.readline()
        child.send_signal(number)
        said = child.stderr.read()
        assert child.wait() == code
    finally:
        stop(child)
    assert said == b"refire: the demo was stopped; nothing is left on this machine\n"
    assert left_behind(environment) == []


def test_replay(environment: dict[str, str]) -> None:
    """A consumer with a bug has the wrong total, and the right one after the redrive; nothing is left."""
    child = subprocess.run(
        [*PROGRAM, "--replay", "--items", "400", "--json"], env=environment, capture_output=True, check=False
    )
    assert (child.returncode, child.stderr) == (0, b"")
    result = orjson.loads(child.stdout)
    assert result["agree"] is True
    assert result["after_the_bug"] < result["turnover"] == result["after_the_redrive"]
    assert result["replay"]["failed"] == result["redrive"]["delivered"] > 0
    assert left_behind(environment) == []

"""The program on a terminal: Ctrl-Z and fg, a panel below other lines, colours only where possible."""

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

VERIFY = """
import sys
from pathlib import Path
import anyio
from rich.console import Console
from refire_async.cli import verify_run
from refire_async.cli.options_to_settings import OutputSettings
from refire_async.verification.verifier import Progress

class Monitor:
    progress = Progress("reading the stream", 5, 10)

async def show():
    with anyio.move_on_after(60):
        await verify_run._show_live(Monitor(), Console(stderr=True))

try:
    anyio.run(show)
except KeyboardInterrupt:
    pass
"""

CODE = """
import sys
import anyio
from refire_async import cli
from refire_async.engine import run as engine
from refire_async.errors import ExitCode
from refire_async.events import BatchWritten, Paused, Noticed
from refire_async.model.finding import Finding
from refire_async.model.run import Result
from tests.output.samples import started, summary

async def run(settings, *, emit, stop, **_):
    emit(started())
    emit(Noticed(Finding("no-listener", "warn", "index \\x1b]0;evil\\x07 \\x1b[2J", "look")))
    asked = anyio.Event()
    stop.subscribe(asked.set)
    number = 0
    while not asked.is_set():
        number += 1
        emit(Paused(f"note {number}"))
        with anyio.move_on_after(0.3):
            await asked.wait()
    return Result(summary("stopped"), ExitCode.INTERRUPTED, "interrupted")

engine.run = run
cli.main()
"""


class Terminal:
    """The master side of a pseudo-terminal, and all that was written to it."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.written = ""

    def type(self, keys: str) -> None:
        os.write(self._number, keys.encode())

    def read_until(self, pattern: str) -> str:
        """Read until the new output matches, and return it."""
        begin = len(self.written)
        while not re.search(pattern, self.written[begin:], re.DOTALL):
            ready, _, _ = select.select([self._number], [], [], 60)
            assert ready, f"no {pattern!r} in {self.written[begin:]!r}"
            self.written += os.read(self._number, 65536).decode(errors="replace")
        return self.written[begin:]


@contextmanager
def terminal(
    home: Path, script: str, *arguments: str, code: str = CODE, env: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """A shell with job control in its own terminal, running `script`, whose `"$@"` is the program."""
    program = [sys.executable, "-c", code, "run", "--table", "orders", *arguments]
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "COLUMNS": "100",
        "LINES": "30",
        **(env or {}),
    }
    number, slave = pty.openpty()
    # A session leader that opens a terminal makes it its controlling terminal.
    opening = 'tty=$1; script=$2; shift 2; exec <"$tty" >"$tty" 2>&1; exec bash -m -c "$script" bash "$@"'
    shell = subprocess.Popen(
        ["/bin/bash", "-c", opening, "bash", os.ttyname(slave), script, *program],
        env=environment,
        start_new_session=True,
    )
    try:
        yield Terminal(number)
    finally:
        shell.kill()
        shell.wait()
        os.close(slave)
        os.close(number)


def test_ctrl_z_leaves_a_tidy_terminal(tmp_path: Path) -> None:
    """The panel is erased and the cursor shown when the shell continues; `fg` draws the panel again."""
    with terminal(tmp_path, '"$@"; echo "SHELL"; fg; echo "END $?"') as screen:
        screen.read_until(r"refire · orders.*note 1")
        screen.type("\x1a")
        seen = screen.read_until("SHELL")
        assert "\x1b[?25h" in seen, "the cursor is shown"
        assert seen.rindex("\x1b[?25h") > seen.rfind("\x1b[?25l"), "and not hidden again"
        screen.read_until("refire · orders")
        screen.type("\x03")
        assert "Resume with" in screen.read_until(r"END \d+")
        assert "END 130" in screen.written


def test_the_bar_of_verify_is_erased_at_ctrl_z(tmp_path: Path) -> None:
    """The cursor is shown when the shell continues; `fg` draws the bar again."""
    with terminal(tmp_path, '"$@"; echo "SHELL"; fg; echo "END $?"', code=VERIFY) as screen:
        screen.read_until("reading the stream")
        screen.type("\x1a")
        seen = screen.read_until("SHELL")
        assert seen.rindex("\x1b[?25h") > seen.rfind("\x1b[?25l")
        screen.read_until("reading the stream")
        screen.type("\x03")
        screen.read_until(r"END \d+")


def test_nothing_is_drawn_in_the_background(tmp_path: Path) -> None:
    """`bg` leaves the terminal to the shell; log lines still appear, the panel again in the foreground."""
    with terminal(tmp_path, '"$@"; bg; read line; echo "READ"; fg; echo "END $?"') as screen:
        screen.read_until("refire · orders")
        screen.type("\x1a")
        seen = screen.read_until(r"note \d+.*note \d+.*note \d+")
        assert "refire · orders" not in seen[seen.index("Stopped") :]
        screen.type("go on\n")
        screen.read_until("READ")
        screen.read_until("refire · orders")
        screen.type("\x03")
        screen.read_until("END 130")


def test_json_lines_stand_above_the_panel(tmp_path: Path) -> None:
    """On one terminal each event is a whole line above the panel."""
    with terminal(tmp_path, '"$@"; echo "END $?"', "--json") as screen:
        screen.read_until("note 3")
        screen.type("\x03")
        screen.read_until("END 130")
    found = [
        orjson.loads(line)
        for line in re.findall(r"\{\"event\".*?\}(?=\r\n)", screen.written)
        if "progress" not in line
    ]
    assert {"start", "pause"} <= {event["event"] for event in found}
    for part in screen.written.split("\x1b[?2026h")[1:]:
        frame, _, rest = part.partition("\x1b[?2026l")
        assert "{" not in frame
        # Output after a frame first erases the frame (cursor up, erase).
        if '{"event":"pause"' in rest:
            assert re.match(r"\r?(\x1b\[2K\x1b\[1A|\x1b\[\d*A|\x1b\[2K|\r)+", rest), rest[:80]


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}], ids=["dumb", "no-color"])
def test_no_colours(tmp_path: Path, env: Mapping[str, str]) -> None:
    """A dumb terminal gets no escapes, NO_COLOR no colours."""
    with terminal(tmp_path, '"$@"; echo "END $?"', env=env) as screen:
        screen.read_until("note 1")
        screen.type("\x03")
        screen.read_until("END 130")
    colours = re.findall(r"\x1b\[[0-9;]*?(?:3[0-7]|9[0-7]|38)[0-9;]*m", screen.written)
    assert colours == []
    if "TERM" in env:
        assert "\x1b" not in screen.written


def test_foreign_text_has_no_control_characters(tmp_path: Path) -> None:
    """Escapes in a name are shown as text, in the log lines of a terminal too."""
    with terminal(tmp_path, '"$@"; echo "END $?"') as screen:
        screen.read_until("note 1")
        screen.type("\x03")
        screen.read_until("END 130")
    assert "\x1b]0;evil" not in screen.written
    assert "\x1b[2J" not in screen.written
    assert "\\x1b]0;evil" in screen.written

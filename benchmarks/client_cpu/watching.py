"""What it costs the engine to be looked at: progress on a terminal, events for programs, log file and recording."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.framework.backends import Null, Window, own_environment
from benchmarks.framework.null_backend import NullTable
from benchmarks.framework.process import Child, cores
from benchmarks.framework.refire import PROGRAM
from benchmarks.framework.scenario import BenchmarkError

_TIMEOUT_S = 600.0
_ROWS, _COLUMNS = 24, 80

MODULES = (
    "refire_async.events:",
    "refire_async.output.",
    "refire_async.cli.watching:",
    "refire_async.checkpoint.recording:",
)
"""Where those who look on live. Making an event, and telling it, is their cost as well."""


def is_watching(stack: Sequence[str]) -> bool:
    """Whether a sampled stack is at work for those who look on. Pure."""
    return any(frame.startswith(MODULES) for frame in stack)


def run_watched(
    folder: Path,
    backend: Null,
    target: NullTable,
    options: Iterable[str],
    *,
    program: tuple[str, ...] = PROGRAM,
    counts: Sequence[int] = (),
) -> None:
    """`refire run` with every subscriber (panel, JSON, log file, recording). Raises BenchmarkError if it fails.

    `counts` are for `backend.watch`; `program` is the module that is run, and words before those of `refire`.
    """
    command = [sys.executable, "-m", *program, "run", "--table", target.name, "--yes", "--json"]
    command += ["--endpoint-url", backend.url, *options, "--log-file", str(folder / "watched.log")]
    command += ["--checkpoint", str(folder / f"watched-{target.name}.refire")]
    Path(command[-1]).unlink(missing_ok=True)
    environment = own_environment(folder) | {"TERM": "xterm-256color"}
    with (
        (folder / "watched.out").open("wb") as output,
        _terminal(folder / "watched.screen") as screen,
        Child(command, core=cores().client, env=environment, stdout=output, stderr=screen) as child,
    ):
        backend.watch(child.pid, counts)
        usage = child.wait(_TIMEOUT_S)
    if usage.code != 0:
        raise BenchmarkError(f"the watched run ended with {usage.code}")


def measure(
    folder: Path, backend: Null, target: NullTable, options: Iterable[str], counts: Sequence[int]
) -> Window:
    """A watched run between two counts. Raises BenchmarkError if it fails."""
    run_watched(folder, backend, target, options, counts=counts)
    return backend.window()


@contextmanager
def _terminal(kept: Path) -> Iterator[int]:
    """The far end of a terminal of 80 by 24; what is shown there goes to `kept`."""
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))

    def read() -> None:
        with kept.open("wb") as file:
            while True:
                try:
                    shown = os.read(near, 65_536)
                except OSError:  # Linux says so when the far end is closed
                    return
                if not shown:
                    return
                file.write(shown)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield far
    finally:
        os.close(far)
        reader.join()
        os.close(near)

"""Run an event loop: on uvloop if it is installed, with an infrequent garbage collector."""

import gc
import resource
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVar

import anyio

from refire_async.errors import RefusedError

MIN_OPEN_FILES = 64
"""File descriptors of a process: the interpreter and its loop, a checkpoint, a socket per call in progress."""

T = TypeVar("T")


def run_loop(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` to its end and return its result. Raises RefusedError if the process may open too few files."""
    _require_open_files()
    # Pages hold hundreds of thousands of dicts, none of them in a cycle. With the default thresholds the collector
    # scans them repeatedly: a quarter of the CPU time per item, measured.
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)
    return anyio.run(main, backend_options={"use_uvloop": find_spec("uvloop") is not None})


def _require_open_files() -> None:
    """Raise the soft limit of open files where it is too low. Raises RefusedError if the hard limit is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= MIN_OPEN_FILES:
        return
    if hard != resource.RLIM_INFINITY and hard < MIN_OPEN_FILES:
        raise RefusedError(
            f"too few file descriptors: this process may open {hard} files, and needs {MIN_OPEN_FILES}",
            f"raise the limit (ulimit -n {MIN_OPEN_FILES})",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (MIN_OPEN_FILES, hard))

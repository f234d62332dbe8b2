"""Run an event loop: on uvloop if it is installed, with an infrequent garbage collector."""

import gc
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVar

import anyio

T = TypeVar("T")


def run_loop(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` to its end and return its result."""
    # Pages hold hundreds of thousands of dicts, none of them in a cycle. With the default thresholds the collector
    # scans them repeatedly: a quarter of the CPU time per item, measured.
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)
    return anyio.run(main, backend_options={"use_uvloop": find_spec("uvloop") is not None})

"""How this program runs its event loops: on uvloop where it is installed, with a collector that looks seldom."""

import gc
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVar

import anyio

T = TypeVar("T")


def run_loop(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` to its end."""
    # Pages come and go by the hundred thousand dicts, none of them in a cycle. With the usual thresholds the
    # collector looks at them again and again: a quarter of the CPU time per item, measured.
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)
    return anyio.run(main, backend_options={"use_uvloop": find_spec("uvloop") is not None})

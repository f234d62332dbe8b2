"""An event loop whose clock jumps: minutes of waiting pass in milliseconds, and always in the same way.

When every task waits, the loop's selector does not sleep until the next timer but moves the clock there. Work
that the code under test gives to a thread (`anyio.to_thread.run_sync`) is done on the loop instead and takes
`THREAD_S` of virtual time: a real thread would make the order of events a matter of luck. Only what asks the
loop for the time is virtual: `anyio.current_time`, `anyio.sleep`, deadlines; `time.monotonic` is not.

    @pytest.fixture
    def anyio_backend():
        return VIRTUAL_TIME

makes every `async def` test of a module run on it; `run_virtual(main)` is for tests that run a loop per example.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
from anyio import to_thread

T = TypeVar("T")

START_S = 1_000.0
"""The first time of the clock: not 0, so that a missing initial value is noticed."""

THREAD_S = 0.002
"""Duration of work in a thread, about that of a commit with its fsync."""

SMALLEST_STEP_S = 1e-7
"""What every turn of the loop takes at least. A clock that stands still between two turns never reaches a timer
that is 1e-17 s ahead of 1000.0, and aiolimiter sets such timers."""

STUCK_S = 2.0
"""Seconds of real time to wait for something outside of the loop when no timer is set."""


class StuckError(RuntimeError):
    """Every task waits and no timer is set: nothing can ever happen."""


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc,valid-type] # an alias, one class per system
    """Never sleeps: advances `now` instead."""

    now = START_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if timeout is None and not ready:
            ready = super().select(STUCK_S)
            if not ready:
                raise StuckError("every task waits for something that cannot happen")
        self.now += SMALLEST_STEP_S if ready or not timeout else max(timeout, SMALLEST_STEP_S)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now

    def run_forever(self) -> None:
        """Run until stopped, with threads replaced."""
        with _no_threads():
            super().run_forever()


@contextmanager
def _no_threads() -> Iterator[None]:
    real = to_thread.run_sync
    to_thread.run_sync = _run_here  # type: ignore[assignment]
    try:
        yield
    finally:
        to_thread.run_sync = real


async def _run_here(
    func: Callable[..., T],
    *args: Any,
    abandon_on_cancel: bool = False,
    limiter: anyio.CapacityLimiter | None = None,
) -> T:
    """Replaces `anyio.to_thread.run_sync`: a caller that is cancelled waits for the end."""
    await anyio.lowlevel.checkpoint()
    async with limiter or anyio.CapacityLimiter(1):
        with anyio.CancelScope(shield=not abandon_on_cancel):
            await anyio.sleep(THREAD_S)
            return func(*args)


VIRTUAL_TIME = ("asyncio", {"loop_factory": VirtualTimeLoop})
"""Value for the `anyio_backend` fixture."""


def run_virtual(main: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run `main` in its own virtual-time loop."""
    return anyio.run(main, *args, backend_options={"loop_factory": VirtualTimeLoop})

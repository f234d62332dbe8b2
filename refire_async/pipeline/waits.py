"""Waits of one attempt that a stop, or the end of an outage, cuts short."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


class Waits:
    """Readers and workers that wait for a budget, and requests that wait for their next try."""

    def __init__(self) -> None:
        self._grants: set[anyio.CancelScope] = set()
        self._delays: set[anyio.Event] = set()
        self._on_recovery: list[Callable[[], None]] = []

    def on_recovery(self, call: Callable[[], None]) -> None:
        """Call `call` when the service works again, so that delayed requests are tried at once."""
        self._on_recovery.append(call)

    def recovered(self) -> None:
        """The service works again: end all delays before a next try. The budget still spreads the tries."""
        self._end_delays()
        for call in self._on_recovery:
            call()

    async def delay(self, delay_s: float) -> None:
        """Wait `delay_s` seconds, or until the service works again or the run stops."""
        over = anyio.Event()
        self._delays.add(over)
        try:
            with anyio.move_on_after(delay_s):
                await over.wait()
        finally:
            self._delays.discard(over)

    async def unless_stopped(self, grant: Awaitable[T]) -> T | None:
        """Return what a budget grants, or None if the run stops first."""
        with anyio.CancelScope() as scope:
            self._grants.add(scope)
            try:
                return await grant
            finally:
                self._grants.discard(scope)
        return None

    def end(self) -> None:
        """The run stops: end all waits for a budget and all delays."""
        for scope in self._grants:
            scope.cancel()
        self._end_delays()

    def _end_delays(self) -> None:
        for over in self._delays:
            over.set()

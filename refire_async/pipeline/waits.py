"""Waits of one attempt that end early when the run stops or an outage ends."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


class Waits:
    """Waits of readers and workers: for the budget, and for the next try of a request."""

    def __init__(self) -> None:
        self._grants: set[anyio.CancelScope] = set()
        self._delays: set[anyio.Event] = set()
        self._on_recovery: list[Callable[[], None]] = []

    def on_recovery(self, call: Callable[[], None]) -> None:
        """Call `call` when an outage ends, so that delayed requests are tried at once."""
        self._on_recovery.append(call)

    def recovered(self) -> None:
        """An outage ended: end all delays before a next try. The budget still paces the tries."""
        self._end_delays()
        for call in self._on_recovery:
            call()

    async def delay(self, delay_s: float) -> None:
        """Wait `delay_s` seconds, or until an outage ends or the run stops."""
        ended = anyio.Event()
        self._delays.add(ended)
        try:
            with anyio.move_on_after(delay_s):
                await ended.wait()
        finally:
            self._delays.discard(ended)

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
        for ended in self._delays:
            ended.set()

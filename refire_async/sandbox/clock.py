"""The clock of the sandbox, which can be replaced so that hours pass in milliseconds."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic and a wall clock reading of the same time, in seconds."""

    def monotonic(self) -> float:
        """Seconds since some fixed point; never goes back. Capacity is refilled by this one."""
        ...

    def time(self) -> float:
        """Seconds since 1970-01-01 UTC, for timestamps that a client sees."""
        ...


class SystemClock:
    """The machine's clock. The readings are the built-in functions themselves: no call is added."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)


class VirtualClock:
    """A clock that moves only when `advance` is called."""

    def __init__(self, epoch: float = 1_767_225_600.0) -> None:
        """``epoch`` is the initial value of ``time()`` (2026-01-01 UTC); ``monotonic()`` begins at 0."""
        self._epoch = epoch
        self._elapsed = 0.0

    def monotonic(self) -> float:
        """Seconds that were passed to ``advance`` so far."""
        return self._elapsed

    def time(self) -> float:
        """The first ``time()`` plus the seconds advanced."""
        return self._epoch + self._elapsed

    def advance(self, seconds: float) -> None:
        """Advance the time. Raises ``ValueError`` if ``seconds`` is negative."""
        if seconds < 0:
            raise ValueError(f"a clock does not go back: {seconds} s")
        self._elapsed += seconds

"""Calls at given times, all from one task: windows that end, delays that are over."""

import heapq
from collections.abc import Callable
from itertools import count

import anyio


class Timers:
    """Calls what `at` is given when its time has come. Times are those of `anyio.current_time`."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self._earlier = anyio.Event()

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call `call` at `when`, or soon if that is past."""
        heapq.heappush(self._heap, (when, next(self._number), call))
        if self._heap[0][2] is call:
            self._earlier.set()

    async def run(self) -> None:
        """The task that calls. Ends by cancellation only."""
        while True:
            self._earlier = anyio.Event()
            if not self._heap:
                await self._earlier.wait()
                continue
            delay_s = self._heap[0][0] - anyio.current_time()
            if delay_s > 0:
                with anyio.move_on_after(delay_s):
                    await self._earlier.wait()
                continue
            heapq.heappop(self._heap)[2]()

"""`python -m benchmarks.pacing.one_queue WORKERS run …` is `refire run …` with one queue in place of its lanes.

The contender: what programs with a bounded queue and a pool of workers do. Batches of all segments stand in one
line; a worker whose batch is throttled keeps it, waits and tries it again until it goes through. Everything else is
refire as it ships: the budget, the waits after a refusal, the ledger.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from refire_async.checkpoint.ledger import OpenPage
from refire_async.cli import main as refire
from refire_async.model.keys import Item
from refire_async.pipeline import queue
from refire_async.pipeline.lanes import Batch


class OneQueue:
    """Has the methods of `Lanes`. No more than `workers` batches are kept by workers that wait to try them again."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._line: deque[tuple[OpenPage, int]] = deque()
        self._kept: list[Batch] = []

    def __len__(self) -> int:
        return len(self._line) + len(self._kept)

    def held_back(self, now: float) -> int:
        """Workers that wait."""
        return sum(batch.ready_at > now for batch in self._kept)

    def add_page(self, page: OpenPage) -> None:
        """At the end of the line."""
        self._line.append((page, 0))

    def add_batch(self, batch: Batch) -> None:
        """Its worker keeps it."""
        self._kept.append(batch)

    def processed(self, segment: int, units: float, now: float) -> None:
        """Nothing follows from it."""

    def throttled(self, segment: int, now: float) -> None:
        """Nothing follows from it but the wait that comes with every refusal."""

    def throttled_share(self, _now: float) -> float:
        """What is throttled is never taken for the table's lack of capacity: in this benchmark it is not."""
        return 0.0

    def lift_limits(self, now: float) -> None:
        """Nothing is held back."""

    def next_batch(self, now: float, size_of: Callable[[OpenPage], int]) -> Batch | None:
        """A kept batch whose wait is over, or the next in line if there is a worker without one."""
        for place, batch in enumerate(self._kept):
            if batch.ready_at <= now:
                return self._kept.pop(place)
        if not self._line or len(self._kept) >= self._workers:
            return None
        page, start = self._line[0]
        end = start + size_of(page)
        if end >= len(page.items):
            self._line.popleft()
        else:
            self._line[0] = (page, end)
        return Batch(page, page.items[start:end], in_doubt=page.in_doubt)

    def wake_at(self) -> float | None:
        """When the next one may go."""
        if self._line and len(self._kept) < self._workers:
            return -math.inf
        return min((batch.ready_at for batch in self._kept), default=None)

    def drain(self) -> dict[int, tuple[OpenPage, list[Item]]]:
        """Take out all that is left, by page number."""
        rest: dict[int, tuple[OpenPage, list[Item]]] = {}
        for page, start in self._line:
            rest.setdefault(page.number, (page, []))[1].extend(page.items[start:])
        for batch in self._kept:
            rest.setdefault(batch.page.number, (batch.page, []))[1].extend(batch.items)
        self._line.clear()
        self._kept.clear()
        return rest


def main() -> NoReturn:
    """Put the queue in the place of the lanes and run the command line."""
    workers = int(sys.argv.pop(1))
    queue.Lanes = lambda _share: OneQueue(workers)  # type: ignore[assignment,misc] # the same methods
    refire()


if __name__ == "__main__":
    main()

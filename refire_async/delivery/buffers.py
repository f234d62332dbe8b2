"""Memory for records on their way: shared by all shards, bounded in bytes."""

from collections import deque
from dataclasses import dataclass, field

import anyio

from refire_async.delivery.shards import Shard
from refire_async.delivery.target import EVENT_LIMIT

BUFFER_BYTES = 64 << 20
"""Memory of all records that are not settled. The events that are being sent hold a second copy of theirs at most."""

LANE_BYTES = 2 * EVENT_LIMIT
"""Records of one lane beyond which its shard takes no more: a batch of the largest size, and the one after it."""

KEPT_SHARE = 0.25
"""Share of the memory that only shards without records are given."""


@dataclass(slots=True, eq=False)
class _Waiting:
    shard: Shard
    size: int
    admitted: anyio.Event = field(default_factory=anyio.Event)


class Buffers:
    """Admits records while there is room: in all, in their shard's share of it, and in each of its lanes.

    A shard that is stuck holds its share at most: a part of the room is kept for shards that have no records in it.
    `used` is in bytes.
    """

    def __init__(self, limit: int = BUFFER_BYTES) -> None:
        self._limit = limit
        self._open = 0
        self._shared = self._share = limit * (1 - KEPT_SHARE)
        self._waiting: deque[_Waiting] = deque()
        self.used = 0

    @property
    def pressed(self) -> bool:
        """Whether a source waits for room."""
        return bool(self._waiting)

    def opened(self) -> None:
        """One more shard has a share of the room."""
        self._open += 1
        self._share = self._shared / max(self._open, 2)

    def admit(self, shard: Shard, size: int) -> bool:
        """Take `size` bytes for records of `shard` if there is room."""
        if not self._has_room(shard, size):
            return False
        self.used += size
        return True

    async def wait(self, shard: Shard, size: int) -> None:
        """Take `size` bytes for records of `shard` as soon as there is room."""
        waiting = _Waiting(shard, size)
        self._waiting.append(waiting)
        try:
            await waiting.admitted.wait()
        except BaseException:
            if waiting.admitted.is_set():
                self.free(size)
            else:
                self._waiting.remove(waiting)
            raise

    def free(self, size: int) -> None:
        """Records of `size` bytes are settled."""
        self.used -= size
        if not self._waiting:
            return
        still: deque[_Waiting] = deque()
        for waiting in self._waiting:
            if self.admit(waiting.shard, waiting.size):
                waiting.admitted.set()
            else:
                still.append(waiting)
        self._waiting = still

    def _has_room(self, shard: Shard, size: int) -> bool:
        if self.used == 0:
            return True
        if self.used + size > self._limit:
            return False
        if shard.size_bytes == 0:
            return True
        if self.used + size > self._shared or shard.size_bytes + size > self._share:
            return False
        return not any(lane.size_bytes > LANE_BYTES for lane in shard.lanes.values())

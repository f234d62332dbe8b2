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
        self._shared = limit * (1 - KEPT_SHARE)
        self._held: dict[str, int] = {}
        """Bytes of each shard that has records here, by its name."""
        self._waiting: deque[_Waiting] = deque()
        self.used = 0

    @property
    def pressed(self) -> bool:
        """Whether a source waits for room."""
        return bool(self._waiting)

    def admit(self, shard: Shard, size: int) -> bool:
        """Take `size` bytes for records of `shard` if there is room."""
        held = self._held.get(shard.name, 0)
        if not self._has_room(shard, held, size):
            return False
        self._held[shard.name] = held + size
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
                self.free(shard, size)
            else:
                self._waiting.remove(waiting)
            raise

    def free(self, shard: Shard, size: int) -> None:
        """Records of `shard` with `size` bytes are settled."""
        self.used -= size
        left = self._held[shard.name] - size
        if left:
            self._held[shard.name] = left
        else:
            del self._held[shard.name]
        if not self._waiting:
            return
        still: deque[_Waiting] = deque()
        for waiting in self._waiting:
            if self.admit(waiting.shard, waiting.size):
                waiting.admitted.set()
            else:
                still.append(waiting)
        self._waiting = still

    def _has_room(self, shard: Shard, held: int, size: int) -> bool:
        if self.used == 0:
            return True
        if self.used + size > self._limit:
            return False
        if held == 0:
            return True
        if self.used + size > self._shared or held + size > self._shared / max(len(self._held), 2):
            return False
        return not any(lane.size_bytes > LANE_BYTES for lane in shard.lanes.values())

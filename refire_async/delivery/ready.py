"""Lanes that have a batch to invoke: shards are served in turn, and the lanes of a shard in turn."""

from collections import deque

from refire_async.delivery.shards import Lane


class ReadyLanes:
    """A queue of lanes that is fair between shards, however many lanes each of them has."""

    def __init__(self) -> None:
        self._shards: dict[str, deque[Lane]] = {}

    def __bool__(self) -> bool:
        return bool(self._shards)

    def add(self, lane: Lane) -> None:
        """Put a lane at the end of its shard's turn, unless it is in the queue already."""
        if lane.queued:
            return
        lane.queued = True
        self._shards.setdefault(lane.shard.name, deque()).append(lane)

    def pop(self) -> Lane:
        """The next lane. Raises LookupError if there is none."""
        if not self._shards:
            raise LookupError("no lane is ready")
        name, lanes = next(iter(self._shards.items()))
        lane = lanes.popleft()
        lane.queued = False
        del self._shards[name]
        if lanes:
            self._shards[name] = lanes
        return lane

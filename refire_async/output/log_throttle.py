"""What comes in numbers is said now and then: at once the first time, then added up."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

REPEAT_S = 10.0
MOST_KINDS = 100

Say: TypeAlias = Callable[[str, int, dict[str, Any]], object]
"""Takes a name, how many items it was about, and what else tells one kind from another."""


class Repeats:
    """Adds up items by name and fields, and says each kind at most every `REPEAT_S` seconds. Bounded."""

    def __init__(self, clock: Callable[[], float], say: Say) -> None:
        self._clock = clock
        self._say = say
        self._kinds: dict[tuple[str, ...], _Kind] = {}
        self._said_at: dict[str, float] = {}

    def add(self, name: str, items: int, reason: str, **fields: Any) -> None:
        """Say it now if the last line about the same is long ago, otherwise later, with all that came meanwhile."""
        key = (name, reason, *map(str, fields.values()))
        if key not in self._kinds and len(self._kinds) >= MOST_KINDS:
            # Reasons are few by nature; should one ever hold something unique, memory stays bounded.
            key, reason = (name, "other"), "other"
            fields = dict.fromkeys(fields, "")
        kind = self._kinds.setdefault(key, _Kind(name, {"reason": reason, **fields}))
        kind.items += items
        now = self._clock()
        if now >= kind.next_at:
            kind.next_at = now + REPEAT_S
            self._say_now(kind)

    def due(self, name: str) -> bool:
        """Whether `name`, which needs no adding up, is to be said now."""
        now = self._clock()
        if now < self._said_at.get(name, -math.inf) + REPEAT_S:
            return False
        self._said_at[name] = now
        return True

    def flush(self) -> None:
        """Say what was added up and not yet said."""
        for kind in self._kinds.values():
            if kind.items:
                self._say_now(kind)

    def _say_now(self, kind: "_Kind") -> None:
        items, kind.items = kind.items, 0
        self._say(kind.name, items, kind.fields)


class _Kind:
    """What was added up since it was last said."""

    __slots__ = ("fields", "items", "name", "next_at")

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        self.name = name
        self.fields = fields
        self.items = 0
        self.next_at = -math.inf

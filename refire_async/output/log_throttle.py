"""Limit for repeated log lines: the first of a kind is written at once, later ones are added up."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

REPEAT_S = 10.0
MOST_KINDS = 100

Write: TypeAlias = Callable[[str, int, dict[str, Any]], object]
"""Called with the name of the line, the number of items, and the fields that identify its kind."""


class LogThrottle:
    """Adds up items by name and fields, and writes each kind at most every `REPEAT_S` seconds. Bounded memory."""

    def __init__(self, clock: Callable[[], float], write: Write) -> None:
        self._clock = clock
        self._write = write
        self._kinds: dict[tuple[str, ...], _Kind] = {}
        self._written_at: dict[str, float] = {}

    def add(self, name: str, items: int, reason: str, **fields: Any) -> None:
        """Write a line now if the last of its kind is at least `REPEAT_S` old, else add `items` to the next one."""
        key = (name, reason, *map(str, fields.values()))
        if key not in self._kinds and len(self._kinds) >= MOST_KINDS:
            # There are few reasons; the limit keeps memory bounded if one ever contains a unique text.
            key, reason = (name, "other"), "other"
            fields = dict.fromkeys(fields, "")
        kind = self._kinds.setdefault(key, _Kind(name, {"reason": reason, **fields}))
        kind.items += items
        now = self._clock()
        if now >= kind.next_at:
            kind.next_at = now + REPEAT_S
            self._write_now(kind)

    def due(self, name: str) -> bool:
        """Whether a line of this name, which has no count, may be written now."""
        now = self._clock()
        if now < self._written_at.get(name, -math.inf) + REPEAT_S:
            return False
        self._written_at[name] = now
        return True

    def flush(self) -> None:
        """Write pending counts."""
        for kind in self._kinds.values():
            if kind.items:
                self._write_now(kind)

    def _write_now(self, kind: "_Kind") -> None:
        items, kind.items = kind.items, 0
        self._write(kind.name, items, kind.fields)


class _Kind:
    """A kind of line, and its count since it was last written."""

    __slots__ = ("fields", "items", "name", "next_at")

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        self.name = name
        self.fields = fields
        self.items = 0
        self.next_at = -math.inf

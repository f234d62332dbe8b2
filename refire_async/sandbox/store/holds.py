"""Items of transactions in progress: other writes of them, and other transactions, are refused.

A request is carried out at once, but its answer may be late (latency, a fault). Until then a transaction holds its
items, as the service's does between its two phases.
"""

from __future__ import annotations

from collections.abc import Iterable

from refire_async.sandbox.store.keys import OrderKey

Place = tuple[str, OrderKey]
"""Id of a table and the order key of an item."""


class Holds:
    """Which items are held, and until when (monotonic seconds)."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[Place, float] = {}

    def __bool__(self) -> bool:
        return bool(self._until)

    def hold(self, places: Iterable[Place], now: float, until: float) -> None:
        """Hold these items; those whose time is over are forgotten."""
        self._until = {place: end for place, end in self._until.items() if end > now}
        if until > now:
            self._until.update(dict.fromkeys(places, until))

    def has(self, place: Place, now: float) -> bool:
        """Whether an item is held."""
        return self._until.get(place, now) > now

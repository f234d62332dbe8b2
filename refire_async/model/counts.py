"""The outcomes of the scanned items, and what a run consumes."""

from dataclasses import asdict, dataclass, fields


@dataclass(slots=True)
class Counts:
    """Items by outcome: scanned = touched + already + vanished + expired + failed once a page is done.

    `already`: an event was emitted since the item was read, by an earlier write whose answer was lost or by another
    writer. `conflicts`: those of `touched` that another writer changed between read and write.
    """

    scanned: int = 0
    touched: int = 0
    already: int = 0
    conflicts: int = 0
    vanished: int = 0
    expired: int = 0
    failed: int = 0

    def add(self, other: "Counts") -> None:
        """Add every count of `other` to this one."""
        for name in COUNT_NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def settled(self) -> int:
        """Number of items that have an outcome."""
        return self.touched + self.already + self.vanished + self.expired + self.failed

    def to_json(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


COUNT_NAMES = tuple(field.name for field in fields(Counts))


@dataclass(slots=True)
class Totals:
    """Throttled items, requests that were retried for other reasons, consumed units, and seconds of work."""

    throttled: int = 0
    retries: int = 0
    wcu: float = 0.0
    rcu: float = 0.0
    seconds: float = 0.0

    def add(self, other: "Totals") -> None:
        """Add every figure of `other` to this one."""
        for name in _TOTAL_NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_TOTAL_NAMES = tuple(field.name for field in fields(Totals))

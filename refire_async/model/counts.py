"""Where every scanned item ended. The summary adds up, always."""

from dataclasses import asdict, dataclass, fields


@dataclass(slots=True)
class Counts:
    """Items by outcome: scanned = touched + already + vanished + expired + failed once a page is done.

    `already`: had fired before this attempt (an earlier attempt whose answer was lost, or another writer's
    change since it was read). `conflicts`: those of `touched` that another writer had changed meanwhile.
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
        """Items whose outcome is known."""
        return self.touched + self.already + self.vanished + self.expired + self.failed

    def to_json(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


COUNT_NAMES = tuple(field.name for field in fields(Counts))

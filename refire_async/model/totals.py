"""What a run consumes and meets while it works."""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Totals:
    """Refused attempts (items), other requests that were made again, consumed units, and seconds of work."""

    throttled: int = 0
    retries: int = 0
    wcu: float = 0.0
    rcu: float = 0.0
    seconds: float = 0.0

    def add(self, other: "Totals") -> None:
        """Add every figure of `other` to this one."""
        for name in _NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_NAMES = tuple(field.name for field in fields(Totals))

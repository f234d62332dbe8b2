"""The time from which events are replayed. Pure."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """Records from `since` on, and before `until`: seconds since the epoch, infinite without a limit.

    Records know the second of their creation only (API reference: StreamRecord), so `since` begins with its second.
    """

    since: float = -math.inf
    until: float = math.inf

    def __contains__(self, created_at: float) -> bool:
        return self.first_second <= created_at < self.until

    @property
    def first_second(self) -> float:
        """The second of `since`."""
        return float(math.floor(self.since)) if math.isfinite(self.since) else self.since

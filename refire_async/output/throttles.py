"""Counts of throttled requests by reason and resource, and by segment."""

OTHER = "other"
MOST_REASONS = 24
"""There are few reasons and resources; the limit keeps memory bounded if one ever contains a unique text."""

MOST_SEGMENTS = 4_096
OTHER_SEGMENTS = -1
"""Stands for all segments beyond the first `MOST_SEGMENTS` that were throttled."""


class Throttles:
    """Throttled requests in items (a read counts as one)."""

    def __init__(self) -> None:
        self.by_reason: dict[tuple[str, str], int] = {}
        """By reason, or error code where the service gave none, and resource (an ARN, or "" where it named none)."""
        self.by_segment: dict[int, int] = {}

    def add(self, reason: str, resource: str, segment: int, items: int) -> None:
        """`items` of `segment` were refused for `reason`, for lack of `resource`."""
        cause = (reason, resource)
        if cause not in self.by_reason and len(self.by_reason) >= MOST_REASONS:
            cause = (OTHER, "")
        self.by_reason[cause] = self.by_reason.get(cause, 0) + items
        if segment not in self.by_segment and len(self.by_segment) >= MOST_SEGMENTS:
            segment = OTHER_SEGMENTS
        self.by_segment[segment] = self.by_segment.get(segment, 0) + items

    @property
    def total(self) -> int:
        """The sum over all reasons."""
        return sum(self.by_reason.values())

    def reasons(self) -> dict[str, int]:
        """By reason alone, the most frequent first."""
        found: dict[str, int] = {}
        for (reason, _), items in self.by_reason.items():
            found[reason] = found.get(reason, 0) + items
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

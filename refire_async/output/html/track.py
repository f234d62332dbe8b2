"""A run's points along its time at work. Pure."""

import bisect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from refire_async.model.series import Note, Point, merge

MOST_COLUMNS = 400


@dataclass(frozen=True, slots=True)
class Track:
    """A run's points along its time at work: `edges` (seconds) are one more than the points.

    `breaks` are where a later attempt began: the time between attempts is not shown.
    """

    points: list[Point]
    edges: list[float]
    breaks: list[float]

    @property
    def end_s(self) -> float:
        """Seconds at work."""
        return self.edges[-1]

    def rates(self, value: Callable[[Point], float]) -> list[float]:
        """`value` per second in each point."""
        return [value(point) / point.seconds for point in self.points]

    def place(self, at: float) -> float:
        """Position of a time (Unix seconds); a time between two attempts is at the end of the first."""
        number = bisect.bisect_right([point.at for point in self.points], at) - 1
        if number < 0:
            return 0.0
        return min(self.edges[number] + at - self.points[number].at, self.edges[number + 1])

    def spans(self, notes: Sequence[Note], begin: str, end: str) -> list[tuple[float, float, Note]]:
        """Spans from a note of kind `begin` to the next of kind `end`, or to the attempt's end."""
        found: list[tuple[float, float, Note]] = []
        opened: Note | None = None
        for note in notes:
            if opened is not None and note.kind in (end, "stop", "end", "start"):
                found.append((self.place(opened.at), self.place(note.at), opened))
                opened = None
            if note.kind == begin and opened is None:
                opened = note
        if opened is not None:
            found.append((self.place(opened.at), self.end_s, opened))
        return [(start, stop, note) for start, stop, note in found if stop > start]


def lay_out(points: Sequence[Point], starts: Sequence[float]) -> Track | None:
    """Points as a track of at most about `MOST_COLUMNS`; None if there are none. `starts`: begin of each attempt."""
    span, kept = 1.0, [Point.from_json(point.at, point.to_json()) for point in points if point.seconds > 0]
    while len(kept) > MOST_COLUMNS and span < 1e9:
        span *= 2
        kept = merge(kept, span)
    if not kept:
        return None
    edges = [0.0, *itertools.accumulate(point.seconds for point in kept)]
    later = [start for start in starts if start > kept[0].at + kept[0].seconds]
    breaks = [
        next((edge for point, edge in zip(kept, edges, strict=False) if point.at >= start - 1.0), edges[-1])
        for start in later
    ]
    return Track(kept, edges, [at for at in breaks if 0 < at < edges[-1]])

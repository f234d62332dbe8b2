"""Invariants of every checkpoint, no matter when it was saved. Pure.

SQLite's own check finds a broken structure. This one finds well-formed values that contradict each other: a file that
was edited, repaired with other tools, or combined from two.
"""

from collections.abc import Iterable, Mapping

from refire_async.checkpoint.ledger import OpenPage, SegmentState
from refire_async.model.counts import COUNT_NAMES, Counts
from refire_async.model.keys import Cursor, Item
from refire_async.model.run import RunSpec, RunStatus

MAX_SEGMENTS = 1_000_000
"""Most segments of a parallel scan (API reference: Scan, TotalSegments); no other selection has more."""

_KEY_TYPES = {"S", "N", "B"}

STATUSES: tuple[RunStatus, ...] = ("running", "stopped", "complete")


def broken_run(run_id: str, table: str, status: str, spec: RunSpec) -> str | None:
    """What is wrong with the row of the run, or None."""
    if status not in STATUSES:
        return "its run has no known status"
    if (run_id, table) != (spec.run_id, spec.table) or spec.marker.run_id != run_id:
        return "it names two runs"
    return None


def broken_spec(spec: RunSpec) -> str | None:
    """What is wrong with the identity of the run, or None. The types are already checked."""
    selection, keys, marker = spec.selection, spec.keys, spec.marker
    rules = {
        "its number of segments is impossible": 1 <= spec.total_segments <= MAX_SEGMENTS,
        "its marker attribute is empty or a key attribute": marker.attribute != ""
        and marker.attribute not in keys.names,
        "its sort key has no name or no type": (keys.range_name is None) == (keys.range_type is None),
        "its keys have an invalid type": {keys.hash_type, keys.range_type or "S"} <= _KEY_TYPES,
        "its list has no origin": not selection.listed or selection.given != "",
        "it selects a key value without a type": all(len(value) == 1 for value in selection.key_values),
    }
    return next((wrong for wrong, holds in rules.items() if not holds), None)


def broken_counts(parts: Iterable[Counts], failed: int) -> str | None:
    """What is wrong with the counts of closed pages, or None. `failed` is the number of failed keys."""
    total = Counts()
    for counts in parts:
        if not _adds_up(counts):
            return "its counts do not add up"
        total.add(counts)
    return None if total.failed == failed else "its failed keys are not as many as its counts say"


def broken_progress(
    spec: RunSpec, states: Mapping[int, SegmentState], pages: Iterable[OpenPage]
) -> str | None:
    """What is wrong with cursors and open pages, or None."""
    if spec.selection.kind == "query" and len(spec.selection.key_values) != spec.total_segments:
        return "its number of segments is not that of its key values"
    if not all(0 <= segment < spec.total_segments for segment in states):
        return "it has a segment that the run does not have"
    if spec.selection.listed and not all(_is_offset(state.cursor) for state in states.values()):
        return "it has a cursor that is not a position in its list"
    starts: set[tuple[int, str]] = set()
    for page in pages:
        start = (page.segment, repr(page.start))
        wrong = _broken_page(spec, states.get(page.segment), page)
        if wrong is None and start in starts:
            wrong = "occurs twice"
        if wrong is not None:
            return f"page {page.number} {wrong}"
        starts.add(start)
    return None


def _broken_page(spec: RunSpec, state: SegmentState | None, page: OpenPage) -> str | None:
    if state is None or (page.end is None and not state.finished):
        return "is beyond the cursor of its segment"
    if page.open_items != len(page.items) or not _adds_up(page.counts, open_items=page.open_items):
        return "has counts that do not add up"
    if not page.counts.scanned:
        return "is empty"
    types = dict(zip(spec.keys.names, (spec.keys.hash_type, spec.keys.range_type), strict=False))
    if not all(_has_key(types, item) for item in page.items):
        return "has an item without key"
    if spec.selection.listed and not (_is_offset(page.start) and _is_offset(page.end)):
        return "has a start that is not a position in its list"
    return None


def _has_key(types: Mapping[str, str | None], item: Item) -> bool:
    return all(
        isinstance(value := item.get(name), dict) and isinstance(value.get(str(kind)), str)
        for name, kind in types.items()
    )


def _is_offset(cursor: Cursor | None) -> bool:
    """Whether it is a position in a list of keys, or None."""
    return cursor is None or (isinstance(offset := cursor.get("offset"), int) and offset >= 0)


def broken_end(spec: RunSpec, status: str, finished: int, pages: int) -> str | None:
    """What is wrong with the status of the run, or None."""
    if status == "complete" and (pages or finished != spec.total_segments):
        return "it is marked as complete but is not"
    return None


def _adds_up(counts: Counts, open_items: int = 0) -> bool:
    return (
        all(getattr(counts, name) >= 0 for name in COUNT_NAMES)
        and counts.scanned == counts.settled + open_items
        and counts.conflicts <= counts.touched
    )

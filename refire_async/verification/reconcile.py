"""Compares the expected and the observed changes of one partition, item by item. Pure.

An item counts as `once` if the stream has the change that the run made according to the checkpoint: only the marker
changed, to exactly that value. Any further change of only the marker, from the value that the run read first onwards,
makes the item `doubled`, because it cannot be distinguished from a touch by the run. Changes that the checkpoint of
another run expects, and changes after the run's end, do not count.

Time alone never attributes a record to the run. It only excludes records: where the markers are older than the run
(those of an export), and where a record has no image, a record from before the item's page was opened does not count.
If the stream has the expected change, but at a time that excludes it, the item is neither found nor missing: the
clocks disagree, or another run made the same change.

A stream with fewer images shows less, and the result claims no more (docs/verify.md): one image shows one side of
each change, so another writer's change that adds one to the marker looks like a touch; without images a record shows
that there was a change, but not by whom.
"""

from collections.abc import Callable, Iterable

from refire_async.model.proof import ProofCounts
from refire_async.verification.encoding import (
    ABSENT,
    AFTER,
    BEFORE,
    BOTH,
    CERTAIN_TOUCH,
    FOREIGN,
    OPENED,
    READ,
    TOUCH,
    TOUCHED,
    ExpectedRow,
    ObservedRow,
    is_number,
)

MAX_CLOCK_SKEW_S = 15 * 60
"""Largest difference between this machine's clock and the service's, where the service's time is not known: AWS rejects
requests whose signature is further off (AWS Signature Version 4)."""

LATE_WRITE_S = 60.0
"""Until this long after the run's end, by the service's clock, the service may still apply a request that the run
gave up on."""


class Fate:
    """The state of one item. `low`: the marker that the run read first, `new`: the one that it wrote."""

    __slots__ = (
        *("after", "excluded_by_time", "kind", "low", "matched", "new"),
        *("number", "others", "pending", "touches", "unattributed"),
    )

    def __init__(self, low: int, new: int, number: int, kind: int) -> None:
        self.low, self.new, self.number, self.kind = low, new, number, kind
        self.matched = 0
        """How often the stream has exactly the expected change."""
        self.touches = 0
        """Number of other changes of only the marker."""
        self.others = 0
        """Number of changes by other writers away from the marker that the run read first."""
        self.unattributed = 0
        """Number of records without images."""
        self.after = low
        """The marker after the last change."""
        self.excluded_by_time = False
        """Whether the stream has exactly the expected change, but at a time outside the run."""
        self.pending: int | None = None
        """The marker before a change whose other side only the next record shows."""

    def note_both(self, before: int, after: int, flags: int) -> None:
        """Note a change with both images: it is known whether it was a touch."""
        self._resolve(before)
        self.after = after
        if flags & TOUCH:
            if after == self.new:
                self.matched += 1
            elif self.matched or self._since_read(before):
                self.touches += 1
            return
        if ABSENT in (before, after) and not self.matched:
            self.touches = 0  # those touches were made to an earlier item with this key
        if before == self.low != after:
            self.others += 1

    def note_after(self, after: int) -> None:
        """Note a change of which only the new image is known."""
        before, self.after = self.after, after
        if self.matched:
            self.touches += is_number(before) and after == before + 1
        elif after == self.new:
            self.matched = 1
        elif after != self.low:
            self.others += 1

    def note_before(self, before: int) -> None:
        """Note a change of which only the old image is known."""
        self._resolve(before)
        self.pending = None if before == ABSENT else before

    def finish(self) -> None:
        """Complete the state after the last record."""
        if self.pending is not None and not self.matched and self.pending == self._replaced:
            self.matched = 1

    @property
    def _replaced(self) -> int:
        """The marker that the run's touch replaced."""
        return self.new - 1 if is_number(self.new) else self.low

    def _resolve(self, after: int) -> None:
        """Complete the pending change, which led to `after`."""
        before, self.pending = self.pending, None
        if before is None:
            return
        if after == self.new and before == self._replaced:
            self.matched += 1
        elif is_number(before) and after == before + 1:
            self.touches += bool(self.matched) or self._since_read(before)
        elif before == self.low != after:
            self.others += 1

    def _since_read(self, before: int) -> bool:
        """Whether a change from `before` may have been made after the run read the item: markers count up."""
        return is_number(before) and is_number(self.low) and before >= self.low


def reconcile(
    expected: Iterable[ExpectedRow],
    observed: Iterable[ObservedRow],
    *,
    ended: float | None,
    on_missing: Callable[[int], None],
    late_s: float = MAX_CLOCK_SKEW_S,
    markers_are_older: bool = False,
) -> ProofCounts:
    """Count the items of one partition by result. The observed rows of an item are in the order of its changes.

    `ended` is when the run ended (seconds since the epoch, None if it has not); records from more than `late_s` later
    are not the run's. `markers_are_older`: the markers that the run read are older than the run. Calls `on_missing`
    with the number of each expected row that has no event in the stream.
    """
    fates, foreign, opened = _fates(expected)
    last = float("inf") if ended is None else ended + late_s
    for key, before, after, second, flags in observed:
        fate = fates.get(key)
        if fate is None:
            continue
        sides = flags & BOTH
        if second > last:
            fate.excluded_by_time |= bool(sides & AFTER) and after == fate.new and (key, after) not in foreign
            continue
        if (
            opened
            and (markers_are_older or not sides)
            and _is_before(second, opened.get(key), fate, after, flags)
        ):
            continue
        if flags == CERTAIN_TOUCH and after == fate.new and fate.pending is None:
            fate.matched += 1
            fate.after = after
        elif sides & AFTER and foreign and after != fate.new and (key, after) in foreign:
            fate.others += 1
        elif sides == BOTH:
            fate.note_both(before, after, flags)
        elif sides == AFTER:
            fate.note_after(after)
        elif sides == BEFORE:
            fate.note_before(before)
        else:
            fate.unattributed += 1
    return _sum(fates.values(), on_missing)


def _is_before(second: int, opened: tuple[int, int] | None, fate: Fate, after: int, flags: int) -> bool:
    """Whether a record is from before the run can have written to its item."""
    if opened is None:
        return False
    touches_from, matches_from = opened
    if not flags & BOTH:
        return second < matches_from
    if not flags & AFTER or after != fate.new:
        return second < touches_from
    # For a TOUCHED row the service acknowledged the write, so no earlier touch started from that marker.
    return second < matches_from and not (flags == CERTAIN_TOUCH and fate.kind == TOUCHED)


def _fates(
    expected: Iterable[ExpectedRow],
) -> tuple[dict[bytes, Fate], set[tuple[bytes, int]], dict[bytes, tuple[int, int]]]:
    """(state by digest, (digest, marker) of touches by other runs, (touches_from, matches_from) by digest)."""
    fates: dict[bytes, Fate] = {}
    foreign: set[tuple[bytes, int]] = set()
    opened: dict[bytes, tuple[int, int]] = {}
    for key, low, new, number, kind in expected:
        if kind == FOREIGN:
            foreign.add((key, new))
            continue
        if kind == OPENED:
            opened[key] = min((low, new), opened.get(key, (low, new)))
            continue
        known = fates.get(key)
        if known is None:
            fates[key] = Fate(low, new, number, kind)
            continue
        # An earlier attempt read it first; this one touched it.
        if known.kind == READ:
            known.new, known.number, known.kind = new, number, kind
        known.low = known.after = min(known.low, low)
    return fates, foreign, opened


def _sum(fates: Iterable[Fate], on_missing: Callable[[int], None]) -> ProofCounts:
    counts = ProofCounts()
    for fate in fates:
        if fate.kind == READ:
            continue
        fate.finish()
        counts.expected += 1
        touches = fate.matched + fate.touches
        if fate.kind == TOUCHED and not fate.matched and not fate.unattributed:
            if fate.excluded_by_time:
                counts.unproven += 1
            else:
                counts.missing += 1
                on_missing(fate.number)
        elif touches > 1:
            counts.doubled += 1
        elif touches or fate.unattributed:
            counts.once += 1
            counts.repeats += fate.unattributed > 1
        elif fate.others:
            counts.by_others += 1
        else:
            counts.missing += 1
            on_missing(fate.number)
    return counts

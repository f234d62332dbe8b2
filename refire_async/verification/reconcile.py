"""Compares expected and observed changes of one partition: the result for every item. Pure.

An item is found `once` when the stream has the change that the run says it made: nothing but the marker, to the very
value that the checkpoint says. Any further change of nothing but the marker, from what the run read first onwards,
makes it `doubled`: it cannot be told from one of the run's own. Not counted are changes that another run's checkpoint
claims, and those after the run's end.

Time alone makes no record the run's. It only rules records out: where markers are older than the run (an export's),
and where a record has no image, one from before the item's page was opened is not counted. What the run claims, but
at a time that rules it out, is neither found nor missing: the clocks disagree, or another run did the same.

A stream with fewer images proves less, and no more is claimed (docs/verify.md): one image shows one side of each
change, so another writer's change that moves the marker by one as well looks like a touch; no image at all shows that
there was a change, not whose.
"""

from collections.abc import Callable, Iterable

from refire_async.model.proof import ProofCounts
from refire_async.verification.encoding import (
    ABSENT,
    AFTER,
    BEFORE,
    BOTH,
    FOREIGN,
    OPENED,
    READ,
    SURE,
    TOUCH,
    TOUCHED,
    Change,
    Claim,
    is_number,
)

CLOCKS_S = 15 * 60
"""Clocks may differ by this much where the service's is not known: no request that is signed with more is taken
(AWS: Signature Version 4)."""

LATE_S = 60.0
"""So long after the run's end, by the service's clock, a request that it gave up on may still be carried out."""


class Fate:
    """What is known of one item. `low`: the marker that the run read first, `new`: the one that it wrote."""

    __slots__ = (
        *(
            "after",
            "astray",
            "kind",
            "low",
            "matched",
            "new",
            "number",
            "others",
            "pending",
            "seen",
            "touches",
        ),
    )

    def __init__(self, low: int, new: int, number: int, kind: int) -> None:
        self.low, self.new, self.number, self.kind = low, new, number, kind
        self.matched = 0
        """Times that the stream has the very change which the run claims."""
        self.touches = 0
        """Other changes of nothing but the marker."""
        self.others = 0
        """Changes by other writers away from the marker that the run read first."""
        self.seen = 0
        """Changes of which nothing more is known."""
        self.after = low
        """The marker after the last change."""
        self.astray = False
        """Whether the stream has the very change which the run claims, at a time that is not the run's."""
        self.pending: int | None = None
        """The marker before a change whose other side only the next record tells."""

    def note_both(self, before: int, after: int, flags: int) -> None:
        """A change with both sides known: whether it was a touch is sure."""
        self._resolve(before)
        self.after = after
        if flags & TOUCH:
            if after == self.new:
                self.matched += 1
            elif self.matched or self._since_read(before):
                self.touches += 1
            return
        if ABSENT in (before, after) and not self.matched:
            self.touches = 0  # what was touched was an earlier item of this key
        if before == self.low != after:
            self.others += 1

    def note_after(self, after: int) -> None:
        """A change of which only the new image is known."""
        before, self.after = self.after, after
        if self.matched:
            self.touches += is_number(before) and after == before + 1
        elif after == self.new:
            self.matched = 1
        elif after != self.low:
            self.others += 1

    def note_before(self, before: int) -> None:
        """A change of which only the old image is known."""
        self._resolve(before)
        self.pending = None if before == ABSENT else before

    def finish(self) -> None:
        """There are no more changes."""
        if self.pending is not None and not self.matched and self.pending == self._replaced:
            self.matched = 1

    @property
    def _replaced(self) -> int:
        """The marker that the run's touch replaced."""
        return self.new - 1 if is_number(self.new) else self.low

    def _resolve(self, after: int) -> None:
        """The change before this one led to `after`."""
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
    claims: Iterable[Claim],
    changes: Iterable[Change],
    *,
    ended: float | None,
    missing: Callable[[int], None],
    late_s: float = CLOCKS_S,
    older: bool = False,
) -> ProofCounts:
    """What became of the items of one partition. Changes of an item are in their order.

    `ended` is when the run ended, None if it has not; records from more than `late_s` after it are not the run's.
    `older`: the markers that the run read are older than it. `missing` is told the numbers of claims that nothing in
    the stream bears out.
    """
    fates, elsewhere, opened = _fates(claims)
    last = float("inf") if ended is None else ended + late_s
    for key, before, after, second, flags in changes:
        fate = fates.get(key)
        if fate is None:
            continue
        sides = flags & BOTH
        if second > last:
            fate.astray |= bool(sides & AFTER) and after == fate.new and (key, after) not in elsewhere
            continue
        if opened and (older or not sides) and _is_before(second, opened.get(key), fate, after, flags):
            continue
        if flags == SURE and after == fate.new and fate.pending is None:
            fate.matched += 1
            fate.after = after
        elif sides & AFTER and elsewhere and after != fate.new and (key, after) in elsewhere:
            fate.others += 1
        elif sides == BOTH:
            fate.note_both(before, after, flags)
        elif sides == AFTER:
            fate.note_after(after)
        elif sides == BEFORE:
            fate.note_before(before)
        else:
            fate.seen += 1
    return _sum(fates.values(), missing)


def _is_before(second: int, opened: tuple[int, int] | None, fate: Fate, after: int, flags: int) -> bool:
    """Whether a record is from before anything of the run can have been written to its item."""
    if opened is None:
        return False
    touches_from, matches_from = opened
    if not flags & BOTH:
        return second < matches_from
    if not flags & AFTER or after != fate.new:
        return second < touches_from
    # TOUCHED is what the service has answered: no other touch from that marker came before.
    return second < matches_from and not (flags == SURE and fate.kind == TOUCHED)


def _fates(
    claims: Iterable[Claim],
) -> tuple[dict[bytes, Fate], set[tuple[bytes, int]], dict[bytes, tuple[int, int]]]:
    """Items by the digest of their key, the touches that other runs claim, and when items were opened."""
    fates: dict[bytes, Fate] = {}
    elsewhere: set[tuple[bytes, int]] = set()
    opened: dict[bytes, tuple[int, int]] = {}
    for key, low, new, number, kind in claims:
        if kind == FOREIGN:
            elsewhere.add((key, new))
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
    return fates, elsewhere, opened


def _sum(fates: Iterable[Fate], missing: Callable[[int], None]) -> ProofCounts:
    tally = ProofCounts()
    for fate in fates:
        if fate.kind == READ:
            continue
        fate.finish()
        tally.expected += 1
        touches = fate.matched + fate.touches
        if fate.kind == TOUCHED and not fate.matched and not fate.seen:
            if fate.astray:
                tally.unproven += 1
            else:
                tally.missing += 1
                missing(fate.number)
        elif touches > 1:
            tally.doubled += 1
        elif touches or fate.seen:
            tally.once += 1
            tally.repeats += fate.seen > 1
        elif fate.others:
            tally.by_others += 1
        else:
            tally.missing += 1
            missing(fate.number)
    return tally

"""Judges one partition: what is plain in bulk, the rest item by item. Pure.

An item is plain if the checkpoint has one row of it, a touch, and the stream has one, which is exactly that touch and
early enough. Then it counts as `once`, whatever else is in the partition (see `reconcile`, which judges the others).
Both rows begin with the same bytes: the digest of the key, the marker before, the marker after.
"""

from collections.abc import Callable, Iterable
from struct import Struct

from refire_async.model.proof import ProofCounts
from refire_async.verification.encoding import CERTAIN_TOUCH, EXPECTED_STRUCT, OBSERVED_STRUCT, TOUCHED
from refire_async.verification.reconcile import MAX_CLOCK_SKEW_S, reconcile

_HEAD_SIZE, _KEY_SIZE = 32, 16
_EXPECTED_HEAD = Struct(f"={_HEAD_SIZE}s{EXPECTED_STRUCT.size - _HEAD_SIZE}x")
_OBSERVED_HEAD = Struct(f"={_HEAD_SIZE}s{OBSERVED_STRUCT.size - _HEAD_SIZE}x")
_OBSERVED_TIMED = Struct(f"={_HEAD_SIZE}sIB")


def judge(
    expected: bytes,
    observed: bytes,
    *,
    ended: float | None,
    on_missing: Callable[[int], None],
    late_s: float = MAX_CLOCK_SKEW_S,
    markers_are_older: bool = False,
) -> ProofCounts:
    """As `reconcile`, with the same result, for packed rows."""
    plain = _plain(expected, observed, float("inf") if ended is None else ended + late_s)
    counts = ProofCounts(expected=len(plain), once=len(plain))
    if len(plain) * EXPECTED_STRUCT.size == len(expected):
        return counts
    done = _keys(plain)
    rows = [row for row in EXPECTED_STRUCT.iter_unpack(expected) if row[0] not in done]
    others = {row[0] for row in rows}
    rest = reconcile(
        rows,
        (row for row in OBSERVED_STRUCT.iter_unpack(observed) if row[0] in others),
        ended=ended,
        on_missing=on_missing,
        late_s=late_s,
        markers_are_older=markers_are_older,
    )
    counts.add(rest)
    return counts


def _plain(expected: bytes, observed: bytes, last: float) -> set[bytes]:
    """The heads of the plain items. Records from after `last` (seconds since the epoch) are not the run's."""
    kinds = expected[EXPECTED_STRUCT.size - 1 :: EXPECTED_STRUCT.size]
    wanted = [head for (head,) in _EXPECTED_HEAD.iter_unpack(expected)]
    seen = [head for (head,) in _OBSERVED_HEAD.iter_unpack(observed)]
    several = _repeated(wanted) | _repeated(seen)
    touched = {head for head, kind in zip(wanted, kinds, strict=True) if kind == TOUCHED}
    touches = {
        head
        for head, second, flags in _OBSERVED_TIMED.iter_unpack(observed)
        if flags == CERTAIN_TOUCH and second <= last
    }
    plain = touched & touches
    return {head for head in plain if head[:_KEY_SIZE] not in several} if several else plain


def _keys(heads: Iterable[bytes]) -> set[bytes]:
    return {head[:_KEY_SIZE] for head in heads}


def _repeated(heads: list[bytes]) -> set[bytes]:
    """The keys that more than one row has."""
    if len(_keys(heads)) == len(heads):
        return set()
    seen: set[bytes] = set()
    repeated: set[bytes] = set()
    for head in heads:
        key = head[:_KEY_SIZE]
        (repeated if key in seen else seen).add(key)
    return repeated

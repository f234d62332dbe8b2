"""Observed changes: encodes stream records as rows, with as much of the marker as the view type shows. Pure."""

from collections.abc import Callable
from typing import Any, TypeAlias

from refire_async.model.keys import AttributeValue, Item
from refire_async.model.marker import Marker, UntouchableError
from refire_async.model.run import RunSpec
from refire_async.verification.encoding import (
    ABSENT,
    AFTER,
    BEFORE,
    BOTH,
    CERTAIN_TOUCH,
    MAX_NUMBER_CODE,
    TOUCH,
    Codes,
    ObservedRow,
    code,
    digester,
    is_number,
)

Record: TypeAlias = dict[str, Any]
"""A record as GetRecords returns it."""

Encode: TypeAlias = Callable[[Record], ObservedRow]

_SETS = ("SS", "NS", "BS")


def encoder(spec: RunSpec) -> Encode:
    """A function that encodes records of the run's table. It removes the marker from the images of the record."""
    marker = spec.marker
    attribute = marker.attribute
    counts_up = marker.kind == "revision"
    digest, codes = digester(spec.keys.names), Codes()
    code_of = codes.of

    def encode(record: Record) -> ObservedRow:
        change = record["dynamodb"]
        old, new = change.get("OldImage"), change.get("NewImage")
        if old is not None and new is not None and counts_up:
            # Fast path: nearly all records.
            was, is_now = old.pop(attribute, None), new.pop(attribute, None)
            try:
                before = 0 if was is None else codes[was["N"]]
                after = codes[is_now["N"]]
            except (KeyError, TypeError):  # not a number, or one that is not cached yet
                before, after = code_of(was), code_of(is_now)
            flags = BOTH
            if before + 1 == after <= MAX_NUMBER_CODE and is_now is not None:
                touched = old == new or _same_item(old, new)
            else:
                touched = _is_touch(marker, was, is_now, before, after) and _same_item(old, new)
            if touched:
                flags = CERTAIN_TOUCH
            return digest(change["Keys"]), before, after, int(change["ApproximateCreationDateTime"]), flags
        kind, before, after, flags = record["eventName"], 0, 0, 0
        if kind == "INSERT":
            before, flags = ABSENT, BEFORE
        elif kind == "REMOVE":
            after, flags = ABSENT, AFTER
        was = is_now = None
        if old is not None:
            was = old.pop(attribute, None)
            before, flags = code_of(was), flags | BEFORE
        if new is not None:
            is_now = new.pop(attribute, None)
            after, flags = code_of(is_now), flags | AFTER
        if old is not None and new is not None and _is_touch(marker, was, is_now, before, after):
            flags |= TOUCH if old == new or _same_item(old, new) else 0
        return digest(change["Keys"]), before, after, int(change["ApproximateCreationDateTime"]), flags

    return encode


def _is_touch(
    marker: Marker, old: AttributeValue | None, new: AttributeValue | None, before: int, after: int
) -> bool:
    """Whether the marker changed as a run with this marker changes it."""
    if new is None or before == after:
        return False
    if marker.kind == "revision" and is_number(before) and is_number(after):
        return after == before + 1
    try:
        return code(marker.next(old)) == after
    except UntouchableError:
        return False


def _same_item(one: Item, other: Item) -> bool:
    """Whether two images are equal. The members of a set have no order."""
    return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)


def _same(one: AttributeValue, other: AttributeValue) -> bool:
    if one == other:
        return True
    ((kind, left),), ((other_kind, right),) = one.items(), other.items()
    if kind != other_kind:
        return False
    if kind in _SETS:
        return sorted(left) == sorted(right)
    if kind == "M":
        return _same_item(left, right)
    if kind == "L":
        return len(left) == len(right) and all(map(_same, left, right))
    return False

"""The demo counts every kind of failure of a re-fire: missing, doubled, unexpected and other changes."""

from typing import Any

import pytest

from refire_async.cli.demo_stream import EventCounter, EventCounts

KEYS = ("a", "b", "c")


def record(key: str, revision: int | None = 1, *, name: str = "MODIFY", city: str = "Oslo") -> dict[str, Any]:
    """A stream record of a touch."""
    old = {"id": {"S": key}, "city": {"S": "Oslo"}}
    new = {"id": {"S": key}, "city": {"S": city}}
    if revision is not None:
        new["revision"] = {"N": str(revision)}
    return {"eventName": name, "dynamodb": {"Keys": {"id": {"S": key}}, "OldImage": old, "NewImage": new}}


def counts_of(*records: dict[str, Any]) -> EventCounts:
    """The counts of these records for the three items."""
    counter = EventCounter(KEYS, "id", "revision")
    for one in records:
        counter.add([one])
    return counter.counts()


def test_exactly_one_event_per_item() -> None:
    """The only case that is proven."""
    counts = counts_of(*(record(key) for key in KEYS))
    assert counts == EventCounts(
        items=3, events=3, once=3, missing=0, doubled=0, otherwise_changed=0, strangers=0
    )
    assert counts.proven


GOOD = tuple(record(key) for key in KEYS)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ((), {"missing": 3, "once": 0}),
        (GOOD[:2], {"missing": 1, "once": 2}),
        ((*GOOD, record("a", 2)), {"doubled": 1, "once": 2, "events": 4}),
        ((*GOOD[:2], record("c", city="Rome")), {"otherwise_changed": 1, "once": 3}),
        ((*GOOD, record("x")), {"strangers": 1, "once": 3, "events": 4}),
        ((*GOOD, record("a", name="REMOVE")), {"strangers": 1, "once": 3}),
        ((*GOOD[:2], record("b")), {"missing": 1, "doubled": 1, "once": 1, "events": 3}),
    ],
    ids=[
        "nothing",
        "one missing",
        "one doubled",
        "other change",
        "unknown item",
        "deletion",
        "missing and doubled",
    ],
)
def test_anything_else_is_not_proven(records: tuple[dict[str, Any], ...], expected: dict[str, int]) -> None:
    """Each failure has its own count."""
    counts = counts_of(*records)
    assert not counts.proven
    for name, number in expected.items():
        assert getattr(counts, name) == number, name

"""The demo's proof can fail: every way in which a re-fire could go wrong shows in it."""

from typing import Any

import pytest

from refire_async.cli.demo_stream import Proof, Tally

KEYS = ("a", "b", "c")


def record(key: str, revision: int | None = 1, *, name: str = "MODIFY", city: str = "Oslo") -> dict[str, Any]:
    """A stream record of a touch."""
    old = {"id": {"S": key}, "city": {"S": "Oslo"}}
    new = {"id": {"S": key}, "city": {"S": city}}
    if revision is not None:
        new["revision"] = {"N": str(revision)}
    return {"eventName": name, "dynamodb": {"Keys": {"id": {"S": key}}, "OldImage": old, "NewImage": new}}


def proof_of(*records: dict[str, Any]) -> Proof:
    """What these records prove about the three items."""
    tally = Tally(KEYS, "id", "revision")
    for one in records:
        tally.add([one])
    return tally.proof()


def test_exactly_one_event_per_item() -> None:
    """The good case, and the only one that holds."""
    proof = proof_of(*(record(key) for key in KEYS))
    assert proof == Proof(items=3, events=3, once=3, missing=0, doubled=0, otherwise_changed=0, strangers=0)
    assert proof.holds


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
def test_anything_else_does_not_hold(records: tuple[dict[str, Any], ...], expected: dict[str, int]) -> None:
    """What is wrong is counted as what it is."""
    proof = proof_of(*records)
    assert not proof.holds
    for name, number in expected.items():
        assert getattr(proof, name) == number, name

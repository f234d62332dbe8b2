"""What limited the rate: one cause for each point, the first that applies."""

from typing import Any

import pytest

from refire_async.model.series import Note, Point
from refire_async.output.html.causes import IDLE, REST, causes
from refire_async.output.html.track import lay_out

START = {"max_rcu": 100.0, "settings": {"max_rate": 50.0}}
HOT = "TableWriteKeyRangeThroughputExceeded orders"


def point(at: float, **more: Any) -> Point:
    return Point(at, 1.0, **{"items": 20, "budget": 100.0, "allowed": 100.0, "wcu": {"": 20.0}, **more})


def labels(*points: Point, notes: tuple[Note, ...] = ()) -> list[str]:
    track = lay_out(points, [0.0])
    assert track is not None
    return [cause.label for cause in causes(track, [Note(0.0, "start", START), *notes])]


@pytest.mark.parametrize(
    ("more", "label"),
    [
        ({"wcu": {"": 90.0}}, "the write budget"),
        ({"wcu": {"": 30.0, "g": 30.0}, "index_budgets": {"g": 31.0}}, "the budget of index g"),
        ({"items": 48}, "--max-rate 50"),
        ({"rcu": 95.0}, "the read budget"),
        ({"throttled": {HOT: 5}}, "throttling: table writes: hot key range"),
        ({"throttled": {HOT: 5}, "wcu": {"": 90.0}}, "throttling: table writes: hot key range"),
        ({"items": 0, "wcu": {}}, IDLE),
        ({}, REST),
    ],
)
def test_a_point(more: dict[str, Any], label: str):
    assert labels(point(0.0, **more)) == [label]


def test_a_rate_that_is_still_reduced_counts_as_throttled():
    """Nothing is refused any more, but the rate is still rising: the cause is the last reason."""
    found = labels(point(0.0, throttled={HOT: 9}), point(1.0, allowed=60.0), point(2.0))
    assert found == ["throttling: table writes: hot key range"] * 2 + [REST]


def test_pauses_outages_and_budgets_have_their_reasons():
    points = [point(float(at)) for at in range(30)]
    points[25] = point(25.0, wcu={"": 90.0})
    notes = (
        Note(3.0, "pause", {"why": "you, by refire rate"}),
        Note(5.0, "unpause", {"why": "you"}),
        Note(15.0, "wait", {"reason": "ConnectError"}),
        Note(20.0, "recover", {"after_s": 10.0}),
        Note(24.0, "budget", {"wcu": 100.0, "rcu": 100.0, "why": "live traffic"}),
    )
    found = labels(*points, notes=notes)
    assert [at for at, label in enumerate(found) if label == "a pause: you, by refire rate"] == [3, 4]
    waits = [at for at, label in enumerate(found) if label == "no answer from the service: ConnectError"]
    assert waits == list(range(10, 20)), "from its beginning, not from when it was reported"
    assert found[25] == "the write budget: live traffic"

"""Reading a stream: which shards, in which order, until when, and how trimmed records are reported."""

import time
from typing import Any

import anyio
import pytest

from refire_async.aws.streams import parse_records
from refire_async.model.units import STREAM_RETENTION_S
from refire_async.verification.follower import Follower
from tests.support.virtual_time import run_virtual
from tests.verification.records import SECOND, FakeShard, FakeStream, touch


def names(records: list[dict[str, Any]]) -> list[str]:
    return [one["dynamodb"]["Keys"]["pk"]["S"] for one in records]


def followed(
    stream: FakeStream, *, since: float = SECOND - 100.0, until: float = SECOND + 1000.0
) -> Follower:
    """A follower that has caught up with the stream. The names of the items that it read are in `taken`."""
    taken: list[str] = []

    async def on_answer(answer: bytes) -> float | None:
        records = parse_records(answer)
        taken.extend(names(records))
        return records[-1]["dynamodb"]["ApproximateCreationDateTime"] if records else None

    async def main() -> Follower:
        follower = Follower(stream, "arn", since=since, on_answer=on_answer)  # type: ignore[arg-type] # the same methods
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follower.run)
            with anyio.fail_after(600):
                await follower.caught_up(until)
            tasks.cancel_scope.cancel()
        return follower

    follower = run_virtual(main)
    follower.taken = taken  # type: ignore[attr-defined]
    return follower


def test_a_shard_that_splits_in_the_middle_is_followed_into_its_children():
    """The parent's records come before those of its children, which did not exist when reading started."""
    stream = FakeStream(
        {
            "p": FakeShard([[touch("a", 1)], [], [touch("a", 2)]], closed=True),
            "c1": FakeShard([[touch("a", 3)]], parent="p"),
            "c2": FakeShard([[touch("b", 1)]], parent="p", closed=True),
            "g": FakeShard([[touch("b", 2)]], parent="c2"),
        },
        hidden={"c1", "c2", "g"},
    )
    follower = followed(stream)
    assert [one for one in follower.taken if one == "a"] == ["a"] * 3  # type: ignore[attr-defined]
    assert sorted(follower.taken) == ["a", "a", "a", "b", "b"]  # type: ignore[attr-defined]
    assert stream.read.index("p") < stream.read.index("c1")
    assert stream.read.index("c2") < stream.read.index("g")
    assert follower.shards_read == 4


def test_a_child_that_the_first_listing_lacks_is_followed():
    """A listing that is made during a split has the parent as open, and one of its two children."""
    stream = FakeStream(
        {
            "p": FakeShard([[touch("a", 1)]], closed=True, listed_as_open=True),
            "c1": FakeShard([[touch("a", 2)]], parent="p"),
            "c2": FakeShard([[touch("b", 1)]], parent="p"),
        },
        hidden={"c2"},
    )
    assert sorted(followed(stream).taken) == ["a", "a", "b"]  # type: ignore[attr-defined]


def test_shards_that_split_at_the_same_time_are_all_followed():
    """The listing when the first shard ends also contains the children and grandchildren of the others."""
    stream = FakeStream(
        {
            "p": FakeShard([[touch("a", 1)]], closed=True),
            "q": FakeShard([[touch("b", 1)], [], [touch("b", 2)]], closed=True),
            "p1": FakeShard([[touch("a", 2)]], parent="p", closed=True),
            "q1": FakeShard([[touch("b", 3)]], parent="q"),
            "p11": FakeShard([[touch("a", 3)]], parent="p1"),
        },
        hidden={"p1", "q1", "p11"},
        at_once=True,
    )
    follower = followed(stream)
    assert sorted(follower.taken) == ["a"] * 3 + ["b"] * 3  # type: ignore[attr-defined]
    assert follower.shards_read == 5


def test_shards_that_were_closed_before_the_run_are_not_read():
    """If a child's first record is older than the run, its parent has no records of the run."""
    old, new = SECOND - 5_000, SECOND
    stream = FakeStream(
        {
            "old": FakeShard([[touch("x", 1, second=old - 10)]], closed=True),
            "middle": FakeShard([[touch("y", 1, second=old)], [touch("a", 1)]], parent="old", closed=True),
            "open": FakeShard([[touch("a", 2, second=new)]], parent="middle"),
        }
    )
    follower = followed(stream)
    assert "old" not in stream.read
    assert follower.taken == ["y", "a", "a"]  # type: ignore[attr-defined]


def test_the_parent_of_an_empty_child_is_read():
    stream = FakeStream(
        {
            "p": FakeShard([[touch("a", 1)]], closed=True),
            "c": FakeShard([], parent="p"),
        }
    )
    assert followed(stream).taken == ["a"]  # type: ignore[attr-defined]


def test_an_empty_answer_is_not_the_end():
    """The service may return empty answers before the newest record."""
    stream = FakeStream({"s": FakeShard([[], [], [touch("a", 1)], [], [], [], [touch("b", 1)]])})
    assert followed(stream).taken == ["a", "b"]  # type: ignore[attr-defined]


def test_a_busy_stream_is_read_up_to_records_from_after_the_run():
    """Other writers never stop; the first of their records from after the run ends the reading."""
    busy = [[touch(f"k{n}", 1, second=SECOND + n)] for n in range(2_000)]
    follower = followed(FakeStream({"s": FakeShard(busy)}), until=SECOND + 500.0)
    assert 500 < len(follower.taken) < 600  # type: ignore[attr-defined]


def test_a_stream_without_shards_is_caught_up_with():
    assert followed(FakeStream({})).shards_read == 0


def test_trimmed_records_are_reported():
    """Reading continues with the records that are left, and `lost_before` says from when on the stream is complete."""
    stream = FakeStream({"s": FakeShard([[touch("a", 1)]], trimmed=1)})
    follower = followed(stream)
    assert follower.taken == ["a"]  # type: ignore[attr-defined]
    assert follower.lost_before == pytest.approx(time.time() - STREAM_RETENTION_S, abs=60)

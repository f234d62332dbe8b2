"""The walk over shards, with a stream in memory: what lists lack, what is gone, and when an open shard ends."""

from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.streams import Shard
from refire_async.delivery.sources.shards import ShardWalk
from refire_async.delivery.sources.slicing import SlicedAnswer

ARN = "arn:aws:dynamodb:eu-west-1:1:table/t/stream/2026"


def answer(*numbers: int) -> bytes:
    """An answer with these records, made at the second of their number."""
    records = [
        {
            "eventName": "MODIFY",
            "dynamodb": {
                "ApproximateCreationDateTime": number,
                "Keys": {"pk": {"S": "a"}},
                "SequenceNumber": str(number),
            },
        }
        for number in numbers
    ]
    return orjson.dumps({"Records": records})


class FakeReader:
    """Lists and answers in order. An error is raised once; an open shard continues with empty answers."""

    def __init__(self, lists: list[list[Shard]], answers: dict[str, list[bytes | AwsError]]) -> None:
        self._lists = lists
        self._answers = answers
        self.starts: list[tuple[str, str | None, float | None]] = []
        self.listed = 0

    async def shards(self, _arn: str) -> list[Shard]:
        self.listed += 1
        return self._lists.pop(0) if len(self._lists) > 1 else self._lists[0]

    async def answers(
        self, _arn: str, shard: str, *, after: str | None = None, since: float | None = None
    ) -> AsyncGenerator[bytes, None]:
        self.starts.append((shard, after, since))
        found = self._answers[shard]
        while found:
            one = found.pop(0)
            if isinstance(one, AwsError):
                raise one
            yield one
        if next(one for one in self._lists[-1] if one.id == shard).is_open:
            while True:
                yield answer()


class Walk:
    """A walk, what it read, and in which order."""

    def __init__(self, reader: FakeReader, until: float = 1_000.0) -> None:
        self.reader = reader
        self.read: dict[str, list[int]] = {}
        self.lost: list[tuple[str, float]] = []
        self.waits: list[float] = []
        self.now = 500.0
        self._until = until

    async def run(self) -> "Walk":
        """Read everything."""

        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)
            self.now += 100 * seconds

        def lost(shard: str, before: float, _why: str) -> None:
            self.lost.append((shard, before))

        walk = ShardWalk(self.reader, ARN, 5.0, lost, now=lambda: self.now, sleep=sleep)  # type: ignore[arg-type]

        async def read(shard: str) -> bool:
            found = self.read.setdefault(shard, [])

            async def take(sliced: SlicedAnswer) -> None:
                found.extend(record.sequence for record in sliced.records)

            return await walk.read(shard, take, until=self._until)

        await walk.run(read)
        return self


OPEN, CLOSED = Shard("p", None, "1", None), Shard("p", None, "1", "9")
ONE, TWO = Shard("c1", "p", "10", "19"), Shard("c2", "p", "10", "19")


async def test_a_child_that_the_first_list_lacks() -> None:
    """A list that was made during a split has one of two children: another one is asked for."""
    reader = FakeReader(
        [[OPEN, ONE], [CLOSED, ONE, TWO]], {"p": [answer(1)], "c1": [answer(11)], "c2": [answer(12)]}
    )
    walk = await Walk(reader).run()
    assert walk.read == {"p": [1], "c1": [11], "c2": [12]}


async def test_children_that_are_listed_later() -> None:
    """A shard that has just been closed has children a little later."""
    reader = FakeReader([[OPEN], [CLOSED], [CLOSED, ONE]], {"p": [answer(1)], "c1": [answer(11)]})
    walk = await Walk(reader).run()
    assert walk.read == {"p": [1], "c1": [11]}
    assert walk.waits == [1.0] * 3  # two of them for children of the last one


async def test_known_children_cost_no_list() -> None:
    """One list for all shards that are closed in it."""
    reader = FakeReader([[CLOSED, ONE, TWO]], {"p": [], "c1": [answer(11)], "c2": []})
    await Walk(reader, until=11.0).run()
    assert reader.listed < 5


async def test_an_open_shard_ends_after_the_time() -> None:
    """Empty answers from before `until` prove nothing, nor does one after it."""
    walk = await Walk(FakeReader([[OPEN]], {"p": [answer(), answer(7), answer()]})).run()
    assert walk.read == {"p": [7]}
    assert walk.now >= 1_000 + 7 * 25


async def test_a_late_record_ends_a_shard() -> None:
    """Its answer is taken whole: the caller leaves out what is too late."""
    walk = await Walk(FakeReader([[OPEN]], {"p": [answer(7), answer(999, 1000), answer(1001)]})).run()
    assert walk.read == {"p": [7, 999, 1000]}


TRIMMED = AwsError("TrimmedDataAccessException", "gone", Disposition.FATAL)


async def test_trimmed_in_the_middle() -> None:
    """The loss is named, and reading continues with what is left."""
    reader = FakeReader([[CLOSED]], {"p": [answer(1), TRIMMED, answer(7), TRIMMED, answer(9)]})
    walk = await Walk(reader, until=8.0).run()
    assert walk.read == {"p": [1, 7, 9]}
    assert [shard for shard, _ in walk.lost] == ["p", "p"]
    assert walk.lost[0][1] == pytest.approx(500 - 86_400)
    assert reader.starts == [("p", None, 5.0)] * 3


async def test_a_shard_that_is_gone() -> None:
    """Trimmed away between list and read: named, and its children are read."""
    gone = AwsError("ResourceNotFoundException", "no", Disposition.FATAL)
    walk = await Walk(FakeReader([[CLOSED, ONE]], {"p": [gone], "c1": [answer(11)]})).run()
    assert walk.read == {"p": [], "c1": [11]}
    assert [shard for shard, _ in walk.lost] == ["p"]


async def test_other_errors_end_the_walk() -> None:
    """As what they are, not as a group; nothing can be read for ever."""
    refused = AwsError("AccessDeniedException", "not allowed", Disposition.FATAL)
    with pytest.raises(AwsError, match="not allowed"):
        await Walk(FakeReader([[CLOSED]], {"p": [answer(1), refused]})).run()
    always: list[Any] = [TRIMMED] * 10
    with pytest.raises(AwsError, match="gone"):
        await Walk(FakeReader([[CLOSED]], {"p": always})).run()

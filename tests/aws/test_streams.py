"""Reading a stream: every record, in order, across expired iterators and failures."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws.errors import AwsError, Disposition, lost_answer
from refire_async.aws.streams import Shard, StreamReader, last_number, next_iterator, parents_first
from refire_async.aws.types import Request, Response

ARN = "arn:aws:dynamodb:eu-west-1:1:table/t/stream/2026"


@given(
    parents=st.lists(st.integers(0, 20), max_size=20).map(lambda picks: [pick - 1 for pick in picks]),
    shuffle=st.randoms(use_true_random=False),
)
def test_parents_first(parents: list[int], shuffle: Any) -> None:
    """Every shard once, each after its parent; trimmed or unknown parents are ignored."""
    shards = [
        Shard(str(number), str(parent) if parent >= 0 and parent != number else None, "1", None)
        for number, parent in enumerate(min(parent, number) for number, parent in enumerate(parents))
    ]
    shuffled = shuffle.sample(shards, len(shards))
    ordered = parents_first(shuffled)
    assert sorted(ordered, key=lambda shard: int(shard.id)) == shards
    place = {shard.id: position for position, shard in enumerate(ordered)}
    assert all(place[shard.parent] < place[shard.id] for shard in ordered if shard.parent in place)


class Script:
    """A transport that answers from a list and records its requests."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.opened = 0
        self.waits: list[float] = []

    async def __call__(self, request: Request) -> Response:
        self.asked.append((request.operation, orjson.loads(request.body)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, bytes):
            return Response(200, {}, answer)
        status = 400 if "__type" in answer else 200
        return Response(status, {}, orjson.dumps(answer))

    def reader(self) -> StreamReader:
        async def opened() -> "Script":
            self.opened += 1
            return self

        async def waited(seconds: float) -> None:
            self.waits.append(seconds)

        return StreamReader(opened, waited)


def record(number: str) -> dict[str, Any]:
    return {
        "eventName": "MODIFY",
        "dynamodb": {
            "SequenceNumber": number,
            "Keys": {"k": {"B": "AA=="}},
            "ApproximateCreationDateTime": 1,
        },
    }


async def read(script: Script, **options: Any) -> list[str]:
    """Sequence numbers of a shard that ends."""
    return [
        entry["dynamodb"]["SequenceNumber"]
        async for page in script.reader().records(ARN, "s", **options)
        for entry in page
    ]


async def test_shards_of_all_pages() -> None:
    """DescribeStream returns many shards in pages."""
    first = {"ShardId": "b", "ParentShardId": "a", "SequenceNumberRange": {"StartingSequenceNumber": "5"}}
    second = {
        "ShardId": "a",
        "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "4"},
    }
    script = Script(
        {"StreamDescription": {"Shards": [first], "LastEvaluatedShardId": "b"}},
        {"StreamDescription": {"Shards": [second]}},
    )
    shards = await script.reader().shards(ARN)
    assert shards == [Shard("a", None, "1", "4"), Shard("b", "a", "5", None)]
    assert [shard.is_open for shard in shards] == [False, True]
    assert script.asked[1] == ("DescribeStream", {"StreamArn": ARN, "ExclusiveStartShardId": "b"})
    assert script.opened == 1


async def test_closed_shard_is_read_to_its_end() -> None:
    """From the oldest record on, until there is no next iterator; some pages may be empty."""
    script = Script(
        {"ShardIterator": "i1"},
        {"Records": [record("1"), record("2")], "NextShardIterator": "i2"},
        {"Records": [], "NextShardIterator": "i3"},
        {"Records": [record("3")]},
    )
    assert await read(script) == ["1", "2", "3"]
    assert script.asked[0][1]["ShardIteratorType"] == "TRIM_HORIZON"
    assert [body["ShardIterator"] for _, body in script.asked[1:]] == ["i1", "i2", "i3"]


async def test_start_after_a_record() -> None:
    """Reading continues after the last record."""
    script = Script({"ShardIterator": "i"}, {"Records": [record("8")]})
    assert await read(script, after="7") == ["8"]
    assert script.asked[0][1] | {"StreamArn": ARN} == {
        "StreamArn": ARN,
        "ShardId": "s",
        "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
        "SequenceNumber": "7",
    }


async def test_nothing_new_is_an_empty_page() -> None:
    """An open shard never ends: the caller receives an empty page, and decides."""
    script = Script({"ShardIterator": "i"}, {"Records": [], "NextShardIterator": "i"})
    pages = script.reader().records(ARN, "s")
    assert await anext(pages) == []
    await pages.aclose()


async def test_expired_iterator_is_renewed_after_the_last_record() -> None:
    """A caller that takes more than 15 minutes per page loses no record and gets none twice."""
    expired = {"__type": "x#ExpiredIteratorException", "message": "too old"}
    script = Script(
        {"ShardIterator": "i1"},
        expired,
        {"ShardIterator": "i2"},
        {"Records": [record("1")], "NextShardIterator": "i3"},
        expired,
        {"ShardIterator": "i4"},
        {"Records": [record("2")]},
    )
    assert await read(script) == ["1", "2"]
    starts = [
        body.get("SequenceNumber") for operation, body in script.asked if operation == "GetShardIterator"
    ]
    assert starts == [None, None, "1"]
    assert not script.waits


async def test_trimmed_records_are_an_error() -> None:
    """A gap must not look like the end."""
    script = Script(
        {"ShardIterator": "i1"}, {"__type": "x#TrimmedDataAccessException", "message": "older than 24 hours"}
    )
    with pytest.raises(AwsError, match="24 hours") as caught:
        await read(script)
    assert caught.value.disposition is Disposition.FATAL


@pytest.mark.parametrize(
    "temporary",
    [
        {"__type": "x#ProvisionedThroughputExceededException"},
        {"__type": "x#LimitExceededException"},
        lost_answer("Timeout", "no answer"),
        b"{",
        b"[]",
    ],
    ids=["throttled", "limit", "lost", "half", "no object"],
)
async def test_temporary_failures_are_retried(temporary: Any) -> None:
    """The iterator stays the same, the delays grow up to a ceiling, and the number of tries is limited."""
    script = Script({"ShardIterator": "i1"}, temporary, temporary, {"Records": [record("1")]})
    assert await read(script) == ["1"]
    assert [body["ShardIterator"] for _, body in script.asked[1:]] == ["i1"] * 3

    script = Script(*[temporary] * 100)
    with pytest.raises(AwsError):
        await read(script)
    assert len(script.asked) == 8
    assert len(script.waits) == 7
    assert all(0 <= wait <= min(0.1 * 2**number, 5) for number, wait in enumerate(script.waits))


async def test_permanent_errors_are_not_retried() -> None:
    """A retry could not succeed."""
    script = Script({"__type": "x#AccessDeniedException", "message": "no"})
    with pytest.raises(AwsError, match="dynamodb:GetShardIterator"):
        await read(script)
    assert len(script.asked) == 1


async def test_start_at_a_time() -> None:
    """The service finds the position. If it does not support such an iterator, the whole shard is read."""
    script = Script({"ShardIterator": "i"}, {"Records": [record("8")]})
    answers = [answer async for answer in script.reader().answers(ARN, "s", since=1796095735.5)]
    assert [orjson.loads(answer)["Records"] for answer in answers] == [[record("8")]]
    assert script.asked[0][1] | {"StreamArn": ARN} == {
        "StreamArn": ARN,
        "ShardId": "s",
        "ShardIteratorType": "AT_TIMESTAMP",
        "Timestamp": 1796095735.5,
    }

    refused = {"__type": "com.amazon.coral.validate#ValidationException", "message": "AT_TIMESTAMP"}
    script = Script(refused, {"ShardIterator": "i"}, {"Records": [record("1")]})
    assert len([answer async for answer in script.reader().answers(ARN, "s", since=1.0)]) == 1
    assert script.asked[1][1]["ShardIteratorType"] == "TRIM_HORIZON"

    gone = {"__type": "x#ResourceNotFoundException", "message": "no"}
    with pytest.raises(AwsError, match="no"):
        _ = [answer async for answer in Script(gone).reader().answers(ARN, "s", since=1.0)]


@pytest.mark.parametrize("blanks", [False, True])
@pytest.mark.parametrize("iterator", ["abc", 'a"b\\', None])
def test_ends_of_an_answer(iterator: str | None, blanks: bool) -> None:
    """Iterator and last number are found from the end, with any images and any JSON formatting."""
    hostile = {"SequenceNumber": {"S": '"SequenceNumber":"9"],"NextShardIterator":"x"}'}}
    last = record("12")
    last["dynamodb"] |= {"NewImage": {"NextShardIterator": {"S": "y"}, **hostile}}
    for records, number in (([], None), ([record("7"), last], "12")):
        answer: dict[str, Any] = {"Records": records}
        forms: tuple[dict[str, Any], ...]
        if iterator is not None:
            answer["NextShardIterator"] = iterator
            forms = (answer, dict(reversed(answer.items())))
        else:
            forms = ({"NextShardIterator": None, **answer}, {**answer, "NextShardIterator": None}, answer)
        for form in forms:
            body = json.dumps(form, separators=None if blanks else (",", ":")).encode()
            assert next_iterator(body) == iterator
            assert last_number(body) == number

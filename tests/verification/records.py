"""Stream records as GetRecords returns them, and a fake stream whose shards are in memory."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import orjson

from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.streams import Shard, parents_first
from refire_async.model.keys import Item
from tests.support.checkpoints import item

BOTH, NEW, OLD, KEYS = "NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"
SECOND = 1_700_000_000


def record(
    old: Item | None, new: Item | None, *, view: str = BOTH, second: int = SECOND, number: int = 0
) -> dict[str, Any]:
    """The record of a change from `old` to `new`, of table `orders` with hash key `pk`."""
    image = new or old
    assert image is not None
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": float(second),
        "Keys": {"pk": image["pk"]},
        "SequenceNumber": str(10**23 + number),
    }
    if new is not None and view in (BOTH, NEW):
        change["NewImage"] = dict(new)
    if old is not None and view in (BOTH, OLD):
        change["OldImage"] = dict(old)
    return {
        "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        "dynamodb": change,
    }


def touch(name: str, before: int | None, *, view: str = BOTH, second: int = SECOND) -> dict[str, Any]:
    """The record of a touch of item `name`, whose marker was `before` (None: missing)."""
    return record(item(name, before), item(name, (before or 0) + 1), view=view, second=second)


@dataclass
class FakeShard:
    """A shard: answers in order, each a list of records. A `closed` shard ends after the last answer."""

    answers: list[list[dict[str, Any]]]
    parent: str | None = None
    closed: bool = False
    trimmed: int = 0
    """How many of the next reads fail because the oldest records were trimmed."""

    listed_as_open: bool = False
    """Whether it is listed as open until it is read to its end."""


@dataclass
class FakeStream:
    """The methods of a StreamReader that `Follower` calls.

    `hidden` shards appear when their parent is read to its end, or with `at_once` all when any shard is.
    """

    all: dict[str, FakeShard]
    hidden: set[str] = field(default_factory=set)
    at_once: bool = False
    read: list[str] = field(default_factory=list)
    """Shards in the order in which the reads started."""

    async def shards(self, _arn: str) -> list[Shard]:
        return parents_first(
            Shard(name, shard.parent, "1", "2" if shard.closed and not shard.listed_as_open else None)
            for name, shard in self.all.items()
            if name not in self.hidden
        )

    async def answers(
        self, _arn: str, shard_id: str, *, after: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        assert after is None
        shard = self.all[shard_id]
        self.read.append(shard_id)
        if shard.trimmed:
            shard.trimmed -= 1
            raise AwsError("TrimmedDataAccessException", "gone", Disposition.FATAL)
        for answer in shard.answers:
            yield orjson.dumps({"Records": answer})
        if shard.closed:
            shard.listed_as_open = False
            self.hidden -= {
                name for name, child in self.all.items() if self.at_once or child.parent == shard_id
            }
            return
        while True:
            yield b'{"Records":[]}'

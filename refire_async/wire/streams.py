"""Reading a table's stream back: for proof and for the demo, not for speed."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard of a stream. Sequence numbers are decimal texts; `last` is None while the shard is open."""

    id: str
    parent: str | None
    first: str
    last: str | None

    @property
    def is_open(self) -> bool:
        """Whether records may still be added."""
        return self.last is None


def parents_first(shards: Iterable[Shard]) -> list[Shard]:
    """The shards in an order in which each item's records are in theirs."""
    raise NotImplementedError


class StreamReader:
    """Reads DynamoDB Streams. Every error is a WireError."""

    async def shards(self, stream_arn: str) -> list[Shard]:
        """All shards that the stream still has, parents before children."""
        raise NotImplementedError

    def records(
        self, stream_arn: str, shard_id: str, *, after: str | None = None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Raw records of a shard, page by page; see the final docstring."""
        raise NotImplementedError

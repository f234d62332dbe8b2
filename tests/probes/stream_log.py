"""All records of a probe table's stream, by hash key, read as far as a probe needs them."""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.probes.facts import DiffersError
from tests.probes.tables import PK

Record = dict[str, Any]

_POLL_S = 0.25
"""Between two looks at a shard: five calls a second are allowed."""


@dataclass(slots=True)
class StreamLog:
    """Reads a stream from its beginning. `client` is a boto3 client of DynamoDB Streams."""

    client: Any
    arn: str
    timeout_s: float
    """How long a record may take to appear."""
    polls_s: float = _POLL_S
    _records: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    _iterators: dict[str, str | None] = field(default_factory=dict)

    def of(self, key: str, count: int) -> list[Record]:
        """The records of the items with this hash key, at least `count`, oldest first.

        Raises DiffersError if fewer appear. To see that a write has no record, a probe changes the same item once more
        and waits for the record of that change: records of an item are in order.
        """
        deadline = time.monotonic() + self.timeout_s
        while True:
            self._read()
            if len(self._records[key]) >= count:
                return self._records[key]
            if time.monotonic() > deadline:
                found = [record["eventName"] for record in self._records[key]]
                raise DiffersError(
                    f"{len(found)} of {count} records within {self.timeout_s:g} s: {', '.join(found) or 'none'}"
                )
            time.sleep(self.polls_s)

    def shards(self) -> list[dict[str, Any]]:
        """All shards as DescribeStream has them."""
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {"StreamArn": self.arn}
        while True:
            description = self.client.describe_stream(**page)["StreamDescription"]
            found += description["Shards"]
            if "LastEvaluatedShardId" not in description:
                return found
            page["ExclusiveStartShardId"] = description["LastEvaluatedShardId"]

    def shard_of(self, key: str) -> str:
        """The shard that has a record of this key. Raises DiffersError."""
        (record,) = self.of(key, 1)[:1]
        shard: str = record["shard"]
        return shard

    def _read(self) -> None:
        for shard in self.shards():
            self._read_shard(shard["ShardId"])

    def _read_shard(self, shard: str) -> None:
        if shard not in self._iterators:
            self._iterators[shard] = self.iterator(shard, "TRIM_HORIZON")
        while (iterator := self._iterators[shard]) is not None:
            page = self.client.get_records(ShardIterator=iterator)
            self._iterators[shard] = page.get("NextShardIterator")
            for record in page["Records"]:
                self._records[record["dynamodb"]["Keys"][PK]["S"]].append({**record, "shard": shard})
            if not page["Records"]:
                return

    def iterator(self, shard: str, kind: str, **more: Any) -> str | None:
        """An iterator of this type in a shard."""
        answer = self.client.get_shard_iterator(
            StreamArn=self.arn, ShardId=shard, ShardIteratorType=kind, **more
        )
        found: str | None = answer.get("ShardIterator")
        return found

"""A Lambda function behind a sandbox's stream, in the same loop and on the same clock, with its metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from tests.support.inprocess_server import InProcess
from tests.support.lambda_functions import Function

POLL_S = 0.25
"""How often Lambda polls a shard (Lambda Developer Guide: Using Lambda with DynamoDB)."""

MOST_RECORDS = 1_000
"""Of one GetRecords (DynamoDB API reference)."""


@dataclass(frozen=True, slots=True)
class Poll:
    """What a quarter of a second brought: its moment (the loop's), share of it with work, and the highest age (s)."""

    at: float
    busy: float
    age_s: float


class StreamConsumer:
    """Handles `rate(seconds since its start)` records a second, each shard its part of them."""

    def __init__(
        self, db: InProcess, function: Function, rate: Callable[[float], float], table: str = "orders"
    ) -> None:
        self._db, self._function, self._rate, self._table = db, function, rate, table
        self.polls: list[Poll] = []
        self.handled = 0
        self._iterators: dict[str, str | None] = {}

    async def run(self) -> None:
        """Handle records until cancelled."""
        arn = self._db("DescribeTable", TableName=self._table)["Table"]["LatestStreamArn"]
        for shard in self._db("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]:
            start = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "LATEST"}
            self._iterators[shard["ShardId"]] = self._db("GetShardIterator", **start)["ShardIterator"]
        begun, can = anyio.current_time(), 0.0
        while True:
            await anyio.sleep(POLL_S)
            can = min(can, 1.0) + self._rate(anyio.current_time() - begun) * POLL_S
            done, age_s = self._handle(int(can))
            self.polls.append(
                Poll(anyio.current_time(), min(1.0, done / int(can)) if can >= 1.0 else 1.0, age_s)
            )
            self.handled += done
            can -= done

    def _handle(self, most: int) -> tuple[int, float]:
        """So many records: how many there were, and the highest age of one, by its whole second."""
        done, oldest_s = 0, 0.0
        for shard, iterator in self._iterators.items():
            if iterator is None:
                continue
            limit = min(MOST_RECORDS, max(1, most // len(self._iterators)))
            page = self._db("GetRecords", ShardIterator=iterator, Limit=limit)
            self._iterators[shard] = page.get("NextShardIterator")
            if page["Records"]:
                created = min(record["dynamodb"]["ApproximateCreationDateTime"] for record in page["Records"])
                age_s = time.time() - created
                self._function.metrics["IteratorAge"].add(age_s, time.time())
                oldest_s = max(oldest_s, age_s)
            done += len(page["Records"])
        return done, oldest_s

    @property
    def oldest_s(self) -> float:
        """The highest age of all."""
        return max((poll.age_s for poll in self.polls), default=0.0)

    def busy_share(self, since: float, until: float) -> float:
        """The share of time with something to do."""
        shares = [poll.busy for poll in self.polls if since <= poll.at < until]
        return sum(shares) / len(shares)

"""Every record of a stream: counted by key, which is the judge of *Once*, or by second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.framework.backends import CREDENTIALS, REGION


@dataclass(frozen=True, slots=True)
class Verdict:
    """Items by what the stream says of them."""

    once: int
    twice: int
    missing: int


def verdict(records: Mapping[str, int], items: int) -> Verdict:
    """Records by key against the number of items that were to fire. Pure."""
    twice = sum(count > 1 for count in records.values())
    return Verdict(len(records) - twice, twice, items - len(records))


def judge(url: str, table: str, items: int) -> Verdict:
    """Read the whole stream of a sandbox's table."""
    records = Counter(str(sorted(record["Keys"].items())) for record in _records(url, table))
    return verdict(records, items)


def by_second(url: str, table: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[int, int]:
    """Records of items whose key is wanted, by the second since 1970 that the stream says they are of."""
    found: Counter[int] = Counter()
    for record in _records(url, table):
        if wanted(record["Keys"]):
            moment: datetime = record["ApproximateCreationDateTime"]
            found[int(moment.timestamp())] += 1
    return dict(found)


def _records(url: str, table: str) -> Iterator[dict[str, Any]]:
    """The `dynamodb` part of every record of a table's stream."""
    options = {
        "endpoint_url": url,
        "region_name": REGION,
        "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        "config": Config(parameter_validation=False, retries={"max_attempts": 2}),
    }
    arn = boto3.client("dynamodb", **options).describe_table(TableName=table)["Table"]["LatestStreamArn"]
    client = boto3.client("dynamodbstreams", **options)
    for shard in _shards(client, arn):
        yield from _of_shard(client, arn, shard)


def _shards(client: Any, arn: str) -> Iterable[str]:
    more: dict[str, str] = {}
    while True:
        description = client.describe_stream(StreamArn=arn, **more)["StreamDescription"]
        yield from (shard["ShardId"] for shard in description["Shards"])
        if "LastEvaluatedShardId" not in description:
            return
        more = {"ExclusiveStartShardId": description["LastEvaluatedShardId"]}


def _of_shard(client: Any, arn: str, shard: str) -> Iterator[dict[str, Any]]:
    """The records of a shard. A sandbox writes records with their items, so an empty page is the end."""
    start = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.get_shard_iterator(**start)["ShardIterator"]
    while iterator:
        page = client.get_records(ShardIterator=iterator)
        if not page["Records"]:
            return
        for record in page["Records"]:
            yield record["dynamodb"]
        iterator = page.get("NextShardIterator")

"""The judge of *Once*: every record of a stream, counted by key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
    options = {
        "endpoint_url": url,
        "region_name": REGION,
        "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        "config": Config(parameter_validation=False, retries={"max_attempts": 2}),
    }
    arn = boto3.client("dynamodb", **options).describe_table(TableName=table)["Table"]["LatestStreamArn"]
    client = boto3.client("dynamodbstreams", **options)
    records: Counter[str] = Counter()
    for shard in _shards(client, arn):
        records.update(_keys(client, arn, shard))
    return verdict(records, items)


def _shards(client: Any, arn: str) -> Iterable[str]:
    more: dict[str, str] = {}
    while True:
        description = client.describe_stream(StreamArn=arn, **more)["StreamDescription"]
        yield from (shard["ShardId"] for shard in description["Shards"])
        if "LastEvaluatedShardId" not in description:
            return
        more = {"ExclusiveStartShardId": description["LastEvaluatedShardId"]}


def _keys(client: Any, arn: str, shard: str) -> Iterable[str]:
    """The key of each record of a shard. A sandbox writes records with their items, so an empty page is the end."""
    start = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.get_shard_iterator(**start)["ShardIterator"]
    while iterator:
        page = client.get_records(ShardIterator=iterator)
        if not page["Records"]:
            return
        for record in page["Records"]:
            yield str(sorted(record["dynamodb"]["Keys"].items()))
        iterator = page.get("NextShardIterator")

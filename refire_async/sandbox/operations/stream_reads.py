"""The DynamoDBStreams_20120810 operations: ListStreams, DescribeStream, GetShardIterator, GetRecords."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import orjson

from refire_async.sandbox.database import Database, Session
from refire_async.sandbox.errors import (
    expired_iterator,
    resource_not_found,
    trimmed_data_access,
    validation,
)
from refire_async.sandbox.operations.describe_table import key_schema
from refire_async.sandbox.shapes import check, decimal, integer, mapping_of_anything, structure, text
from refire_async.sandbox.store.changes import follow_partitions
from refire_async.sandbox.store.rows import Row
from refire_async.sandbox.store.table import Table, table_name
from refire_async.sandbox.streams.log import Shard, StreamLog
from refire_async.sandbox.values import Item, item_size

_STREAM_ARN = text(37, 1024)
_LIST = structure(TableName=text(1, 1024), Limit=integer(1, 100), ExclusiveStartStreamArn=_STREAM_ARN)
_DESCRIBE = structure(
    {"StreamArn": _STREAM_ARN},
    Limit=integer(1, 100),
    ExclusiveStartShardId=text(28, 65),
    ShardFilter=mapping_of_anything,
)
_ITERATOR = structure(
    {
        "StreamArn": _STREAM_ARN,
        "ShardId": text(28, 65),
        "ShardIteratorType": text(
            of=("AFTER_SEQUENCE_NUMBER", "LATEST", "AT_SEQUENCE_NUMBER", "AT_TIMESTAMP", "TRIM_HORIZON")
        ),
    },
    SequenceNumber=text(21, 40),
    Timestamp=decimal,
)
_RECORDS = structure({"ShardIterator": text(1, 2048)}, Limit=integer(1, 1000))

# What a start needs besides its type.
_STARTS = {
    "SequenceNumber": ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"),
    "Timestamp": ("AT_TIMESTAMP",),
}
_TOKEN = re.compile(r"([^|]+)\|([^|]+)\|([0-9]{1,18})\|([0-9]{1,12}\.[0-9]{3})")
_ITERATOR_LIFE_S = 15 * 60
_PAGE_RECORDS = 1000
_PAGE_BYTES = 1024 * 1024
_PAGE_SHARDS = 100


def list_streams(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """ListStreams, optionally of one table; streams that were disabled stay listed until their records expire."""
    check(_LIST, request)
    database = session.database
    wanted = table_name(request["TableName"]) if request.get("TableName") else None
    start, limit = request.get("ExclusiveStartStreamArn"), request.get("Limit") or 100
    found = []
    for name in sorted(database.tables):
        if wanted is None or name == wanted:
            table = database.tables[name]
            found += [(table.stream_arn(stream), table, stream) for stream in table.streams]
    if start is not None:
        arns = [arn for arn, _, _ in found]
        if start not in arns:
            raise resource_not_found(f"Requested resource not found: Stream: {start} not found")
        found = found[arns.index(start) + 1 :]
    response: dict[str, Any] = {
        "Streams": [
            {"StreamArn": arn, "TableName": table.name, "StreamLabel": stream.label}
            for arn, table, stream in found[:limit]
        ]
    }
    if len(found) > limit:
        response["LastEvaluatedStreamArn"] = found[limit - 1][0]
    return response


def describe_stream(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """DescribeStream, with ShardFilter CHILD_SHARDS."""
    check(_DESCRIBE, request)
    table, stream = _stream(session.database, request["StreamArn"])
    stream.trim(session.database.clock.time())
    follow_partitions(table, session.database.clock.time())
    shards = stream.shards
    shard_filter = request.get("ShardFilter")
    if shard_filter:
        if shard_filter.get("Type") != "CHILD_SHARDS" or not shard_filter.get("ShardId"):
            raise validation("ShardFilter needs Type CHILD_SHARDS and a ShardId")
        shards = [shard for shard in shards if shard.parent == shard_filter["ShardId"]]
    start = request.get("ExclusiveStartShardId")
    if start is not None:
        ids = [shard.id for shard in shards]
        if start not in ids:
            raise _no_shard(start)
        shards = shards[ids.index(start) + 1 :]
    limit = request.get("Limit") or _PAGE_SHARDS
    shown: dict[str, Any] = {
        "StreamArn": request["StreamArn"],
        "StreamLabel": stream.label,
        "StreamStatus": "ENABLED" if stream.enabled else "DISABLED",
        "StreamViewType": stream.view_type,
        "CreationRequestDateTime": round(stream.created, 3),
        "TableName": table.name,
        "KeySchema": key_schema(table.schema),
        "Shards": [_shard(shard) for shard in shards[:limit]],
    }
    if len(shards) > limit:
        shown["LastEvaluatedShardId"] = shards[limit - 1].id
    return {"StreamDescription": shown}


def _shard(shard: Shard) -> dict[str, Any]:
    numbers = {"StartingSequenceNumber": shard.sequence_number(0)}
    if shard.closed:
        numbers["EndingSequenceNumber"] = shard.sequence_number(max(shard.end - 1, 0))
    shown: dict[str, Any] = {"ShardId": shard.id, "SequenceNumberRange": numbers}
    if shard.parent is not None:
        shown["ParentShardId"] = shard.parent
    return shown


def get_shard_iterator(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """GetShardIterator. The iterator holds the position and the time of its making."""
    check(_ITERATOR, request)
    table, stream = _stream(session.database, request["StreamArn"])
    now = session.database.clock.time()
    stream.trim(now)
    shard = stream.shard(request["ShardId"])
    if shard is None:
        raise _no_shard(request["ShardId"])
    return {"ShardIterator": _token(table.stream_arn(stream), shard, _start(shard, request, now), now)}


def _start(shard: Shard, request: dict[str, Any], now: float) -> int:
    """The position at which an iterator starts."""
    type_: str = request["ShardIteratorType"]
    for member, types in _STARTS.items():
        given = request.get(member) is not None
        if given is not (type_ in types):
            must = "must not" if given else "must"
            raise validation(f"{member} {must} be specified for ShardIteratorType {type_}")
    if type_ == "AT_TIMESTAMP":
        timestamp: float = request["Timestamp"]
        if timestamp > now:
            raise validation("Timestamp must not be in the future")
        # Records know their second only; none that is asked for may be left out.
        return shard.position_at(math.floor(timestamp))
    if type_ not in _STARTS["SequenceNumber"]:
        return shard.end if type_ == "LATEST" else shard.trimmed
    position: int | None = shard.position(request["SequenceNumber"])
    if position is None:
        raise validation("Invalid SequenceNumber: it is not a sequence number of the shard " + shard.id)
    if position < shard.trimmed:
        raise _trimmed()
    return position + (type_ == "AFTER_SEQUENCE_NUMBER")


def get_records(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """GetRecords: up to 1,000 records or 1 MB. NextShardIterator is absent at the end of a closed shard."""
    check(_RECORDS, request)
    now = session.database.clock.time()
    arn, shard_id, position, made = _parse_token(request["ShardIterator"])
    if now - made > _ITERATOR_LIFE_S:
        raise expired_iterator()
    table, stream = _stream(session.database, arn)
    stream.trim(now)
    shard = stream.shard(shard_id)
    if shard is None or position < shard.trimmed:
        raise _trimmed()
    limit = request.get("Limit") or _PAGE_RECORDS
    records: list[dict[str, Any]] = []
    total = 0
    for record, size in _records(table, stream, shard, position):
        if total + size > _PAGE_BYTES and records:
            break
        records.append(record)
        total += size
        if len(records) == limit:
            break
    position += len(records)
    response: dict[str, Any] = {"Records": records}
    if position < shard.end or not shard.closed:
        response["NextShardIterator"] = _token(arn, shard, position, now)
    return response


def _records(
    table: Table, stream: StreamLog, shard: Shard, position: int
) -> Iterator[tuple[dict[str, Any], int]]:
    view = stream.view_type
    with_new = view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
    with_old = view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES")
    for number, second, old, new in shard.records(position):
        keys = _keys(table, new or old)
        size = item_size(keys)
        change: dict[str, Any] = {"ApproximateCreationDateTime": float(second), "Keys": keys}
        if new is not None and with_new:
            change["NewImage"] = orjson.Fragment(new[0])
            size += new[1]
        if old is not None and with_old:
            change["OldImage"] = orjson.Fragment(old[0])
            size += old[1]
        change["SequenceNumber"] = str(number)
        change["SizeBytes"] = size
        change["StreamViewType"] = view
        yield (
            {
                "eventID": _event_id(number, table.id),
                "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": table.region,
                "dynamodb": change,
            },
            size,
        )


def _event_id(number: int, table_id: str) -> str:
    return f"{number:024x}"[-24:] + table_id[:8]


def _keys(table: Table, row: Row | None) -> Item:
    assert row is not None  # noqa: S101 - a record has an image before or after
    return table.schema.key_of(orjson.loads(row[0]))


def _token(arn: str, shard: Shard, position: int, now: float) -> str:
    return f"{arn}|{shard.id}|{position}|{now:.3f}"


def _parse_token(token: str) -> tuple[str, str, int, float]:
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise validation("Invalid ShardIterator")
    return match[1], match[2], int(match[3]), float(match[4])


def _stream(database: Database, arn: str) -> tuple[Table, StreamLog]:
    table = database.tables.get(table_name(arn))
    if table is not None:
        for stream in table.streams:
            if arn.endswith(f"/stream/{stream.label}"):
                return table, stream
    raise resource_not_found(f"Requested resource not found: Stream: {arn} not found")


def _no_shard(shard_id: str) -> Exception:
    return resource_not_found(f"Requested resource not found: Shard: {shard_id} not found")


def _trimmed() -> Exception:
    return trimmed_data_access(
        "The operation attempted to read past the oldest stream record in a shard. "
        "Stream records older than 24 hours are trimmed"
    )

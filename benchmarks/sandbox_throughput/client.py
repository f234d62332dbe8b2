"""Requests made beforehand, and a client that needs little of the other core to send them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson

from benchmarks.framework.scenario import BenchmarkError

BATCH = 25
STATEMENT = 'UPDATE "items" SET "revision"=? WHERE "pk"=? AND "sk"=? AND "revision" IS MISSING'
AGAIN = 'UPDATE "items" SET "revision"=? WHERE "pk"=? AND "sk"=? AND "revision"=?'
_LONGEST_ANSWER = 8 << 20


def table(items: int, item_bytes: int) -> dict[str, object]:
    """A provisioned table with more capacity than can be used, and a stream."""
    return {
        "TableName": "items",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "ProvisionedThroughput": {"ReadCapacityUnits": 600_000, "WriteCapacityUnits": 200_000},
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        "Items": [{**key(number), "payload": {"S": "x" * (item_bytes - 35)}} for number in range(items)],
    }


def key(number: int) -> dict[str, dict[str, str]]:
    """The key of an item."""
    return {"pk": {"S": f"customer-{number // 10:08d}"}, "sk": {"N": str(number % 10)}}


def http(operation: str, body: object) -> bytes:
    """A whole request."""
    content = orjson.dumps(body)
    head = (
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"X-Amz-Target: DynamoDB_20120810.{operation}\r\nX-Amz-Date: 20260101T000000Z\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/dynamodb/aws4_request, "
        f"SignedHeaders=host;x-amz-date;x-amz-target, Signature={'0' * 64}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def batches(items: int, statement: str, new: str, *old: str) -> list[bytes]:
    """Requests that touch every item once: to the marker `new`, from `old` if there is one."""

    def member(number: int) -> dict[str, object]:
        expected = [{"N": value} for value in old]
        return {"Statement": statement, "Parameters": [{"N": new}, *key(number).values(), *expected]}

    found = []
    for start in range(0, items, BATCH):
        members = [member(number) for number in range(start, min(start + BATCH, items))]
        found.append(
            http("BatchExecuteStatement", {"Statements": members, "ReturnConsumedCapacity": "TOTAL"})
        )
    return found


def updates(items: int) -> list[bytes]:
    """UpdateItem requests, one for each item."""
    return [
        http(
            "UpdateItem",
            {
                "TableName": "items",
                "Key": key(number),
                "UpdateExpression": "SET #r = :n",
                "ConditionExpression": "attribute_exists(#k) AND #r = :o",
                "ExpressionAttributeNames": {"#r": "revision", "#k": "pk"},
                "ExpressionAttributeValues": {":n": {"N": "3"}, ":o": {"N": "2"}},
                "ReturnConsumedCapacity": "TOTAL",
            },
        )
        for number in range(items)
    ]


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    """Send a request and return the body of its answer. Raises BenchmarkError for any failure in it."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
    if not head.startswith(b"HTTP/1.1 200") or b'"Error"' in body:
        raise BenchmarkError(f"the sandbox refused: {body[:200].decode()}")
    return body


async def send_all(port: int, requests: Iterator[bytes], connections: int) -> None:
    """Send requests over all connections, each as soon as the one before it is answered."""

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LONGEST_ANSWER)
        for request in requests:
            await _exchange(reader, writer, request)
        writer.close()

    await _together(work, connections)


async def scan_all(port: int, segments: int, extra: dict[str, Any], connections: int) -> None:
    """Scan every segment to its end."""
    todo = iter(range(segments))

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LONGEST_ANSWER)
        for segment in todo:
            request = {"TableName": "items", "Segment": segment, "TotalSegments": segments, **extra}
            while True:
                page = await _exchange(reader, writer, http("Scan", request))
                tail = orjson.loads(page).get("LastEvaluatedKey")
                if tail is None:
                    break
                request["ExclusiveStartKey"] = tail
        writer.close()

    await _together(work, connections)


async def _together(work: Any, times: int) -> None:
    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(times):
                tasks.create_task(work())
    except* BenchmarkError as group:
        raise group.exceptions[0] from None

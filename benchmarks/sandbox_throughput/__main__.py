"""``python -m benchmarks.sandbox_throughput``: items per second of one sandbox process, by wall clock and by CPU.

The requests are made beforehand and sent over a few plain connections, so that the client needs little of the other
core. Items per CPU second say what one core can serve; items per second are lower if the machine is busy.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from refire_async.sandbox import SandboxConfig
from refire_async.sandbox.process import SandboxProcess

CONNECTIONS = 8
BATCH = 25
STATEMENT = 'UPDATE "items" SET "revision"=? WHERE "pk"=? AND "sk"=? AND "revision" IS MISSING'
AGAIN = 'UPDATE "items" SET "revision"=? WHERE "pk"=? AND "sk"=? AND "revision"=?'


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
        "POST / HTTP/1.1\r\nHost: sandbox\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"X-Amz-Target: DynamoDB_20120810.{operation}\r\nX-Amz-Date: 20260101T000000Z\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/dynamodb/aws4_request, "
        f"SignedHeaders=host;x-amz-date;x-amz-target, Signature={'0' * 64}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    """Send a request and return the body of its answer."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
    if not head.startswith(b"HTTP/1.1 200") or b'"Error"' in body:
        raise RuntimeError(body[:300].decode())
    return body


async def send_all(port: int, requests: Iterator[bytes]) -> None:
    """Send requests over all connections, each as soon as the one before it is answered."""

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=8 << 20)
        for request in requests:
            await exchange(reader, writer, request)
        writer.close()

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


async def scan_all(port: int, segments: int, extra: dict[str, object]) -> None:
    """Scan every segment to its end."""
    todo = iter(range(segments))

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=8 << 20)
        for segment in todo:
            request = {"TableName": "items", "Segment": segment, "TotalSegments": segments, **extra}
            while True:
                page = await exchange(reader, writer, http("Scan", request))
                tail = orjson.loads(page).get("LastEvaluatedKey")
                if tail is None:
                    break
                request["ExclusiveStartKey"] = tail
        writer.close()

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def batches(items: int, statement: str, new: str, *old: str) -> list[bytes]:
    """Requests that touch every item once: to the marker ``new``, from ``old`` if there is one."""

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


def main() -> None:
    """Run everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--item-bytes", type=int, default=200)
    arguments = parser.parse_args()
    config = SandboxConfig(tables=(table(arguments.items, arguments.item_bytes),), split_after=86400)
    projection = {"ProjectionExpression": "pk, sk, revision", "ReturnConsumedCapacity": "TOTAL"}
    with SandboxProcess(config) as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        first = batches(arguments.items, STATEMENT, "1")
        again = batches(arguments.items, AGAIN, "2", "1")
        singles = updates(arguments.items // 4)
        cases = [
            ("scan", arguments.items, lambda: scan_all(port, 32, {})),
            ("scan, keys and marker", arguments.items, lambda: scan_all(port, 32, projection)),
            ("PartiQL batches, marker missing", arguments.items, lambda: send_all(port, iter(first))),
            ("PartiQL batches, marker there", arguments.items, lambda: send_all(port, iter(again))),
            ("UpdateItem", len(singles), lambda: send_all(port, iter(singles))),
        ]
        print(f"{'':34}{'items/s':>12}{'items/CPU s':>14}")
        for name, items, run in cases:
            wall, cpu = time.perf_counter(), cpu_seconds(sandbox.pid)
            asyncio.run(run())
            wall, cpu = time.perf_counter() - wall, cpu_seconds(sandbox.pid) - cpu
            print(f"{name:34}{items / wall:12,.0f}{items / cpu:14,.0f}")


main()

"""The demo's table: create it, fill it, write an item back unchanged."""

from collections.abc import Iterator
from typing import Any

import anyio
import orjson

from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.session import Session
from refire_async.errors import RefusedError

TABLE = "demo-orders"
CAPACITY = 40_000
FILLERS = 8

_BATCH = 25  # the maximum of one request (DynamoDB API reference: BatchWriteItem)
_CITIES = ("Accra", "Bergen", "Cusco", "Dakar", "Esbjerg", "Fukuoka", "Genoa", "Hobart")


def order_id(number: int) -> str:
    """The hash key of an item."""
    return f"order-{number:07d}"


def make_item(number: int) -> dict[str, Any]:
    """A small order, as DynamoDB JSON."""
    return {
        "order_id": {"S": order_id(number)},
        "city": {"S": _CITIES[number % len(_CITIES)]},
        "amount": {"N": str(number * 37 % 10_000)},
        "paid": {"BOOL": number % 3 > 0},
    }


async def create_table(session: Session) -> str:
    """Create the table with a stream of old and new images, and return the stream's ARN."""
    await _call(
        session,
        "CreateTable",
        {
            "TableName": TABLE,
            "KeySchema": [{"AttributeName": "order_id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "order_id", "AttributeType": "S"}],
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": {"ReadCapacityUnits": CAPACITY, "WriteCapacityUnits": CAPACITY},
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        },
    )
    for _ in range(100):
        table = await session.control.describe_table(TABLE)
        if table.status == "ACTIVE" and table.stream.arn is not None:
            return table.stream.arn
        await anyio.sleep(0.05)
    raise RefusedError("the demo's table does not become active", "try again")


async def fill_table(session: Session, items: int) -> None:
    """Put items number 0 to `items` - 1, several batches concurrently."""
    batches = iter(range(0, items, _BATCH))
    async with anyio.create_task_group() as tasks:
        for _ in range(FILLERS):
            tasks.start_soon(_fill, session, batches, items)


async def change_amounts(session: Session, items: int) -> None:
    """Change the amount of every third item."""
    for number in range(0, items, 3):
        await _call(
            session,
            "UpdateItem",
            {
                "TableName": TABLE,
                "Key": {"order_id": {"S": order_id(number)}},
                "UpdateExpression": "SET amount = amount + :more",
                "ExpressionAttributeValues": {":more": {"N": str(number % 100)}},
            },
        )


async def write_back_unchanged(session: Session, number: int) -> None:
    """Read an item and put it exactly as it was."""
    key = {"order_id": {"S": order_id(number)}}
    read = await _call(session, "GetItem", {"TableName": TABLE, "Key": key, "ConsistentRead": True})
    await _call(session, "PutItem", {"TableName": TABLE, "Item": read["Item"]})


async def _fill(session: Session, batches: Iterator[int], items: int) -> None:
    for first in batches:
        puts = [{"PutRequest": {"Item": make_item(n)}} for n in range(first, min(first + _BATCH, items))]
        while puts:
            try:
                answer = await _call(session, "BatchWriteItem", {"RequestItems": {TABLE: puts}})
                puts = answer.get("UnprocessedItems", {}).get(TABLE, [])
            except AwsError as error:
                if error.disposition is not Disposition.THROTTLED:
                    raise
            if puts:
                await anyio.sleep(0.05)


async def _call(session: Session, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(await session.data.call(operation, orjson.dumps(parameters)))
    return answer

"""A checkpoint table: conditional reads and writes of its items, tried again until they are certain.

Partition key `id` (S), sort key `name` (S), TTL attribute `expires_at`. Every other attribute is a member of `Fields`.
A write is safe to repeat: it sets a whole value, and its condition holds again after it was applied.
"""

import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias, TypeVar

import anyio
import orjson

from refire_async.aws.data_plane import DataPlane, parse_reply
from refire_async.aws.errors import AwsError, Disposition
from refire_async.errors import CheckpointRefusedError, StoppedError, alone

T = TypeVar("T")

Fields: TypeAlias = Mapping[str, Any]
"""Attributes in DynamoDB JSON."""

TRY_FOR_S = 120.0
"""Seconds of failed tries after which a table counts as out of reach."""

FIRST_DELAY_S = 0.05
LONGEST_DELAY_S = 3.0

AT_ONCE = 64
"""Writes at a time."""

DAMAGED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What the reading of an item raises that this program did not write."""

_AGAIN = (Disposition.THROTTLED, Disposition.RETRY, Disposition.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on the stored item; `values` are those of its expression."""

    expression: str
    values: Fields


class CheckpointTable:
    """The items of one checkpoint table."""

    def __init__(self, name: str, data: DataPlane) -> None:
        self.name = name
        self._data = data
        self._give_up_at = math.inf
        self._calls: set[anyio.CancelScope] = set()
        self._draw = random.Random()  # noqa: S311 - delays are no secret

    def give_up_within(self, seconds: float) -> None:
        """From now on no call, not even those in progress, is tried for longer than until so many seconds from now."""
        self._give_up_at = min(self._give_up_at, anyio.current_time() + seconds)
        for scope in self._calls:
            scope.deadline = min(scope.deadline, self._give_up_at)

    async def get(self, partition: str, name: str) -> Fields | None:
        """The attributes of an item, read consistently; None if there is none."""
        request = {"Key": _key(partition, name), "ConsistentRead": True}
        found: Fields | None = (await self._call("GetItem", request)).get("Item")
        return found

    async def put(
        self, partition: str, name: str, fields: Fields, condition: Condition | None = None
    ) -> bool:
        """Write a whole item; whether its condition held."""
        request: dict[str, Any] = {"Item": {**_key(partition, name), **fields}}
        if condition is not None:
            request["ConditionExpression"] = condition.expression
            if condition.values:
                request["ExpressionAttributeValues"] = condition.values
        return await self._call_if("PutItem", request) is not None

    async def delete(self, partition: str, name: str) -> None:
        """Delete an item, if it is there."""
        await self._call("DeleteItem", {"Key": _key(partition, name)})

    async def update(self, partition: str, name: str, sets: Fields, condition: Condition) -> Fields | None:
        """Set attributes and return the whole new item; None if the condition did not hold."""
        names = {f"#{number}": attribute for number, attribute in enumerate(sets)}
        values = {f":set{number}": value for number, value in enumerate(sets.values())}
        request = {
            "Key": _key(partition, name),
            "UpdateExpression": "SET "
            + ", ".join(f"{place} = :set{number}" for number, place in enumerate(names)),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {**values, **condition.values},
            "ConditionExpression": condition.expression,
            "ReturnValues": "ALL_NEW",
        }
        reply = await self._call_if("UpdateItem", request)
        return None if reply is None else reply["Attributes"]

    async def query(self, partition: str, prefix: str) -> AsyncIterator[Fields]:
        """The items of a partition whose names begin with `prefix` ("": all), in their order, read consistently."""
        request: dict[str, Any] = {
            "KeyConditionExpression": "id = :id",
            "ExpressionAttributeValues": {":id": {"S": partition}},
            "ConsistentRead": True,
        }
        if prefix:
            request["KeyConditionExpression"] += " AND begins_with(#name, :prefix)"
            request["ExpressionAttributeNames"] = {"#name": "name"}
            request["ExpressionAttributeValues"][":prefix"] = {"S": prefix}
        while True:
            reply = await self._call("Query", request)
            for item in reply.get("Items", ()):
                yield item
            if "LastEvaluatedKey" not in reply:
                return
            request["ExclusiveStartKey"] = reply["LastEvaluatedKey"]

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Another operation on the table. Raises AwsError; is not tried again."""
        body = orjson.dumps({"TableName": self.name, **request})
        return parse_reply(await self._data.call(operation, body))

    def damaged(self, run_id: str, why: object) -> CheckpointRefusedError:
        """The error for an item of a run that this program did not write."""
        return CheckpointRefusedError(
            f"run {run_id} in checkpoint table {self.name} is damaged: {why}", "begin a new run"
        )

    async def _call_if(self, operation: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """The reply; None if the condition did not hold."""
        try:
            return await self._tried(operation, request)
        except AwsError as error:
            if error.disposition is Disposition.CONDITION:
                return None
            raise self._refused(error) from error

    async def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._tried(operation, request)
        except AwsError as error:
            raise self._refused(error) from error

    async def _tried(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """The reply of a call that is tried again for a while. Raises AwsError or StoppedError."""
        body = orjson.dumps({"TableName": self.name, **request})
        why = "no answer"
        with anyio.CancelScope(deadline=min(anyio.current_time() + TRY_FOR_S, self._give_up_at)) as scope:
            self._calls.add(scope)
            try:
                for tries in count(1):
                    try:
                        return parse_reply(await self._data.call(operation, body))
                    except AwsError as error:
                        if error.disposition not in _AGAIN:
                            raise
                        why = error.message
                    most = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(tries, 20))
                    await anyio.sleep(self._draw.uniform(0.0, most))
            finally:
                self._calls.discard(scope)
        raise StoppedError(
            f"checkpoint table {self.name} does not answer: {why}", "resume the run when it does"
        )

    def _refused(self, error: AwsError) -> CheckpointRefusedError:
        if error.name == "ResourceNotFound":
            return CheckpointRefusedError(
                f"there is no checkpoint table {self.name}", f"refire checkpoint-table create {self.name}"
            )
        return CheckpointRefusedError(f"checkpoint table {self.name}: {error.message}", error.action)


async def for_each(items: AsyncIterator[T], work: Callable[[T], Awaitable[object]]) -> int:
    """Call `work` for each item, `AT_ONCE` at a time; how many there were. Raises the error of the first that fails."""
    free, number = anyio.Semaphore(AT_ONCE), 0

    async def one(item: T) -> None:
        try:
            await work(item)
        finally:
            free.release()

    try:
        async with anyio.create_task_group() as tasks:
            async for item in items:
                await free.acquire()
                number += 1
                tasks.start_soon(one, item)
    except BaseExceptionGroup as group:
        raise alone(group) from group
    return number


def _key(partition: str, name: str) -> dict[str, Any]:
    return {"id": {"S": partition}, "name": {"S": name}}


def text(value: Any) -> dict[str, str]:
    """A value as JSON in an attribute."""
    return {"S": orjson.dumps(value).decode()}


def from_text(fields: Fields, name: str) -> Any:
    """The value that `text` wrote. Raises KeyError or ValueError."""
    return orjson.loads(fields[name]["S"])


def number(value: float) -> dict[str, str]:
    """A number in an attribute."""
    return {"N": str(value)}

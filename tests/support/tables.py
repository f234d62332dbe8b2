"""Tables for scenarios: created in a line, filled fast, read completely."""

import itertools
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from tests.probes.resources import tags
from tests.support.account import TABLE_PREFIX
from tests.support.backends import Backend
from tests.support.streams import Change, StreamReader

KeyType = Literal["S", "N", "B"]
Item = dict[str, dict[str, Any]]
"""An item in DynamoDB JSON, binary values as bytes (as boto3 has them)."""

Identity = frozenset[tuple[str, str, str | bytes]]
"""A key as a hashable value: one (name, type, value) per key attribute."""

_FILL_THREADS = 4


@dataclass(frozen=True, slots=True)
class Schema:
    """Key attributes by name and type: `Schema(("pk", "S"), ("sk", "N"))`."""

    hash_key: tuple[str, KeyType]
    range_key: tuple[str, KeyType] | None = None

    @property
    def attributes(self) -> tuple[tuple[str, KeyType], ...]:
        """The key attributes, hash key first."""
        return (self.hash_key,) if self.range_key is None else (self.hash_key, self.range_key)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the key attributes, hash key first."""
        return tuple(name for name, _ in self.attributes)

    def to_key_schema(self) -> list[dict[str, str]]:
        """The `KeySchema` parameter of CreateTable."""
        roles = ("HASH", "RANGE")
        return [
            {"AttributeName": name, "KeyType": role} for name, role in zip(self.names, roles, strict=False)
        ]


@dataclass(frozen=True, slots=True)
class Index:
    """A secondary index. `projected=None` is KEYS_ONLY, an empty tuple ALL, names INCLUDE."""

    name: str
    schema: Schema
    local: bool = False
    projected: tuple[str, ...] | None = None

    def to_parameter(self) -> dict[str, Any]:
        """An entry of CreateTable's index lists."""
        projection: dict[str, Any] = {"ProjectionType": "KEYS_ONLY"}
        if self.projected is not None:
            projection = {"ProjectionType": "ALL"}
            if self.projected:
                projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(self.projected)}
        return {"IndexName": self.name, "KeySchema": self.schema.to_key_schema(), "Projection": projection}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a backend, with the operations of scenarios."""

    backend: Backend
    name: str
    schema: Schema

    def identity(self, item: Mapping[str, Mapping[str, Any]]) -> Identity:
        """Identifies an item; numbers are compared in the text that DynamoDB returns."""
        return frozenset((name, *next(iter(item[name].items()))) for name in self.schema.names)

    def key(self, item: Item) -> Item:
        """The key attributes of an item."""
        return {name: item[name] for name in self.schema.names}

    def fill(self, items: Iterable[Item]) -> None:
        """Put all items, in batches of 25 from a few threads."""
        rows = iter(items)
        batches = iter(lambda: list(itertools.islice(rows, 25)), [])
        with ThreadPoolExecutor(_FILL_THREADS) as pool:
            for _ in pool.map(self._put_batch, batches):
                pass

    def _put_batch(self, items: list[Item]) -> None:
        requests: dict[str, Any] = {self.name: [{"PutRequest": {"Item": item}} for item in items]}
        while requests:
            answer = self.backend.dynamodb.batch_write_item(RequestItems=requests)
            requests = answer.get("UnprocessedItems", {})

    def items(self) -> dict[Identity, Item]:
        """All items by identity, read consistently."""
        return {self.identity(item): item for item in self._scan()}

    def _scan(self) -> Iterator[Item]:
        pages = self.backend.dynamodb.get_paginator("scan")
        for page in pages.paginate(TableName=self.name, ConsistentRead=True):
            yield from page["Items"]

    def stream(self) -> StreamReader:
        """A reader of the whole stream, at its oldest record.

        A table without a stream raises KeyError.
        """
        description = self.backend.dynamodb.describe_table(TableName=self.name)["Table"]
        return StreamReader(
            self.backend.streams, description["LatestStreamArn"], quiet_s=self.backend.quiet_s
        )

    def changes(self) -> dict[Identity, list[Change]]:
        """Every record in the stream now, by identity, oldest first."""
        by_identity: dict[Identity, list[Change]] = {}
        for change in self.stream().read():
            by_identity.setdefault(self.identity(change.key), []).append(change)
        return by_identity

    def delete(self) -> None:
        """Delete the table, unless it is already deleted."""
        try:
            self.backend.dynamodb.delete_table(TableName=self.name)
        except self.backend.dynamodb.exceptions.ResourceNotFoundException:
            return


def create_table(
    backend: Backend,
    hash_key: tuple[str, KeyType] = ("pk", "S"),
    range_key: tuple[str, KeyType] | None = None,
    *,
    name: str | None = None,
    prefix: str = "t",
    stream: bool = True,
    indexes: tuple[Index, ...] = (),
    capacity: int | None = None,
) -> Table:
    """Create a table, on demand or with `capacity` units (its indexes too), and wait until it is active.

    Its name is `name`, else `prefix` and something unique (all tests share one sandbox). A stream has both
    images.
    """
    schema = Schema(hash_key, range_key)
    name = name or f"{prefix}-{uuid.uuid4().hex[:12]}"
    if backend.profile is not None:
        name = f"{TABLE_PREFIX}{name}"
    types = dict(schema.attributes)
    for index in indexes:
        types.update(index.schema.attributes)
    parameters: dict[str, Any] = {
        "TableName": name,
        "KeySchema": schema.to_key_schema(),
        "AttributeDefinitions": [
            {"AttributeName": key, "AttributeType": kind} for key, kind in types.items()
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }
    for member, local in (("GlobalSecondaryIndexes", False), ("LocalSecondaryIndexes", True)):
        if entries := [index.to_parameter() for index in indexes if index.local is local]:
            parameters[member] = entries
    if capacity is not None:
        units = {"ReadCapacityUnits": capacity, "WriteCapacityUnits": capacity}
        parameters |= {"BillingMode": "PROVISIONED", "ProvisionedThroughput": units}
        for entry in parameters.get("GlobalSecondaryIndexes", ()):
            entry["ProvisionedThroughput"] = units
    if backend.profile is not None:
        parameters["Tags"] = tags("scenarios")
    if stream:
        parameters["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    backend.dynamodb.create_table(**parameters)
    backend.dynamodb.get_waiter("table_exists").wait(
        TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    return Table(backend, name, schema)

"""One table: its description's settings, its rows, indexes, stream and capacity."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import orjson

from refire_async.sandbox.capacity.model import TableCapacity
from refire_async.sandbox.capacity.specs import PartitionInfo
from refire_async.sandbox.store.index import SecondaryIndex
from refire_async.sandbox.store.keys import KeySchema, OrderKey
from refire_async.sandbox.store.rows import MemoryRows, Row, Rows
from refire_async.sandbox.streams.log import StreamLog
from refire_async.sandbox.values import AttributeValue, Item

ACCOUNT = "000000000000"

BillingMode = Literal["PROVISIONED", "PAY_PER_REQUEST"]


Stored = tuple[Row, Item]
"""A row and its item, parsed."""


@dataclass(slots=True)
class Throughput:
    """Settings of a table or GSI that its description shows; -1 is an on-demand maximum that was removed."""

    read: int = 0
    write: int = 0
    max_read: int | None = None
    max_write: int | None = None
    warm_read: int = 0
    warm_write: int = 0
    increased_at: float | None = None
    decreased_at: float | None = None
    decreases_today: int = 0

    def copy(self) -> Throughput:
        """The settings as they are now."""
        return replace(self)


@dataclass(slots=True)
class TimeToLive:
    """State of UpdateTimeToLive."""

    enabled: bool = False
    attribute: str | None = None


@dataclass(slots=True)
class Table:
    """A table and everything in it. ``streams`` holds every stream it ever had, the newest last."""

    name: str
    region: str
    created: float
    schema: KeySchema
    attribute_types: dict[str, str]
    billing: BillingMode
    throughput: Throughput
    capacity: TableCapacity
    rows: Rows = field(default_factory=MemoryRows)
    indexes: dict[str, SecondaryIndex] = field(default_factory=dict)
    index_throughput: dict[str, Throughput] = field(default_factory=dict)
    streams: list[StreamLog] = field(default_factory=list)
    ttl: TimeToLive = field(default_factory=TimeToLive)
    size_bytes: int = 0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    deletion_protection: bool = False
    splits_seen: int = 0
    billing_changed_at: float | None = None
    _partitions: dict[str | None, tuple[int, tuple[PartitionInfo, ...], list[int]]] = field(
        default_factory=dict
    )

    @property
    def arn(self) -> str:
        """ARN of the table."""
        return table_arn(self.region, self.name)

    @property
    def stream(self) -> StreamLog | None:
        """The stream that records writes now."""
        return self.streams[-1] if self.streams and self.streams[-1].enabled else None

    def stream_arn(self, stream: StreamLog) -> str:
        """ARN of one of the table's streams."""
        return f"{self.arn}/stream/{stream.label}"

    def read(self, key: OrderKey) -> Stored | None:
        """What is stored at ``key``."""
        row = self.rows.get(key)
        return None if row is None else (row, orjson.loads(row[0]))

    def partitions(self, index: str | None) -> tuple[tuple[PartitionInfo, ...], list[int]]:
        """Partitions of the table or a GSI in hash order and their lower ends, kept until one is split."""
        splits = len(self.capacity.splits)
        kept = self._partitions.get(index)
        if kept is None or kept[0] != splits:
            partitions = self.capacity.partitions(index)
            kept = len(self.capacity.splits), partitions, [partition.low for partition in partitions]
            self._partitions[index] = kept
        return kept[1], kept[2]

    def forget_partitions(self, index: str) -> None:
        """The index is gone; another one may get its name."""
        self._partitions.pop(index, None)

    def schema_of(self, index: SecondaryIndex | None) -> KeySchema:
        """Key schema of an index, or of the table."""
        return self.schema if index is None else index.schema

    def start_key(self, item: Mapping[str, AttributeValue], index: SecondaryIndex | None) -> Item:
        """What LastEvaluatedKey holds for an item: keys of the table and of the index."""
        names = self.schema.names if index is None else (*index.schema.names, *self.schema.names)
        return {name: item[name] for name in names}


def table_arn(region: str, name: str) -> str:
    """ARN of a table."""
    return f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/{name}"


def table_name(name_or_arn: str) -> str:
    """The name in what a request calls TableName, which may be an ARN."""
    if name_or_arn.startswith("arn:"):
        return name_or_arn.split("/", 2)[1] if "/" in name_or_arn else name_or_arn
    return name_or_arn

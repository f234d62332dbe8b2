"""The parts of a table's description that a run needs."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from refire_async.model.keys import IndexKeys, KeySchema

BillingMode: TypeAlias = Literal["PROVISIONED", "PAY_PER_REQUEST"]
Projection: TypeAlias = Literal["ALL", "KEYS_ONLY", "INCLUDE"]


@dataclass(frozen=True, slots=True)
class Throughput:
    """Units per second of a table or a global index; `None` if the billing mode does not set it.

    `provisioned_*` are those of PROVISIONED mode, `maximum_*` the OnDemandThroughput limits, `warm_*` the
    WarmThroughput (DynamoDB API reference).
    """

    provisioned_read: float | None = None
    provisioned_write: float | None = None
    maximum_read: float | None = None
    maximum_write: float | None = None
    warm_read: float | None = None
    warm_write: float | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """A secondary index. Writes to a `global` index consume its own capacity, to a `local` one the table's.

    `item_count`, the number of its entries, may be 6 hours old (API reference).
    """

    name: str
    scope: Literal["global", "local"]
    keys: IndexKeys
    projection: Projection
    projected: frozenset[str] = frozenset()
    status: str = "ACTIVE"
    throughput: Throughput = field(default_factory=Throughput)
    item_count: int = 0

    def projects(self, attribute: str, table_keys: KeySchema) -> bool:
        """Whether the entries of this index contain `attribute`, so that a touch changes them."""
        if self.projection == "ALL":
            return True
        return attribute in self.projected or attribute in self.keys.names or attribute in table_keys.names


@dataclass(frozen=True, slots=True)
class Stream:
    """The table's stream. `arn` remains for 24 hours after the stream was disabled."""

    enabled: bool
    view_type: str | None = None
    arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The result of DescribeTable. `item_count` and `size_bytes` may be 6 hours old (API reference)."""

    name: str
    arn: str
    table_id: str
    status: str
    keys: KeySchema
    billing: BillingMode
    throughput: Throughput
    indexes: tuple[Index, ...]
    stream: Stream
    item_count: int
    size_bytes: int
    replicas: tuple[str, ...] = ()

    def index(self, name: str) -> Index | None:
        """The index with this name, or None."""
        return next((index for index in self.indexes if index.name == name), None)

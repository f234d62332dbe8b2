"""Makes table descriptions for tests that need no server."""

from typing import Any

from refire_async.model.keys import KeySchema
from refire_async.model.table import Stream, Table, Throughput

ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/orders"


def described_table(**fields: Any) -> Table:
    """An empty PROVISIONED table `orders` with hash key `pk` (S) and a stream; `fields` replace those of `Table`."""
    defaults: dict[str, Any] = {
        "name": "orders",
        "arn": ARN,
        "table_id": "id",
        "status": "ACTIVE",
        "keys": KeySchema("pk", "S"),
        "billing": "PROVISIONED",
        "throughput": Throughput(),
        "indexes": (),
        "stream": Stream(enabled=True),
        "item_count": 0,
        "size_bytes": 0,
    }
    return Table(**{**defaults, **fields})

"""Table records as parsed from DescribeTable."""

from typing import Any

from refire_async.model.keys import KeySchema
from refire_async.model.table import Stream, Table, Throughput


def table_of(*, view_type: str = "NEW_IMAGE", sort_key: bool = False, **more: Any) -> Table:
    """An on-demand table `orders` with a stream: hash key `pk` (S), sort key `sk` (N) with `sort_key`."""
    return Table(
        **{
            "name": "orders",
            "arn": "arn:aws:dynamodb:eu-west-1:000000000000:table/orders",
            "table_id": "id",
            "status": "ACTIVE",
            "keys": KeySchema("pk", "S", "sk", "N") if sort_key else KeySchema("pk", "S"),
            "billing": "PAY_PER_REQUEST",
            "throughput": Throughput(),
            "indexes": (),
            "stream": Stream(
                True, view_type, "arn:aws:dynamodb:eu-west-1:000000000000:table/orders/stream/1"
            ),
            "item_count": 1_000,
            "size_bytes": 1_000_000,
            **more,
        }
    )

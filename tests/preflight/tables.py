"""Table descriptions for the checks."""

from typing import Any

from refire_async.model.keys import KeySchema
from refire_async.model.table import Stream, Table
from tests.support.table_descriptions import ARN, described_table


def table_of(*, view_type: str = "NEW_IMAGE", sort_key: bool = False, **more: Any) -> Table:
    """An on-demand table `orders` with a stream: hash key `pk` (S), with `sort_key` also sort key `sk` (N)."""
    defaults: dict[str, Any] = {
        "keys": KeySchema("pk", "S", "sk", "N") if sort_key else KeySchema("pk", "S"),
        "billing": "PAY_PER_REQUEST",
        "stream": Stream(True, view_type, f"{ARN}/stream/1"),
        "item_count": 1_000,
        "size_bytes": 1_000_000,
    }
    return described_table(**{**defaults, **more})

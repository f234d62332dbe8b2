"""Hash keys are counted without reading their items: on DynamoDB Local and the sandbox, by sort keys of every type."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from refire_async.aws.data_plane import DataPlane
from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.session import open_session
from refire_async.model.keys import KeySchema
from refire_async.model.selection import Selection
from refire_async.pacing.budget import ReadBudget
from refire_async.planning.survey.hash_keys import LAST_SORT_KEYS, MOST_COUNTED, count_hash_keys
from refire_async.settings import Connection
from refire_async.sources.table import scan_source
from tests.support.backends import REGION, Backend
from tests.support.fakes import data_plane
from tests.support.tables import Table

SORT_KEYS = {
    "S": [{"S": "a"}, {"S": "ż\U0001f40e"}, LAST_SORT_KEYS["S"]],
    "N": [{"N": "-5"}, {"N": "0"}, LAST_SORT_KEYS["N"]],
    "B": [{"B": b"\x00"}, {"B": b"\xff"}, {"B": b"\xff" * 1024}],
}


@pytest.mark.parametrize("kind", SORT_KEYS)
async def test_every_hash_key_counts_once(
    make_table: Callable[..., Table], backend: Backend, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Seven hash keys with three items each, one of which has the largest possible sort key."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", backend.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    table = make_table(("pk", "S"), ("sk", kind))
    rows: list[dict[str, Any]] = [
        {"pk": {"S": f"k{n}"}, "sk": sort_key} for n in range(7) for sort_key in SORT_KEYS[kind]
    ]
    await anyio.to_thread.run_sync(table.fill, rows)
    async with open_session(Connection(region=REGION, endpoint_url=backend.url), 2) as session:
        assert await counted(session.data, table.name, kind) == 7


async def counted(data: DataPlane, table: str, kind: str = "S") -> int | None:
    """The number of hash keys of a table."""
    keys = KeySchema("pk", "S", "sk", kind)
    source = scan_source(
        data, table, Selection("scan"), None, table_keys=keys, total_segments=1, carries_marker=True
    )
    return await count_hash_keys(source, keys, ReadBudget(1e6))


async def test_many_hash_keys_are_not_counted_to_their_end() -> None:
    """One more read than the maximum number of keys, then the result is None."""
    asked = 0

    def answer(_operation: str, _request: dict[str, Any]) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        key = {"pk": {"S": str(asked)}, "sk": {"S": "a"}}
        return {
            "Items": [key],
            "Count": 1,
            "ScannedCount": 1,
            "LastEvaluatedKey": key,
            "ConsumedCapacity": {"CapacityUnits": 0.5},
        }

    assert await counted(data_plane(answer), "t") is None
    assert asked == MOST_COUNTED + 1


async def test_a_refused_start_key_gives_no_count() -> None:
    """A service that refuses a start key without an item does not end the plan."""

    def answer(_operation: str, _request: dict[str, Any]) -> dict[str, Any]:
        raise AwsError("ValidationException", "refused", Disposition.ITEM)

    assert await counted(data_plane(answer), "t") is None

"""Indexes with multi-attribute keys: read, checked, queried and charged like any other, against the sandbox."""

from collections import Counter
from typing import Any

import pytest

from refire_async.errors import ExitCode, UsageError
from refire_async.events import BatchWritten
from refire_async.model.counts import Counts
from refire_async.settings import SelectionSettings
from tests.engine.conftest import Runs, Service
from tests.support.inprocess_server import InProcess, table_spec

HASHES, RANGES = ("tenant", "region"), ("year", "month", "day")


def spec(*more: str, hashes: tuple[str, ...] = HASHES, projection: str = "KEYS_ONLY") -> dict[str, Any]:
    """A table with an index `wide`; `more` are its further sort attributes."""
    names = (*hashes, *RANGES, *more)
    index = {
        "IndexName": "wide",
        "KeySchema": [
            {"AttributeName": name, "KeyType": "HASH" if name in hashes else "RANGE"} for name in names
        ],
        "Projection": {"ProjectionType": projection},
    }
    numbers = {*RANGES, "revision"}
    return table_spec(
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "N" if name in numbers else "S"}
            for name in ("pk", *names)
        ],
        GlobalSecondaryIndexes=[index],
    )


def orders(number: int = 120) -> list[dict[str, Any]]:
    """Two tenants, three regions, two years; every tenth item lacks one of the index's attributes."""
    items = []
    for n in range(number):
        item = {
            "pk": {"S": f"o{n:03d}"},
            "tenant": {"S": ("acme", "zeta")[n % 2]},
            "region": {"S": ("eu", "us", "ap")[n % 3]},
            "year": {"N": str(2025 + n // 60)},
            "month": {"N": str(1 + n % 12)},
            "day": {"N": "1"},
            "payload": {"S": "x" * 1_500},
        }
        if n % 10 == 9:
            del item[("tenant", "region", "month", "day")[n // 10 % 4]]
        items.append(item)
    return items


def shop(service: Service, **more: Any) -> InProcess:
    db = service(spec(**more))
    db.fill("orders", orders())
    return db


def chosen(**wanted: tuple[str, ...]) -> Counter[str]:
    """The orders that have all attributes of the index, with these values."""
    return Counter(
        item["pk"]["S"]
        for item in orders()
        if all(name in item for name in (*HASHES, *RANGES))
        and all(next(iter(item[name].values())) in values for name, values in wanted.items())
    )


@pytest.mark.parametrize("projection", ["KEYS_ONLY", "ALL"])
@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        ({}, {}),
        ({"key_values": ("tenant=acme", "region=eu")}, {"tenant": ("acme",), "region": ("eu",)}),
        (
            {"key_values": ("region=us", "tenant=acme", "region=eu")},
            {"tenant": ("acme",), "region": ("eu", "us")},
        ),
        (
            {"key_values": ("tenant=zeta", "region=ap"), "sort_key_condition": "= 2026"},
            {"tenant": ("zeta",), "region": ("ap",), "year": ("2026",)},
        ),
        (
            {
                "key_values": ("zeta", "region=us"),
                "key_name": "tenant",
                "sort_key_condition": "year = 2025 and month between 2 and 8",
            },
            {"tenant": ("zeta",), "region": ("us",), "year": ("2025",), "month": tuple("2345678")},
        ),
    ],
)
async def test_a_run_through_such_an_index(
    service: Service, runs: Runs, projection: str, selection: dict[str, Any], wanted: dict[str, Any]
):
    """Exactly those items fire, once each; items without a key attribute are not in the index."""
    db = shop(service, projection=projection)
    result = await runs.run(selection=SelectionSettings(index="wide", **selection))
    expected = chosen(**wanted)
    assert result.exit_code is ExitCode.COMPLETE
    assert len(expected) > 1
    assert db.fired("orders") == expected
    assert result.summary.counts == Counts(scanned=len(expected), touched=len(expected))


@pytest.mark.parametrize(
    "keys", [{"hashes": ("revision", "tenant")}, {"hashes": ("tenant", "revision")}, {"more": ("revision",)}]
)
async def test_a_marker_anywhere_in_the_keys_is_refused(service: Service, runs: Runs, keys: dict[str, Any]):
    """Nothing is written: no entry moves."""
    db = service(spec(*keys.pop("more", ()), **keys))
    db.fill("orders", [{**item, "revision": {"N": "1"}} for item in orders(20)])
    with pytest.raises(UsageError, match="revision is a key of index wide"):
        await runs.run()
    assert db.fired("orders") == Counter()
    assert all(item["revision"] == {"N": "1"} for item in db.items("orders"))


async def test_only_items_in_the_index_cost_twice(service: Service, runs: Runs):
    """An item of 2 KB costs 2 units, and another 2 in the index."""
    db = shop(service, projection="ALL")
    result = await runs.run()
    assert sum(db.fired("orders").values()) == 120
    inside = sum(chosen().values())
    assert inside == 108
    assert result.summary.wcu == pytest.approx(2 * 120 + 2 * inside)
    by_index = sum(e.consumed.reported.get("wide", 0) for e in runs.of(BatchWritten) if e.consumed)
    assert by_index == pytest.approx(2 * inside)


async def test_a_stopped_query_is_resumed(service: Service, runs: Runs):
    """All attributes of its hash keys are in the checkpoint."""
    db = shop(service)
    selection = SelectionSettings(
        index="wide", key_values=("tenant=acme", "tenant=zeta", "region=eu", "region=ap")
    )
    stopped = await runs.run(selection=selection, max_items=10)
    assert stopped.exit_code is ExitCode.STOPPED
    resumed = await runs.resume()
    assert resumed.exit_code is ExitCode.COMPLETE
    assert db.fired("orders") == chosen(region=("eu", "ap"))

"""The sample: its cost, its parts of the table, its limits."""

from typing import Any

import anyio
import pytest

from refire_async.aws.control_plane import parse_table
from refire_async.aws.errors import AwsError
from refire_async.model.selection import Selection
from refire_async.pacing.capacity import Ceilings
from refire_async.preflight.facts import CheckedRun, SampledItems
from refire_async.preflight.sampling import MOST_ITEMS, SEGMENTS, sample
from refire_async.settings import Connection
from tests.preflight.harness import denied
from tests.support.inprocess_server import InProcess, table_spec
from tests.support.virtual_time import VIRTUAL_TIME


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


class Sampling:
    """Samples of one table, with the requests that they made."""

    def __init__(self, items: int, payload: int = 100, **spec: Any) -> None:
        units = {"ReadCapacityUnits": 64_000, "WriteCapacityUnits": 64_000}
        plenty = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": units}
        self.db = InProcess(table_spec(**plenty, **spec), partitions=64)
        rows = [{"pk": {"S": f"o-{n}"}, "payload": {"S": "x" * payload}} for n in range(items)]
        self.db.fill("orders", rows)
        self.requests: list[dict[str, Any]] = []
        self.db.watch = lambda _operation, request: self.requests.append(request)

    async def take(
        self, rcu: float = 10_000.0, seconds: float = 3.0, selection: Selection | None = None, **how: Any
    ) -> SampledItems | None:
        described = self.db("DescribeTable", TableName="orders")["Table"]
        run = CheckedRun(
            table=parse_table(described),
            region="eu-west-1",
            selection=selection or Selection("scan"),
            marker_kind="revision",
            marker_attribute="revision",
            limits=Ceilings({"": 100.0}, rcu, ""),
        )
        async with self.db.open_session(Connection(), 8) as session:
            return await sample(session.data, run, anyio.current_time() + seconds, **how)


async def test_a_large_table_is_sampled_in_all_hash_ranges() -> None:
    """Of 5,000 items 1,000 from all 16 ranges of the key hash, for little more than their read units."""
    sampling = Sampling(5_000, payload=900)
    taken = await sampling.take(whole_items=True)
    assert taken is not None
    assert taken.items == MOST_ITEMS
    assert {request["Segment"] for request in sampling.requests} == set(range(SEGMENTS))
    assert taken.rcu < 1.2 * MOST_ITEMS * 1_000 / 8_192
    assert taken.mean_write_units == 1.0


async def test_a_small_table_is_read_whole() -> None:
    """Page after page, without a request for each of 16 ranges that have few items."""
    sampling = Sampling(150)
    taken = await sampling.take()
    assert taken is not None
    assert taken.items == 150
    assert {request["TotalSegments"] for request in sampling.requests} == {1}


async def test_an_empty_table() -> None:
    """The sample has no items."""
    taken = await Sampling(0).take()
    assert taken is not None
    assert taken.items == 0


@pytest.mark.parametrize("payload", [100, 3_000, 30_000])
async def test_the_read_budget_is_kept(payload: int) -> None:
    """20 units/s for 3 s: never more than that and one page, for items of any size."""
    sampling = Sampling(400, payload=payload)
    taken = await sampling.take(rcu=20.0)
    assert taken is not None
    assert 0 < taken.items <= 400
    assert taken.rcu <= 20.0 * 3.0 + 20.0 * 0.1 + payload / 8_192 + 1


async def test_it_ends_in_time() -> None:
    """A slow service does not delay the check."""
    sampling = Sampling(400)
    sampling.db.latency_s = (1.0, 1.0)
    begin = anyio.current_time()
    taken = await sampling.take(seconds=2.5)
    assert anyio.current_time() - begin == pytest.approx(2.5)
    assert taken is not None
    assert taken.items == 128
    assert await sampling.take(seconds=0.5) is None


async def test_only_keys_and_marker_are_read_without_whole_items() -> None:
    """They are the attributes that the run reads."""
    sampling = Sampling(10)
    await sampling.take()
    (request,) = sampling.requests
    names = request["ExpressionAttributeNames"]
    assert {names[part] for part in request["ProjectionExpression"].split(", ")} == {"pk", "revision"}


async def test_selected_hash_keys_are_queried() -> None:
    """Not scanned, which may not be permitted. Of many keys some are enough."""
    sampling = Sampling(100)
    keys = tuple({"S": f"o-{n}"} for n in range(40))
    taken = await sampling.take(selection=Selection("query", key_name="pk", key_values=keys))
    assert taken is not None
    assert len(sampling.requests) == taken.items == 14
    assert all("KeyConditionExpression" in request for request in sampling.requests)


async def test_items_before_a_failure_count() -> None:
    """Only a first page that cannot be read is an error."""
    sampling = Sampling(400)
    served = 1

    def refuse(_operation: str, _request: dict[str, Any]) -> None:
        nonlocal served
        served -= 1
        if served < 0:
            raise denied("Scan")

    sampling.db.watch = refuse
    taken = await sampling.take()
    assert taken is not None
    assert taken.items == 64
    with pytest.raises(AwsError):
        await sampling.take()

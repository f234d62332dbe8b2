"""Four hot hash keys in the engine and the sandbox's model of capacity: lanes do not delay others, one queue does."""

import anyio
import pytest

from benchmarks.pacing.one_queue import OneQueue
from refire_async.pipeline import queue
from refire_async.settings import Budget, Tuning
from tests.engine.conftest import Runs, Service
from tests.support.inprocess_server import WRITES, table_spec

ITEMS, HOT, SHARE = 12_000, 4, 0.12
WCU = 5_000
WORKERS = 20
SEGMENTS = 256
ALONE_S = 0.8 * ITEMS * (1 - HOT * SHARE) / WCU
"""The time (s) that 80% of the other items take alone."""


async def measure(service: Service, runs: Runs) -> float:
    """Seconds until 80% of the other items were sent for the last time."""
    capacity = {"ReadCapacityUnits": 20_000, "WriteCapacityUnits": WCU}
    skew = {"HotKey": [SHARE] * HOT}
    db = service(
        table_spec(
            sort_key=True,
            BillingMode="PROVISIONED",
            ProvisionedThroughput=capacity,
            Generate={"Count": ITEMS, "HashKeys": 480, "HashPrefix": "k", "Skew": skew, "ItemBytes": 500},
        ),
        burst_seconds=0.0,
    )
    hot = {f"k{number:010d}" for number in range(HOT)}
    others: dict[str, float] = {}
    begin = 0.0

    def watch(operation: str, request: dict[str, object]) -> None:
        nonlocal begin
        if operation not in WRITES:
            return
        now = anyio.current_time()
        begin = begin or now
        statements = request["Statements"]
        assert isinstance(statements, list)
        for statement in statements:
            names = [value["S"] for value in statement["Parameters"] if "S" in value]
            if not hot.intersection(names):
                others[str(statement["Parameters"])] = now

    db.watch = watch
    result = await runs.run(
        budget=Budget(wcu_percent=100.0), tuning=Tuning(segments=SEGMENTS, workers=WORKERS)
    )
    assert result.summary.counts.touched == ITEMS
    assert len(others) == round(ITEMS * (1 - HOT * SHARE))
    times = sorted(others.values())
    return times[int(0.8 * len(times))] - begin


async def test_lanes_do_not_delay_others(service: Service, runs: Runs):
    """80% of the other items complete as if there were no hot keys.

    Longer runs (`benchmarks/pacing`) measure how close all items come to the lower bound: here the seconds in which
    lanes find their rates weigh too much.
    """
    assert await measure(service, runs) <= 1.15 * ALONE_S


@pytest.mark.soak
async def test_one_queue_delays_others(service: Service, runs: Runs, monkeypatch: pytest.MonkeyPatch):
    """The same run with all batches in one queue, which shows that the test above can fail."""
    monkeypatch.setattr(queue, "Lanes", lambda _share: OneQueue(WORKERS))
    assert await measure(service, runs) > 1.3 * ALONE_S

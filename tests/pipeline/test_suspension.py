"""A process that was suspended (Ctrl-Z, or the machine slept) continues as if no time had passed."""

import time

import anyio
import pytest

from refire_async.checkpoint.store import Store
from refire_async.events import Suspended
from refire_async.model.counts import Counts
from refire_async.pipeline import run as pipeline
from tests.pipeline.fake_dynamodb import FaultProfile
from tests.pipeline.harness import fake_table, new_attempt


@pytest.fixture
def anyio_backend() -> str:
    """The real clock: virtual time does not pass while the process is blocked."""
    return "asyncio"


@pytest.mark.parametrize("faults", [FaultProfile(), FaultProfile(retry=0.2)])
async def test_a_suspension_is_neither_working_time_nor_an_outage(
    store: Store, monkeypatch: pytest.MonkeyPatch, faults: FaultProfile
):
    """A suspension longer than --give-up-after does not stop the run, and the run's seconds do not include it."""
    monkeypatch.setattr(pipeline, "COUNT_EVERY_S", 0.05)
    monkeypatch.setattr(pipeline, "SUSPENDED_S", 0.5)
    async with fake_table(300, 300, faults=faults) as table, anyio.create_task_group() as tasks:
        attempt = new_attempt(table, store, wcu=600.0, give_up_after_s=2.0)
        tasks.start_soon(attempt.run)
        await anyio.sleep(0.3)
        attempt.context.outage.failed("ConnectError", anyio.current_time())
        time.sleep(3.0)  # noqa: ASYNC251 - blocks the loop, as a suspended process does
        await anyio.sleep(0.2)
    # A busy machine can suspend the process for a moment too.
    assert max(seen.seconds for seen in attempt.of(Suspended)) > 2.4
    saved = store.load()
    assert attempt.context.stop.error is None
    assert saved.counts.settled == 600
    table.check_promises(saved.counts)
    assert saved.totals.seconds < 3.0
    assert isinstance(saved.counts, Counts)

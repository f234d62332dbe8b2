"""A process that was stopped for a while (Ctrl-Z, a machine that sleeps) goes on as if that time had not been."""

import time

import anyio
import pytest

from refire_async.checkpoint.store import Store
from refire_async.events import Suspended
from refire_async.model.counts import Counts
from refire_async.pipeline import run as pipeline
from tests.pipeline.world import Weather, sit, world_of


@pytest.fixture
def anyio_backend() -> str:
    """The real clock: a virtual one does not go on while the process stands still."""
    return "asyncio"


@pytest.mark.parametrize("weather", [Weather(), Weather(retry=0.2)])
async def test_time_that_stood_still_is_neither_work_nor_an_outage(
    store: Store, monkeypatch: pytest.MonkeyPatch, weather: Weather
):
    """Standing still for longer than --give-up-after ends nothing, and is left out of the seconds."""
    monkeypatch.setattr(pipeline, "COUNT_EVERY_S", 0.05)
    monkeypatch.setattr(pipeline, "SUSPENDED_S", 0.5)
    async with world_of(300, 300, weather=weather) as world, anyio.create_task_group() as tasks:
        attempt = sit(world, store, wcu=600.0, give_up_after_s=2.0)
        tasks.start_soon(attempt.run)
        await anyio.sleep(0.3)
        attempt.context.outage.failed("ConnectError", anyio.current_time())
        time.sleep(3.0)  # noqa: ASYNC251 - the loop stands still, as a stopped process does
        await anyio.sleep(0.2)
    (seen,) = attempt.of(Suspended)
    assert seen.seconds > 2.4
    saved = store.load()
    assert attempt.context.stop.error is None
    assert saved.counts.settled == 600
    world.check_promises(saved.counts)
    assert saved.totals.seconds < 3.0
    assert isinstance(saved.counts, Counts)

"""The record of the shares of a run's budget, and the hold on a task, in a checkpoint table."""

import uuid
from collections.abc import AsyncIterator

import anyio
import pytest

from refire_async.aws.session import open_session
from refire_async.checkpoint.dynamodb import claims
from refire_async.checkpoint.dynamodb.claims import HOLD_S, Keeper
from refire_async.checkpoint.dynamodb.lifecycle import create_table
from refire_async.checkpoint.dynamodb.share_record import TableRecord
from refire_async.checkpoint.dynamodb.table import CheckpointTable
from refire_async.errors import StoppedError
from refire_async.pacing.share_lease import MemoryRecord, SharedRecord
from refire_async.settings import Connection
from tests.support.backends import REGION, Backend, on_one_backend


@pytest.fixture
async def table(backend: Backend) -> AsyncIterator[CheckpointTable]:
    """A new checkpoint table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", backend.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        async with open_session(Connection(endpoint_url=backend.url, region=REGION), 8) as session:
            table = CheckpointTable(f"refire-{uuid.uuid4().hex[:8]}", session.data)
            await create_table(table)
            yield table


@pytest.mark.parametrize("kind", ["memory", "table"])
async def test_one_of_two_changes_of_a_version_is_made(table: CheckpointTable, kind: str) -> None:
    """Compare and swap, also for the first change; each reads what was written last."""
    one: SharedRecord = MemoryRecord() if kind == "memory" else TableRecord(table, "the-run")
    two = one if kind == "memory" else TableRecord(table, "the-run")
    assert await one.read() == (0, b"")
    assert [await one.replace(0, b"{}"), await two.replace(0, b"[]")] == [True, False]
    version, content = await two.read()
    assert content == b"{}"
    assert [await two.replace(version, b"[1]"), await one.replace(version, b"[2]")] == [True, False]
    later, content = await one.read()
    assert content == b"[1]"
    assert later > version


@on_one_backend
async def test_a_hold_ends_without_a_beat(table: CheckpointTable) -> None:
    """Nothing is held before the first beat and `HOLD_S` after the sending of the last one, by a clock that also ran
    while the process was stopped."""
    now = 100.0
    claim = await claims.take(table, "the-run", 0, "me")
    keeper = Keeper(table, "the-run", 0, claim, clock=lambda: now)
    assert not keeper.in_force()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keeper.keep)
        with anyio.fail_after(30.0):
            while not keeper.in_force():  # noqa: ASYNC110 - until the server has answered
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    now = 100.0 + HOLD_S - 0.01
    assert keeper.in_force()
    now = 100.0 + HOLD_S
    assert not keeper.in_force()


@on_one_backend
async def test_a_hold_that_another_process_has_taken_is_never_in_force_again(table: CheckpointTable) -> None:
    """The error names the new owner."""
    claim = await claims.take(table, "the-run", 0, "me")
    await claims.release(table, "the-run", 0, claim, finished=False)
    await claims.take(table, "the-run", 0, "another")
    keeper = Keeper(table, "the-run", 0, claim)
    with pytest.raises(StoppedError, match="now at another"):
        await keeper.keep()
    assert not keeper.in_force()

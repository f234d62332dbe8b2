"""A checkpoint continues only the run that it belongs to."""

from typing import Any

import anyio
import pytest

from refire_async.checkpoint import catalog
from refire_async.checkpoint.lock import locked
from refire_async.checkpoint.reading import peek
from refire_async.errors import CheckpointRefusedError, ExitCode
from refire_async.settings import SelectionSettings, Tuning
from tests.engine.conftest import Runs, Service
from tests.support.inprocess_server import WRITES, InProcess, table_spec


def by_day(**more: Any) -> dict[str, Any]:
    return table_spec(
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "day")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-day",
                "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        **more,
    )


async def half_done(service: Service, runs: Runs, **settings: Any) -> InProcess:
    db = service(by_day(), table_spec("another"))
    db.fill("orders", [{"pk": {"S": str(n)}, "day": {"S": "mon"}} for n in range(30)])
    result = await runs.run(max_items=10, run_id="first", **settings)
    assert result.exit_code is ExitCode.STOPPED
    db.calls.clear()
    return db


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        ({"run_id": "second"}, "another run id"),
        ({"table": "another"}, "another table"),
        ({"selection": SelectionSettings(index="by-day")}, "another selection"),
        ({"selection": SelectionSettings(key_values=("1",))}, "another selection"),
        ({"selection": SelectionSettings(filter="attribute_exists(pk)")}, "another selection"),
        ({"marker": "stamp"}, "another marker"),
        ({"marker_attribute": "version"}, "another marker"),
        ({"tuning": Tuning(segments=3)}, "another number of segments"),
    ],
)
async def test_another_run_is_refused_with_the_difference(
    service: Service, runs: Runs, settings: dict[str, Any], difference: str
):
    """Nothing is written, neither to the table nor to the checkpoint."""
    db = await half_done(service, runs)
    before = peek(runs.checkpoint)
    with pytest.raises(CheckpointRefusedError, match=difference) as caught:
        await runs.run(**settings)
    assert caught.value.exit_code is ExitCode.CHECKPOINT_REFUSED
    assert "give the options of run first" in str(caught.value)
    assert not any(db.calls[operation] for operation in WRITES)
    assert peek(runs.checkpoint) == before


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"run_id": "first"},
        {"tuning": Tuning(workers=2, writer="update")},
        {"max_items": 1_000},
    ],
)
async def test_the_same_run_continues(service: Service, runs: Runs, settings: dict[str, Any]):
    """Speed and writer may change from one attempt to the next."""
    db = await half_done(service, runs)
    result = await runs.run(**settings)
    assert (result.exit_code, result.summary.run_id) == (ExitCode.COMPLETE, "first")
    assert db.fired("orders").total() == 30


async def test_a_selection_with_values_is_equal_after_it_was_saved(service: Service, runs: Runs):
    selection = SelectionSettings(
        index="by-day",
        key_values=("mon",),
        filter="#p < :p",
        names=(("#p", "pk"),),
        values=((":p", {"S": "99"}),),
    )
    db = await half_done(service, runs, selection=selection)
    assert (await runs.run(selection=selection)).exit_code is ExitCode.COMPLETE
    assert db.fired("orders").total() == 30


@pytest.mark.parametrize("command", ["run", "resume"])
async def test_a_recreated_table_is_another_table(service: Service, runs: Runs, command: str):
    """It has other items under the same name."""
    db = await half_done(service, runs)
    db("DeleteTable", TableName="orders")
    db("CreateTable", **by_day())
    with pytest.raises(CheckpointRefusedError, match=r"created again under the same name|another TableId"):
        await getattr(runs, command)()


@pytest.mark.parametrize("command", ["run", "resume"])
async def test_a_complete_run_is_not_resumed(service: Service, runs: Runs, command: str):
    db = await half_done(service, runs)
    await runs.resume()
    assert peek(runs.checkpoint).status == "complete"
    with pytest.raises(CheckpointRefusedError, match="is complete"):
        await getattr(runs, command)()
    assert db.fired("orders").total() == 30


@pytest.mark.parametrize("command", ["run", "resume"])
async def test_a_checkpoint_in_use_is_refused(service: Service, runs: Runs, command: str):
    await half_done(service, runs)
    with locked(runs.checkpoint), pytest.raises(CheckpointRefusedError, match="is in use by another process"):
        await getattr(runs, command)()


async def test_a_killed_run_is_resumed(service: Service, runs: Runs):
    """As by a second Ctrl-C. Its status is still `running`; only the lock shows that it is not."""
    db = await half_done(service, runs)
    with anyio.CancelScope() as scope:

        def cut_off(operation: str, _: dict[str, Any]) -> None:
            if operation in WRITES:
                scope.cancel()

        db.watch = cut_off
        await runs.resume()
    assert scope.cancelled_caught
    assert peek(runs.checkpoint).status == "running"
    assert catalog.describe(runs.checkpoint).status == "stopped"
    db.watch = None
    result = await runs.resume()
    assert result.summary.status == "complete"
    assert result.summary.counts.settled == 30
    fired = db.fired("orders")
    assert (len(fired), set(fired.values())) == (30, {1})


async def test_a_missing_checkpoint_cannot_be_resumed(service: Service, runs: Runs):
    service(table_spec())
    with pytest.raises(CheckpointRefusedError, match="there is no checkpoint"):
        await runs.resume()

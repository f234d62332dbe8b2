"""Whole runs: their results, messages and files."""

import json
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest

from refire_async.checkpoint.reading import peek
from refire_async.checkpoint.store import Store
from refire_async.engine import run as engine
from refire_async.errors import ExitCode, RefusedError, StoppedError, UsageError
from refire_async.events import Event, RunEnded, RunStarted
from refire_async.model.counts import Counts
from refire_async.model.stop import StopRequest
from refire_async.sandbox.errors import ServiceError
from refire_async.settings import Budget, Connection, RunSettings, SelectionSettings, Tuning
from refire_async.sources.key_list import list_path
from tests.engine.conftest import Runs, Service
from tests.support.inprocess_server import WRITES, table_spec


def orders(count: int, **attributes: Any) -> list[dict[str, Any]]:
    return [{"pk": {"S": f"o-{n:05}"}, "payload": {"S": "x" * 50}, **attributes} for n in range(count)]


def mode_and_lines(path: Path) -> tuple[int, list[Any]]:
    """Permissions and content of a file of JSON lines."""
    return stat.S_IMODE(path.stat().st_mode), [json.loads(line) for line in path.read_text().splitlines()]


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def once(count: int) -> Counter[str]:
    return Counter({f"o-{n:05}": 1 for n in range(count)})


async def test_a_run_fires_every_item_once_and_changes_nothing_else(service: Service, runs: Runs):
    db = service(table_spec())
    db.fill("orders", [*orders(700), {"pk": {"S": "seven"}, "revision": {"N": "7"}}])
    result = await runs.run()
    assert (result.exit_code, result.reason) == (ExitCode.COMPLETE, None)
    assert result.summary.status == "complete"
    assert result.summary.counts == Counts(scanned=701, touched=701)
    assert result.summary.wcu == 701.0
    assert result.summary.failed_keys_file is None
    assert result.summary.checkpoint == str(runs.checkpoint)
    expected = [{**item, "revision": {"N": "1"}} for item in orders(700)]
    expected.append({"pk": {"S": "seven"}, "revision": {"N": "8"}})
    assert sorted(db.items("orders"), key=lambda item: item["pk"]["S"]) == expected
    assert db.fired("orders") == once(700) + Counter(["seven"])
    assert peek(runs.checkpoint).status == "complete"


async def test_events_begin_and_end_a_run(service: Service, runs: Runs):
    service(table_spec()).fill("orders", orders(5))
    result = await runs.run(budget=Budget(max_wcu=25.0))
    assert isinstance(runs.events[0], RunStarted)
    assert (runs.events[0].max_wcu, runs.events[0].bound_by, runs.events[0].resumed) == (
        25.0,
        "--max-wcu",
        False,
    )
    assert runs.events[-1] == RunEnded(result.summary)


@pytest.mark.parametrize("writer", ["partiql", "update"])
@pytest.mark.parametrize("marker", ["revision", "stamp"])
async def test_both_writers_and_both_markers(service: Service, runs: Runs, writer: str, marker: str):
    db = service(table_spec())
    db.fill("orders", orders(60))
    result = await runs.run(marker=marker, tuning=Tuning(writer=writer), run_id="run-7")
    assert result.exit_code is ExitCode.COMPLETE
    attribute = {"revision": ("revision", {"N": "1"}), "stamp": ("refire_run_id", {"S": "run-7"})}[marker]
    assert all(item[attribute[0]] == attribute[1] for item in db.items("orders"))
    assert db.fired("orders") == once(60)
    used = {"partiql": "BatchExecuteStatement", "update": "UpdateItem"}
    assert {operation for operation in WRITES if db.calls[operation]} == {used[writer]}


async def test_items_that_cannot_be_touched_are_listed_in_a_private_file(service: Service, runs: Runs):
    """The other items are touched. The list gives the reasons and can be used as --keys-file."""
    db = service(table_spec())
    db.fill("orders", [*orders(50), {"pk": {"S": "text"}, "revision": {"S": "v1"}}])
    result = await runs.run()
    assert (result.exit_code, result.summary.status) == (ExitCode.SOME_FAILED, "complete")
    assert result.summary.counts == Counts(scanned=51, touched=50, failed=1)
    path = Path(result.summary.failed_keys_file or "")
    assert path == runs.checkpoint.with_name("run.refire.failed.jsonl")
    reason = "marker is of type S, not a number"
    assert mode_and_lines(path) == (
        0o600,
        [{"key": {"pk": {"S": "text"}}, "code": "UntouchableMarker", "reason": reason}],
    )
    db("PutItem", TableName="orders", Item={"pk": {"S": "text"}, "revision": {"N": "1"}})
    again = Runs(runs.checkpoint.with_name("again.refire"))
    second = await again.run(selection=SelectionSettings(keys_file=str(path)))
    assert (second.exit_code, second.summary.counts) == (ExitCode.COMPLETE, Counts(scanned=1, touched=1))


async def test_a_keys_file_with_repeated_and_missing_keys(service: Service, runs: Runs, tmp_path: Path):
    db = service(table_spec())
    db.fill("orders", orders(5))
    keys = tmp_path / "keys.jsonl"
    keys.write_text('{"pk": "o-00001"}\n{"pk": "o-00003"}\n{"pk": "o-00001"}\n{"pk": "missing"}\n')
    result = await runs.run(selection=SelectionSettings(keys_file=str(keys)))
    assert result.summary.counts == Counts(scanned=3, touched=2, vanished=1)
    assert db.fired("orders") == Counter(["o-00001", "o-00003"])


async def test_a_keys_file_with_a_bad_line_ends_with_exit_code_2(
    service: Service, runs: Runs, tmp_path: Path
):
    db = service(table_spec())
    db.fill("orders", orders(5))
    keys = tmp_path / "keys.jsonl"
    keys.write_text('{"pk": "o-00001"}\nnonsense\n')
    with pytest.raises(UsageError, match=r"keys.jsonl line 2 is not JSON"):
        await runs.run(selection=SelectionSettings(keys_file=str(keys)))
    assert not db.fired("orders")
    assert not list_path(runs.checkpoint).exists()


async def test_a_dry_run_writes_nothing_anywhere(service: Service, runs: Runs, tmp_path: Path):
    """Neither to the table nor to the disk; it reports what a run would touch and cost."""
    db = service(table_spec())
    db.fill("orders", [*orders(120), {"pk": {"S": "text"}, "revision": {"S": "v1"}}])
    before = db.items("orders")
    result = await runs.run(dry_run=True)
    assert (result.exit_code, result.summary.status, result.reason) == (ExitCode.COMPLETE, "dry-run", None)
    assert result.dry_run is not None
    assert (result.dry_run.items, result.dry_run.more) == (120, False)
    assert result.dry_run.wcu == pytest.approx(120.0)
    assert result.summary.checkpoint is None
    assert not any(db.calls[operation] for operation in WRITES)
    assert db.items("orders") == before
    assert db.fired("orders") == Counter()
    assert files_in(tmp_path) == []


async def test_a_dry_run_with_a_limit_reads_only_that_many_items(service: Service, runs: Runs):
    db = service(table_spec())
    db.fill("orders", orders(120))
    result = await runs.run(dry_run=True, max_items=30)
    assert (result.exit_code, result.summary.status) == (ExitCode.COMPLETE, "dry-run")
    assert result.dry_run is not None
    assert (result.dry_run.items, result.dry_run.more) == (30, True)


@pytest.mark.parametrize(
    ("reason", "code"), [("interrupted", ExitCode.INTERRUPTED), ("terminated", ExitCode.STOPPED)]
)
async def test_a_stop_in_the_middle_is_resumed_to_the_end(
    service: Service, runs: Runs, reason: Any, code: ExitCode
):
    db = service(table_spec())
    db.fill("orders", orders(600))
    stop = StopRequest()
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            await anyio.sleep(1.0)
            stop.request(reason)

        tasks.start_soon(ask)
        result = await runs.run(stop, budget=Budget(max_wcu=200.0))
    assert (result.exit_code, result.summary.status) == (code, "stopped")
    assert 100 < result.summary.counts.touched < 300
    assert db.fired("orders").total() == result.summary.counts.touched
    assert peek(runs.checkpoint).status == "stopped"
    result = await runs.resume()
    assert (result.exit_code, result.summary.status) == (ExitCode.COMPLETE, "complete")
    assert result.summary.counts == Counts(scanned=600, touched=600)
    assert runs.of(RunStarted)[0].resumed
    assert db.fired("orders") == once(600)


async def test_a_limit_of_items_ends_with_exit_code_3_and_can_be_resumed(service: Service, runs: Runs):
    db = service(table_spec())
    db.fill("orders", orders(90))
    result = await runs.run(max_items=40)
    assert (result.exit_code, result.reason) == (ExitCode.STOPPED, "the limit of --max-items is reached")
    assert db.fired("orders").total() == 40
    result = await runs.run()  # the same run again continues, too
    assert result.summary.counts == Counts(scanned=90, touched=90)
    assert db.fired("orders") == once(90)


async def test_a_stop_before_the_start_leaves_no_files(service: Service, runs: Runs):
    db = service(table_spec())
    db.fill("orders", orders(9))
    stop = StopRequest()
    stop.request("interrupted")
    with pytest.raises(StoppedError, match="before the run began; nothing was written") as stopped:
        await runs.run(stop)
    assert stopped.value.exit_code is ExitCode.INTERRUPTED
    assert not any(db.calls[operation] for operation in WRITES)
    assert not runs.checkpoint.exists()


async def test_a_stop_before_the_first_read_writes_nothing_and_can_be_resumed(service: Service, runs: Runs):
    db = service(table_spec())
    db.fill("orders", orders(9))
    stop = StopRequest()

    def stop_at_the_start(event: Event) -> None:
        if isinstance(event, RunStarted):
            stop.request("interrupted")

    settings = RunSettings(table="orders", checkpoint=runs.checkpoint)
    result = await engine.run(settings, emit=stop_at_the_start, stop=stop)
    assert result.exit_code is ExitCode.INTERRUPTED
    assert not any(db.calls[operation] for operation in WRITES)
    assert (await runs.resume()).exit_code is ExitCode.COMPLETE
    assert db.fired("orders") == once(9)


def denies(after: int) -> Any:
    calls = 0

    def watch(operation: str, _: dict[str, Any]) -> None:
        nonlocal calls
        calls += operation in WRITES
        if operation in WRITES and calls > after:
            raise ServiceError(
                "AccessDeniedException", "User: x is not authorized to perform: dynamodb:PartiQLUpdate"
            )

    return watch


@pytest.mark.parametrize(
    ("after", "code", "status"), [(0, ExitCode.REFUSED, "failed"), (3, ExitCode.STOPPED, "stopped")]
)
async def test_no_permission_to_write(service: Service, runs: Runs, after: int, code: ExitCode, status: str):
    """Exit code 10 means that nothing was written, so it is not used after a write."""
    db = service(table_spec())
    db.fill("orders", orders(300))
    db.watch = denies(after)
    result = await runs.run()
    assert (result.exit_code, result.summary.status) == (code, status)
    assert "dynamodb:PartiQLUpdate" in str(result.reason)
    assert (db.fired("orders").total() > 0) == (after > 0)
    # If nothing was written, there is nothing to resume.
    assert runs.checkpoint.exists() == (after > 0)
    db.watch = None
    assert (await runs.run()).exit_code is ExitCode.COMPLETE
    assert db.fired("orders") == once(300)


async def test_an_outage_ends_with_exit_code_3(service: Service, runs: Runs):
    db = service(table_spec())
    db.fill("orders", orders(30))

    def down(_: str, __: dict[str, Any]) -> None:
        raise ServiceError("InternalServerError", "", status=500)

    db.watch = down
    result = await runs.run(tuning=Tuning(give_up_after_s=60.0))
    assert result.exit_code is ExitCode.STOPPED
    assert "nothing went through" in str(result.reason)


async def test_a_checkpoint_that_cannot_be_saved_is_raised(
    service: Service, runs: Runs, monkeypatch: pytest.MonkeyPatch
):
    """There is no place for a result then."""
    service(table_spec()).fill("orders", orders(30))

    def full(self: Store, *_: object) -> None:
        self._db.execute("INSERT INTO nowhere VALUES (1)")

    monkeypatch.setattr(Store, "open_page", full)
    with pytest.raises(Exception, match="cannot be saved") as caught:
        await runs.run()
    assert getattr(caught.value, "exit_code", None) is ExitCode.STOPPED


async def test_a_table_without_a_stream_is_refused(service: Service, runs: Runs):
    db = service(table_spec(stream=False))
    db.fill("orders", orders(3))
    with pytest.raises(RefusedError, match="neither a stream nor a Kinesis destination"):
        await runs.run()
    assert not runs.checkpoint.exists()
    result = await runs.run(ignore=frozenset(["stream-disabled"]))
    assert result.summary.counts == Counts(scanned=3, touched=3)


async def test_a_missing_table_is_refused_with_its_region(service: Service, runs: Runs):
    service(table_spec())
    with pytest.raises(RefusedError, match=r"there is no table nowhere in eu-west-1 \(http://sandbox\)"):
        await runs.run(table="nowhere")
    assert not runs.checkpoint.exists()


@pytest.mark.parametrize("attribute", ["pk", "day"])
async def test_a_marker_that_is_a_key_is_refused(service: Service, runs: Runs, attribute: str):
    """Of the table, or of an index in which a touch would move items."""
    spec = table_spec(
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "day")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-day",
                "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    service(spec)
    with pytest.raises(UsageError, match=f"marker attribute {attribute} is a key"):
        await runs.run(marker_attribute=attribute)


async def test_a_resume_uses_the_saved_connection_by_default(service: Service, runs: Runs):
    db = service(table_spec())
    db.fill("orders", orders(9))
    await runs.run(
        max_items=3, connection=Connection(region="eu-west-1", profile="work", endpoint_url="http://a")
    )
    await runs.resume(connection=Connection(endpoint_url="http://b"))
    assert db.connections[-1] == Connection(region="eu-west-1", profile="work", endpoint_url="http://b")

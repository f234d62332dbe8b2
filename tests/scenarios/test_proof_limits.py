"""The limits of a verification: wrong clocks, streams that show little or cannot be read, other runs."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from refire_async.sandbox.config import SandboxConfig
from refire_async.sandbox.process import SandboxProcess
from tests.scenarios.conftest import pointed_at
from tests.support.backends import Backend, connected, on_one_backend
from tests.support.cli import Cli
from tests.support.exports import full_export
from tests.support.rows import hash_rows
from tests.support.tables import Table, create_table

MakeTable = Callable[..., Table]
AHEAD_S = (-7_200, 1_500, 90_000)
"""Offsets of the service's clock to this machine's, both ways, and larger than a stream's retention."""


@pytest.fixture(params=AHEAD_S)
def elsewhen(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Backend]:
    """A sandbox whose clock differs from this machine's."""
    folder = tmp_path / "shifted"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        f"import time\n_real = time.time\ntime.time = lambda: _real() + {request.param}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    with SandboxProcess(SandboxConfig()) as sandbox:
        monkeypatch.undo()
        with connected("sandbox", sandbox.url) as backend:
            yield backend


@pytest.fixture
def cli_elsewhen(elsewhen: Backend, tmp_path: Path) -> Iterator[Cli]:
    """The command line with this sandbox."""
    yield from pointed_at(tmp_path, elsewhen.url, elsewhen)


def forget_the_service_s_clock(checkpoint: Path, ahead_s: float) -> None:
    """Change the checkpoint to the form of earlier versions, made on a machine whose clock is `ahead_s` ahead."""

    def shifted(text: str) -> str:
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(time.time() + ahead_s))}{text[19:]}"

    with sqlite3.connect(checkpoint) as db:
        created, updated = db.execute("SELECT created_at, updated_at FROM run").fetchone()
        db.execute("UPDATE run SET created_at = ?, updated_at = ?", (shifted(created), shifted(updated)))
        db.execute("UPDATE settled SET opened = opened + ?", (ahead_s,))
        db.execute("DELETE FROM note WHERE kind = 'clock'")
    db.close()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_wrong_clock_changes_no_proof(elsewhen: Backend, cli_elsewhen: Cli, processes: str) -> None:
    """Hours ahead or behind: the run uses the service's time, so each event is found, during the run and later."""
    table = create_table(elsewhen)
    table.fill(hash_rows(200))
    run = cli_elsewhen.refire(table.name, "--run-id", "r", "--verify", "--processes", processes)
    assert run.code == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-2])["once"] == 200
    verified = cli_elsewhen.verify("r")
    assert (verified.code, verified.json["once"], verified.json["missing"]) == (0, 200, 0), verified.stderr


@on_one_backend
@pytest.mark.parametrize("ahead_s", [7_200.0, -7_200.0])
def test_records_without_an_event_mean_that_the_clocks_disagree(
    cli: Cli, make_table: MakeTable, ahead_s: float
) -> None:
    """A checkpoint of an earlier version, made with a wrong clock: no file of keys, and no command is suggested."""
    table = make_table(("pk", "S"))
    table.fill(hash_rows(50))
    assert cli.refire(table.name, "--run-id", "r").code == 0
    checkpoint = cli.state / "refire" / "runs" / "r.refire"
    forget_the_service_s_clock(checkpoint, ahead_s)

    running = [
        cli.start("verify", "r", *options) for options in ((), ("--json",))
    ]  # both wait for late records
    shown, result = (one.wait() for one in running)
    assert shown.code == 5
    assert "clocks of this machine and of the service disagree" in shown.stdout
    assert "Fire them again" not in shown.stdout
    assert (result.code, result.json["expected"], result.json["missing"]) == (5, 50, 0)
    assert result.json["missing_keys_file"] is None
    assert "disagree" in result.stderr
    assert not list(checkpoint.parent.glob("*.missing*"))


def view_of(table: Table, view: str) -> None:
    """Give the table a stream of another view type."""
    client = table.backend.dynamodb
    for specification in (
        {"StreamEnabled": False},
        {"StreamEnabled": True, "StreamViewType": view},
    ):
        client.update_table(TableName=table.name, StreamSpecification=specification)
        client.get_waiter("table_exists").wait(TableName=table.name, WaiterConfig={"Delay": 1})


@pytest.mark.on_dynamodb_local("KEYS_ONLY")
@pytest.mark.parametrize("view", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE"])
def test_a_stream_that_shows_less_proves_nothing(cli: Cli, make_table: MakeTable, view: str) -> None:
    """Nothing is disproved, and the result claims no more: neither `proved` nor `exactly once`."""
    table = make_table(("pk", "S"), stream=False)
    table.backend.dynamodb.update_table(
        TableName=table.name, StreamSpecification={"StreamEnabled": True, "StreamViewType": view}
    )
    table.fill(hash_rows(60))
    ignored = ("--ignore", "view-type", "--yes")
    run = cli.run("run", "--table", table.name, "--run-id", "r", "--verify", *ignored)
    for shown in (run, cli.run("verify", "r")):
        assert shown.code == 0, shown.stderr + shown.stdout
        assert "not disproved" in shown.stdout
        assert "proved from the stream" not in shown.stdout
        assert "exactly once" not in shown.stdout
        assert f"The stream is {view}" in shown.stdout


@on_one_backend
def test_records_from_before_the_run_are_not_its_events(cli: Cli, make_table: MakeTable) -> None:
    """KEYS_ONLY: changes of the last minutes do not verify a run that has touched nothing."""
    table = make_table(("pk", "S"), stream=False)
    table.backend.dynamodb.update_table(
        TableName=table.name, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    )
    rows = hash_rows(20)
    table.fill(rows)
    table.fill({**row, "changed": {"N": "1"}} for row in rows)  # MODIFY, before the run
    time.sleep(4)  # records have whole seconds, and clocks some slack
    assert cli.refire(table.name, "--run-id", "r", "--key-value", rows[0]["pk"]["S"]).code == 0
    checkpoint = cli.state / "refire" / "runs" / "r.refire"
    with sqlite3.connect(checkpoint) as db:
        (packed,) = db.execute("SELECT items FROM settled").fetchone()
        assert packed
        from refire_async.checkpoint.pages import pack

        db.execute("UPDATE settled SET items = ?", (pack(rows),))
    db.close()
    result = cli.verify("r")
    assert (result.code, result.json["once"], result.json["missing"]) == (5, 1, 19)


@on_one_backend
@pytest.mark.parametrize("options", [("--verify",), ("--canary", "5")])
@pytest.mark.parametrize("operation", ["DescribeStream", "GetShardIterator", "GetRecords"])
def test_a_stream_that_cannot_be_read_is_reported_before_the_first_write(
    cli: Cli, make_table: MakeTable, put_faults: Callable[..., None], options: tuple[str, ...], operation: str
) -> None:
    """Exit code 10, one line with the permissions, and no item touched. The same for a resume."""
    table = make_table(("pk", "S"))
    table.fill(hash_rows(40))
    assert cli.refire(table.name, "--run-id", "r", "--max-items", "10").code == 3
    before = table.items()
    put_faults({"kind": "access_denied", "operations": [operation]})
    result = cli.refire(table.name, "--run-id", "new", "--yes", *options)
    assert result.code == 10, result.stderr
    assert len(result.error_lines) == 1
    assert "dynamodb:GetRecords" in result.stderr
    assert table.items() == before
    assert not (cli.state / "refire" / "runs" / "new.refire").exists()
    if options == ("--verify",):
        assert cli.resume("r", "--verify").code == 10
        assert table.items() == before
    put_faults()
    assert cli.resume("r", "--verify").code == 0


@on_one_backend
def test_a_folder_in_place_of_the_failed_keys_file(cli: Cli, make_table: MakeTable) -> None:
    """Refused before the first write too."""
    table = make_table(("pk", "S"))
    table.fill(hash_rows(10))
    (cli.home / "x.refire.failed.jsonl").mkdir()
    result = cli.refire(table.name, "--checkpoint", str(cli.home / "x.refire"))
    assert result.code == 10, result.stderr
    assert "x.refire.failed.jsonl is a folder" in result.stderr
    assert not any("revision" in item for item in table.items().values())


@pytest.fixture
def put_faults(backend: Backend) -> Iterator[Callable[..., None]]:
    """Put faults of the sandbox in force, and remove them at the end."""
    from tests.evidence.harness import _put_faults

    def put(*faults: dict[str, Any]) -> None:
        _put_faults(backend.url, {"faults": list(faults)} if faults else {})

    yield put
    put()


def untouchable(count: int) -> list[dict[str, Any]]:
    return [{"pk": {"S": f"odd-{n}"}, "revision": {"S": "seven"}} for n in range(count)]


def test_a_canary_with_items_that_cannot_be_touched_is_not_clean(cli: Cli, make_table: MakeTable) -> None:
    """With --yes too it stops: the other items are not touched, and the run can be resumed."""
    table = make_table(("pk", "S"))
    table.fill(hash_rows(60))
    table.fill(untouchable(60))
    ignored = ("--ignore", "marker-type", "--yes")
    result = cli.refire(table.name, "--run-id", "r", "--canary", "40", "--segments", "4", *ignored)
    assert result.code == 3, result.stderr
    assert result.json["status"] == "stopped"
    assert result.json["scanned"] <= 44
    assert result.json["failed"] > 0
    assert "the canary is not clean" in result.stderr
    assert cli.resume("r").code == 4


def test_a_canary_that_touched_nothing_is_not_clean(cli: Cli, make_table: MakeTable) -> None:
    """All of its items failed: there is no event to verify, and the run stops."""
    table = make_table(("pk", "S"))
    table.fill(untouchable(60))
    ignored = ("--ignore", "marker-type", "--yes")
    result = cli.refire(table.name, "--canary", "10", *ignored)
    assert (result.code, result.json["touched"]) == (3, 0), result.stderr


@on_one_backend
def test_touches_of_an_earlier_run_are_not_those_of_a_run_over_an_export(
    cli: Cli, make_table: MakeTable, tmp_path: Path
) -> None:
    """The other run's checkpoint is missing. Its touches are older than any write of this run."""
    table = make_table(("pk", "S"))
    rows = hash_rows(50)
    table.fill(rows)
    description = table.backend.dynamodb.describe_table(TableName=table.name)["Table"]
    export = full_export(description, list(table.items().values())).write(tmp_path / "export")
    other = tmp_path / "another-place"
    other.mkdir()
    assert cli.refire(table.name, "--checkpoint", str(other / "first.refire")).code == 0
    time.sleep(1.1)  # records know the second of their write only: within the same one they are alike
    second = cli.refire(table.name, "--export", export, "--run-id", "second", "--verify")
    assert second.code == 0, second.stdout + second.stderr
    for proof in (json.loads(second.stdout.splitlines()[-2]), cli.verify("second").json):
        assert (proof["once"], proof["doubled"], proof["missing"]) == (50, 0, 0)

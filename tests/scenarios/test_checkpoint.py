"""A checkpoint of another run, or one in use, is refused with exit code 11 and not changed."""

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.backends import on_one_backend
from tests.support.cli import Cli, Result, Running
from tests.support.judge import Snapshot, assert_summary
from tests.support.proxy import Call, Hold, Proxy
from tests.support.rows import composite_rows
from tests.support.tables import Index, Schema, Table

MakeTable = Callable[..., Table]


def assert_refused(result: Result, *hints: str) -> None:
    """Exit code 11 and one line with all hints; nothing on standard output."""
    assert result.code == 11, result.stderr
    assert len(result.error_lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    for hint in hints:
        assert hint.lower() in result.stderr.lower()
    assert result.stdout == ""


def stopped_run(cli: Cli, table: Table, *arguments: str) -> str:
    """Stop a run of a 200-item table in the middle; returns its checkpoint."""
    table.fill({**row, "day": {"S": "d0"}} for row in composite_rows(200))
    result = cli.refire(table.name, "--run-id", "the-run", "--segments", "4", "--max-items", "60", *arguments)
    assert result.code == 3, result.stderr
    return str(result.json["checkpoint"])


def test_table_created_again_with_the_same_name(cli: Cli, make_table: MakeTable) -> None:
    """Another TableId is another table, even with the same name and items."""
    table = make_table(("pk", "S"), ("sk", "N"))
    stopped_run(cli, table)
    items = list(table.items().values())
    table.delete()
    again = make_table(("pk", "S"), ("sk", "N"), name=table.name)
    again.fill(items)
    before = Snapshot.of(again)

    assert_refused(cli.resume("the-run"), table.name)

    before.assert_untouched()


@on_one_backend
def test_checkpoint_of_another_run(cli: Cli, make_table: MakeTable) -> None:
    """A checkpoint and other segments, marker or selection: refused with the difference, and not changed."""
    table = make_table(("pk", "S"), ("sk", "N"), indexes=(Index("by-day", Schema(("day", "S"))),))
    checkpoint = stopped_run(cli, table)
    before = Snapshot.of(table)

    for reason, *other in (
        ("segments", "--segments", "5"),
        ("marker", "--marker", "stamp"),
        ("marker", "--marker-attribute", "other"),
        ("selection", "--key-name", "pk", "--key-value", "customer-1"),
        ("selection", "--index", "by-day"),
    ):
        result = cli.refire(table.name, "--checkpoint", checkpoint, "--run-id", "the-run", *other)
        assert_refused(result, checkpoint, reason)

    before.assert_untouched()
    assert_summary(cli.resume("the-run").json, status="complete", scanned=200, touched=200)


@on_one_backend
def test_checkpoint_of_another_table(cli: Cli, make_table: MakeTable) -> None:
    """A checkpoint and another table: refused before anything is written."""
    checkpoint = stopped_run(cli, make_table(("pk", "S"), ("sk", "N")))
    other = make_table(("pk", "S"), ("sk", "N"))
    other.fill(composite_rows(20))
    before = Snapshot.of(other)

    assert_refused(cli.refire(other.name, "--checkpoint", checkpoint), checkpoint)

    before.assert_untouched()


def test_the_same_command_again_resumes(cli: Cli, make_table: MakeTable) -> None:
    """The command of a stopped run, repeated with its run id, resumes it."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(200))
    before = Snapshot.of(table)
    assert cli.refire(table.name, "--run-id", "the-run", "--max-items", "60").code == 3

    again = cli.refire(table.name, "--run-id", "the-run")

    assert again.code == 0, again.stderr
    assert_summary(again.json, run_id="the-run", scanned=200, touched=200)
    before.assert_fired()


@on_one_backend
def test_run_id_of_a_complete_run(cli: Cli, make_table: MakeTable) -> None:
    """The id of a complete run cannot be used again."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(20))
    assert cli.refire(table.name, "--run-id", "the-run").code == 0
    before = Snapshot.of(table)

    assert_refused(cli.refire(table.name, "--run-id", "the-run"), "the-run", "complete")

    before.assert_untouched()


def stuck_run(cli: Cli, proxy: Proxy, table: Table, hold: Hold) -> Running:
    """A run in the middle of a table of 500 items, which waits for responses until `hold` is released."""
    table.fill(composite_rows(500))
    proxy.afterwards = hold
    child = cli.start("run", "--table", table.name, "--json", "--run-id", "the-run")
    child.wait_until(lambda: hold.reached)
    return child


def fifth_batch(call: Call) -> bool:
    """The batch at which a run waits."""
    return call.operation == "BatchExecuteStatement" and call.number == 5


@on_one_backend
def test_two_processes_for_one_run(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """During a run, a resume of it is refused; the run is not affected."""
    table = make_table(("pk", "S"), ("sk", "N"))
    with Hold(fifth_batch) as hold:
        child = stuck_run(proxied_cli, proxy, table, hold)

        second = proxied_cli.resume("the-run")

        assert_refused(second, "in use")
        hold.release()
        result = child.wait()
    assert result.code == 0, result.stderr
    assert_summary(result.json, status="complete", touched=500)
    assert all(item["revision"] == {"N": "1"} for item in table.items().values())


@on_one_backend
def test_damaged_and_foreign_files(cli: Cli, make_table: MakeTable, tmp_path: Path) -> None:
    """Files that are no checkpoint, or only the first half of one, are refused and not changed."""
    table = make_table(("pk", "S"), ("sk", "N"))
    whole = Path(stopped_run(cli, table)).read_bytes()
    before = Snapshot.of(table)
    for name, content in {"empty": b"", "text": b"hello\n" * 50, "half": whole[: len(whole) // 2]}.items():
        path = tmp_path / name
        path.write_bytes(content)

        assert_refused(cli.run("resume", "--checkpoint", str(path), "--json"), str(path))

        assert path.read_bytes() == content
    before.assert_untouched()


@on_one_backend
def test_checkpoint_is_private(cli: Cli, make_table: MakeTable) -> None:
    """Keys can be personal data: no other user of the machine can read what a run leaves."""
    stopped_run(cli, make_table(("pk", "S"), ("sk", "N")))
    left = [path for path in cli.state.rglob("*") if path.is_file()]
    assert left
    assert {stat.S_IMODE(path.stat().st_mode) for path in left} == {0o600}


@on_one_backend
def test_status(cli: Cli, make_table: MakeTable) -> None:
    """`refire status --json` lists each run with its status, the documented fields first."""
    first, second = (make_table(("pk", "S"), ("sk", "N")) for _ in range(2))
    checkpoint = stopped_run(cli, first)
    second.fill(composite_rows(30))
    assert cli.refire(second.name, "--run-id", "done").code == 0

    result = cli.run("status", "--json")

    assert result.code == 0, result.stderr
    assert len(result.stdout.splitlines()) == 1
    assert list(result.json) == ["runs", "deliveries"]
    runs = {run["run_id"]: run for run in result.json["runs"]}
    assert set(runs) == {"the-run", "done"}
    for run in runs.values():
        assert list(run)[:6] == ["run_id", "table", "status", "touched", "updated_at", "checkpoint"]
    assert runs["the-run"]["share"] > 0
    assert {name: runs["the-run"][name] for name in list(runs["the-run"])[:6]} | {"updated_at": None} == {
        "run_id": "the-run",
        "table": first.name,
        "status": "stopped",
        "touched": 60,
        "updated_at": None,
        "checkpoint": checkpoint,
    }
    assert (runs["done"]["status"], runs["done"]["touched"]) == ("complete", 30)


@on_one_backend
def test_status_without_runs(cli: Cli) -> None:
    """No runs is an empty list, not an error."""
    result = cli.run("status", "--json")
    assert (result.code, json.loads(result.stdout)) == (0, {"runs": [], "deliveries": []})


@on_one_backend
def test_status_of_a_run_that_was_killed(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """A run is shown as running, and as stopped once its process has died."""
    with Hold(fifth_batch) as hold:
        child = stuck_run(proxied_cli, proxy, make_table(("pk", "S"), ("sk", "N")), hold)
        while_alive = proxied_cli.run("status", "--json").json["runs"][0]
        child.kill()
    afterwards = proxied_cli.run("status", "--json").json["runs"][0]

    assert (while_alive["run_id"], while_alive["status"]) == ("the-run", "running")
    assert (afterwards["run_id"], afterwards["status"]) == ("the-run", "stopped")


SMALL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
from refire_async.cli import main
main()
"""


@on_one_backend
def test_disk_that_becomes_full(cli: Cli, make_table: MakeTable) -> None:
    """No file may grow beyond 200 KB: the run stops with one line and exit code 3; with more room it resumes."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(3000))
    before = Snapshot.of(table)
    small = Cli(cli.home, cli.endpoint_url, cli.access_key, program=(sys.executable, "-c", SMALL_DISK))

    stopped = small.refire(table.name, "--run-id", "the-run", "--log-level", "error")

    assert stopped.code == 3, stopped.stderr
    assert len(stopped.error_lines) == 1, stopped.stderr
    assert "cannot be saved" in stopped.stderr
    assert "refire resume" in stopped.stderr
    touched = sum("revision" in item for item in table.items().values())
    assert 0 < touched < 3000
    resumed = cli.resume("the-run")
    assert resumed.code == 0, resumed.stderr
    assert_summary(resumed.json, status="complete", scanned=3000, failed=0)
    before.assert_fired()

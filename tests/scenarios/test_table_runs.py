"""Commands for runs in a checkpoint table, from any machine: status, rate, resume, verify, report, forget."""

import json
import re
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from refire_async.checkpoint.pages import pack, unpack
from refire_async.model.keys import Item
from tests.scenarios.conftest import pointed_at
from tests.support.backends import REGION, Backend, on_one_backend
from tests.support.cli import Cli, Result
from tests.support.judge import Snapshot
from tests.support.moto import Moto, moto
from tests.support.rows import hash_rows
from tests.support.tables import Table

__all__ = ["moto"]

MakeTable = Callable[..., Table]
ITEMS = 400


@pytest.fixture
def store(cli: Cli) -> str:
    """A new checkpoint table."""
    name = f"refire-{uuid.uuid4().hex[:8]}"
    assert cli.run("checkpoint-table", "create", name).code == 0
    return name


@pytest.fixture
def elsewhere(tmp_path: Path, backend: Backend) -> Iterator[Cli]:
    """Another machine, with nothing of the first one."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    yield from pointed_at(folder, backend.url, backend)


@pytest.fixture
def table(make_table: MakeTable) -> Table:
    table = make_table()
    table.fill(hash_rows(ITEMS))
    return table


def at(
    cli: Cli, command: str, address: str, *more: str, env: Mapping[str, str | None] | None = None
) -> Result:
    """A command about the run at an address."""
    return cli.run(command, "--checkpoint", address, *more, "--endpoint-url", str(cli.endpoint_url), env=env)


def status(cli: Cli, address: str) -> dict[str, Any]:
    """What `refire status` says of the run."""
    (seen,) = at(cli, "status", address, "--json").json["runs"]
    return dict(seen)


def run(table: Table, address: str, *more: str) -> list[str]:
    """The words of a run of one task."""
    place = ("--checkpoint", address, "--segments", "4", "--yes", "--json")
    return ["run", "--table", table.name, *place, *more]


def test_a_run_goes_on_elsewhere(cli: Cli, elsewhere: Cli, store: str, table: Table, tmp_path: Path) -> None:
    """Stopped on one machine; another one sees it, resumes it, proves it, reports it and removes it."""
    before = Snapshot.of(table)
    address = f"dynamodb://{store}/the-run"
    running = cli.start(*run(table, address, "--max-wcu", "60"))
    running.wait_until(lambda: any("revision" in item for item in table.items().values()))
    running.wait_until(lambda: status(elsewhere, address)["budget"] is not None)
    seen = status(elsewhere, address)
    assert (seen["status"], seen["checkpoint"], seen["budget"]["max_wcu"]) == ("running", address, 60)
    refused = at(elsewhere, "forget", address, "--yes")
    assert (refused.code, "is in progress at" in refused.error_lines[0]) == (11, True), refused.stderr
    running.signal(signal.SIGTERM)
    stopped = running.wait()
    assert stopped.code == 3
    assert f"resume with: refire resume the-run --checkpoint {address}" in stopped.error_lines[-1]

    shown = at(elsewhere, "status", f"dynamodb://{store}")
    assert "stopped" in shown.stdout
    assert f"refire resume the-run --checkpoint {address}" in shown.stdout
    assert at(elsewhere, "status", f"dynamodb://{store}", "--unfinished", "--json").json["runs"] != []

    resumed = at(elsewhere, "resume", address, "--yes", "--json")
    assert (resumed.code, resumed.json["status"], resumed.json["touched"]) == (0, "complete", ITEMS), (
        resumed.stderr
    )
    before.assert_fired()
    again = at(elsewhere, "resume", address, "--yes")
    assert (again.code, "is complete" in again.error_lines[0]) == (11, True)

    proof = at(elsewhere, "verify", address, "--json")
    assert proof.code == 0, proof.stderr
    assert (proof.json["once"], proof.json["missing"], proof.json["doubled"]) == (ITEMS, 0, 0)
    page = tmp_path / "report.html"
    assert at(elsewhere, "report", address, "--out", str(page)).code == 0
    text = page.read_text()
    assert "the-run" in text
    seen = status(elsewhere, address)
    assert (seen["status"], seen["touched"], seen["share"], seen["attempts"]) == ("complete", ITEMS, 1.0, 2)
    assert seen["proof"]["missing"] == 0

    assert at(elsewhere, "forget", address, "--yes", "--json").json["run_id"] == "the-run"
    assert at(cli, "status", f"dynamodb://{store}", "--json").json["runs"] == []
    gone = at(cli, "status", address)
    assert (gone.code, "has no run the-run" in gone.error_lines[0]) == (11, True)
    assert cli.run("checkpoint-table", "delete", store, "--yes").code == 0


@on_one_backend
def test_a_proof_finds_what_did_not_fire(cli: Cli, elsewhere: Cli, store: str, table: Table) -> None:
    """Of a run in a table, with another run of the same table beside it, whose touches do not count as doubled; the
    keys of missing items are in a file of this user's own, for another run."""
    address = f"dynamodb://{store}/first"
    assert cli.run(*run(table, address)).code == 0
    assert cli.run(*run(table, f"dynamodb://{store}/second", "--key-value", "item-3")).code == 0
    proof = at(elsewhere, "verify", address, "--json")
    assert (proof.code, proof.json["doubled"]) == (0, 0), proof.stdout
    key = {"pk": {"S": "item-7"}}
    table.backend.dynamodb.update_item(
        TableName=table.name,
        Key=key,
        UpdateExpression="SET revision = revision + :n",
        ExpressionAttributeValues={":n": {"N": "1"}},
    )
    proof = at(elsewhere, "verify", address, "--json")
    assert (proof.code, proof.json["doubled"], proof.json["missing"]) == (5, 1, 0), proof.stdout
    plant(table.backend, store, {"pk": {"S": "ghost"}})
    proof = at(elsewhere, "verify", address, "--json")
    assert (proof.code, proof.json["missing"]) == (5, 1), proof.stdout
    missing = Path(proof.json["missing_keys_file"])
    assert missing.stat().st_mode & 0o777 == 0o600
    assert json.loads(missing.read_text())["key"] == {"pk": {"S": "ghost"}}
    missing.unlink()


def plant(backend: Backend, store: str, item: Item) -> None:
    """Let the checkpoint of the first run claim that it touched this item."""
    found = backend.dynamodb.scan(TableName=store)["Items"]
    blob = next(
        one for one in found if re.fullmatch("blob#page#.*", one["name"]["S"]) and "first" in one["id"]["S"]
    )
    blob["content"]["B"] = pack([*unpack(blob["content"]["B"]), item])
    backend.dynamodb.put_item(TableName=store, Item=blob)


@on_one_backend
def test_the_rate_is_that_of_all_tasks(cli: Cli, elsewhere: Cli, store: str, table: Table) -> None:
    """Paused from elsewhere, also for a task that starts later; a rate that exceeds the options ends the crawl."""
    before = Snapshot.of(table)
    address = f"dynamodb://{store}/slow"

    def rate(*value: str) -> Result:
        words = ("rate", "--checkpoint", address, *value, "--json", "--endpoint-url", str(cli.endpoint_url))
        return elsewhere.run(*words)

    running = cli.start(*run(table, address, "--max-wcu", "1"))
    running.wait_until(lambda: at(elsewhere, "status", address).code == 0)
    running.wait_until(lambda: rate().json["tasks"] == 1)
    paused = rate("pause").json
    assert (paused["set"], paused["paused"], paused["tasks"]) == ("paused", True, 1)
    running.signal(signal.SIGTERM)
    assert running.wait().code == 3
    assert rate("fast").code == 2

    paused_from_the_start = cli.start(*run(table, address))
    touched = sum("revision" in item for item in table.items().values())
    paused_from_the_start.wait_until(lambda: rate().json["tasks"] == 1)
    time.sleep(1.0)  # it would end within this time
    assert sum("revision" in item for item in table.items().values()) == touched < ITEMS
    assert rate("1000").json["set"] == "1000 WCU/s"
    ended = paused_from_the_start.wait()
    assert (ended.code, ended.json["touched"]) == (0, ITEMS), ended.stderr
    before.assert_fired()
    complete = rate("50%")
    assert (complete.code, "is complete" in complete.error_lines[0]) == (2, True)


@on_one_backend
def test_at_most_so_many_items(cli: Cli, store: str, table: Table) -> None:
    """--max-items for a run of one task: it stops there, and continues."""
    before = Snapshot.of(table)
    address = f"dynamodb://{store}/few"
    first = cli.run(*run(table, address, "--max-items", "50"))
    assert (first.code, first.json["status"], first.json["touched"]) == (3, "stopped", 50), first.stderr
    assert at(cli, "resume", address, "--yes", "--json").json["touched"] == ITEMS
    before.assert_fired()


@on_one_backend
def test_what_commands_refuse(cli: Cli, store: str) -> None:
    """One line each."""
    for arguments, code, what in (
        (("status", f"dynamodb://{store}/no-run"), 11, "has no run no-run"),
        (("status", "dynamodb://no-such-table"), 11, "there is no checkpoint table"),
        (("status", f"dynamodb://{store}", "--clean"), 2, "refire forget"),
        (("report", f"dynamodb://{store}"), 2, "does not name a run"),
        (("verify", f"dynamodb://{store}/x/y"), 2, "is not the address of a run"),
        (("resume", f"dynamodb://{store}/no-run"), 11, "has no run no-run"),
        (("forget", f"dynamodb://{store}/no-run", "--yes"), 11, "has no run no-run"),
        (("forget", f"dynamodb://{store}/no-run"), 2, "--yes"),
        (("rate", f"dynamodb://{store}/no-run"), 11, "has no run no-run"),
    ):
        result = at(cli, *arguments)
        assert result.code == code, (arguments, result.stderr)
        (line,) = result.error_lines
        assert what in line, line


@on_one_backend
def test_pages_in_s3(cli: Cli, store: str, table: Table, moto: Moto, tmp_path: Path) -> None:
    """With --archive the pages and the list of keys are objects; the table keeps segments only. Nothing else differs,
    and only a command that names the archive again writes to it or empties it."""
    before = Snapshot.of(table)
    address, archive = f"dynamodb://{store}/archived", ("--archive", "s3://pages/of/runs")
    with closing(moto.client("s3")) as s3:
        s3.create_bucket(Bucket="pages", CreateBucketConfiguration={"LocationConstraint": REGION})

        def objects() -> list[str]:
            return [one["Key"] for one in s3.list_objects_v2(Bucket="pages").get("Contents", ())]

        keys = tmp_path / "keys.csv"
        keys.write_text("pk\n" + "".join(f"item-{number}\n" for number in range(ITEMS)))
        words = run(table, address, "--keys-file", str(keys), "--max-items", "150")
        first = cli.run(*words, *archive, env=moto.environment)
        assert (first.code, first.json["touched"]) == (3, 150), first.stderr
        assert "--archive s3://pages/of/runs" in first.error_lines[-1]  # in the command that resumes it
        refused = cli.run(*words, env=moto.environment)
        assert (refused.code, "give --archive s3://pages/of/runs" in refused.error_lines[-1]) == (11, True)
        second = at(cli, "resume", address, "--yes", "--json", *archive, env=moto.environment)
        assert (second.code, second.json["touched"]) == (0, ITEMS), second.stderr
        before.assert_fired()
        assert {name.split("#")[0].rpartition("/")[2] for name in objects()} == {"keys", "page", "closed"}
        assert all(name.startswith("of/runs/archived/") for name in objects())
        found = table.backend.dynamodb.scan(TableName=store)["Items"]
        assert not [one for one in found if one["name"]["S"].startswith("blob#")]
        proof = at(cli, "verify", address, "--json", env=moto.environment)
        assert (proof.code, proof.json["once"]) == (0, ITEMS), proof.stderr
        refused = at(cli, "forget", address, "--yes", env=moto.environment)
        assert (refused.code, "give --archive" in refused.error_lines[0]) == (11, True)
        assert at(cli, "forget", address, "--yes", *archive, env=moto.environment).code == 0
        assert objects() == []

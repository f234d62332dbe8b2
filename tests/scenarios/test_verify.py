"""`refire verify`: what the stream shows of a run, on every backend, and planted faults are found."""

import itertools
import json
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refire_async.checkpoint.pages import pack
from tests.support.backends import on_one_backend
from tests.support.cli import Cli, Result
from tests.support.judge import Snapshot
from tests.support.rows import composite_rows, hash_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]


def counts(result: Result) -> dict[str, int]:
    """The counts of a proof that are not 0, in the form for scripts."""
    proof = result.json
    assert list(proof) == [
        "run_id", "expected", "once", "missing", "doubled", "by_others", "missing_keys_file"
    ]  # fmt: skip
    return {name: number for name, number in proof.items() if isinstance(number, int) and number}


def write_again(table: Table, items: list[dict[str, Any]], expression: str) -> None:
    """Another writer changes some items."""
    for item in items:
        table.backend.dynamodb.update_item(
            TableName=table.name,
            Key=table.key(item),
            UpdateExpression=expression,
            ExpressionAttributeValues={":one": {"N": "1"}},
        )


def plant_claims(checkpoint: str, items: list[dict[str, Any]]) -> None:
    """Make the checkpoint claim that the run has touched items which it has never read."""
    with sqlite3.connect(checkpoint) as db:
        db.execute("INSERT INTO settled (opened, items) VALUES (?, ?)", (0.0, pack(items)))
        db.execute("UPDATE settled SET opened = (SELECT MAX(opened) FROM settled)")
    db.close()


@pytest.mark.on_account(1600)
def test_a_run_is_proved_and_planted_faults_are_found(cli: Cli, make_table: MakeTable) -> None:
    """600 items: each once. Then a second writer doubles 30, changes 40 otherwise, and 20 claims are invented."""
    table = make_table(("pk", "S"), ("sk", "N"))
    rows = composite_rows(600)
    table.fill(rows)
    assert cli.refire(table.name, "--run-id", "r").code == 0

    proved = cli.verify("r")
    assert (proved.code, counts(proved)) == (0, {"expected": 600, "once": 600}), proved.stderr
    assert proved.json["missing_keys_file"] is None

    write_again(table, rows[:30], "ADD revision :one")
    write_again(table, rows[100:140], "SET touched_by_others = :one")
    invented = [{"pk": {"S": f"invented-{n}"}, "sk": {"N": "1"}, "revision": {"N": "4"}} for n in range(20)]
    plant_claims(str(cli.state / "refire" / "runs" / "r.refire"), invented)

    found = cli.verify("r")
    assert found.code == 5
    assert counts(found) == {"expected": 620, "once": 570, "missing": 20, "doubled": 30}
    listed = Path(found.json["missing_keys_file"])
    assert stat.S_IMODE(listed.stat().st_mode) == 0o600
    keys = [json.loads(line)["key"] for line in listed.read_text().splitlines()]
    assert keys == [table.key(item) for item in invented]

    table.fill(table.key(item) for item in invented)
    again = cli.refire(table.name, "--keys-file", str(listed), "--run-id", "again", "--verify")
    assert (again.code, again.json["touched"]) == (0, 20), again.stderr
    assert json.loads(again.stdout.splitlines()[-2])["once"] == 20


@pytest.mark.on_account(1400)
def test_a_run_with_verify_is_proved_at_its_end(cli: Cli, make_table: MakeTable) -> None:
    """`--verify`: the proof is the line before the summary."""
    table = make_table(("pk", "S"))
    table.fill(hash_rows(600))

    result = cli.refire(table.name, "--run-id", "r", "--verify", "--max-items", "200")
    assert result.code == 3, result.stderr
    assert json.loads(result.stdout.splitlines()[-2])["once"] == 200

    # The proof of the next attempt reads the stream from the run's start: both attempts are in it.
    result = cli.resume("r", "--verify")
    proof, summary = map(json.loads, result.stdout.splitlines()[-2:])
    assert (result.code, summary["status"], summary["touched"]) == (0, "complete", 600)
    assert (proof["expected"], proof["once"], proof["missing_keys_file"]) == (600, 600, None)


@on_one_backend
def test_a_run_of_several_processes_is_proved_at_its_end(cli: Cli, make_table: MakeTable) -> None:
    """The verification reads the checkpoint while other processes write it, and does not change it."""
    table = make_table(("pk", "S"))
    table.fill(hash_rows(600))
    result = cli.refire(table.name, "--run-id", "r", "--verify", "--processes", "2")
    assert result.code == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-2])["once"] == 600
    assert counts(cli.verify("r")) == {"expected": 600, "once": 600}


@on_one_backend
def test_another_concurrent_run_does_not_count_as_a_second_touch(cli: Cli, make_table: MakeTable) -> None:
    """Its checkpoint shows what it did. Without it the second touch of each item counts as doubled."""
    table = make_table(("pk", "S"))
    table.fill(hash_rows(300))
    for run in ("first", "second"):
        assert cli.refire(table.name, "--run-id", run).code == 0
    for run in ("first", "second"):
        assert counts(cli.verify(run)) == {"expected": 300, "once": 300}
    (cli.state / "refire" / "runs" / "second.refire").rename(cli.home / "elsewhere")
    assert counts(cli.verify("first")) == {"expected": 300, "doubled": 300}


@on_one_backend
def test_text_has_findings_and_what_to_do(cli: Cli, make_table: MakeTable) -> None:
    """A stamp run with an item whose stamp was removed, and with an invented claim."""
    table = make_table(("pk", "S"))
    rows = hash_rows(30)
    table.fill(rows)
    assert cli.refire(table.name, "--run-id", "r", "--marker", "stamp").code == 0
    plant_claims(str(cli.state / "refire" / "runs" / "r.refire"), hash_rows(1, "invented"))
    result = cli.run("verify", "r")
    assert result.code == 5
    assert "not proved from the stream" in result.stdout
    assert "missing 1" in " ".join(result.stdout.split())
    assert f"refire run --table {table.name} --keys-file" in result.stdout
    assert "--marker stamp" in result.stdout
    assert "one of the two concurrent readers" in result.stderr


@on_one_backend
def test_a_canary_is_spread_over_the_table_and_the_run_continues(cli: Cli, make_table: MakeTable) -> None:
    """Without a terminal it stops with 3 and can be resumed; with --yes it continues. Nothing fires twice."""
    table = make_table(("pk", "S"))
    table.fill(hash_rows(800))
    before = Snapshot.of(table)

    flown = cli.refire(table.name, "--run-id", "r", "--canary", "40", "--segments", "8")
    assert (flown.code, flown.json["touched"], flown.json["status"]) == (3, 40, "stopped"), flown.stderr
    assert "the canary passed but the run was not confirmed; use --yes" in flown.stderr
    assert "canary.flown" in flown.stderr
    first = [item for item in table.items().values() if "revision" in item]
    assert len(first) == 40
    # Five of each eighth of the hash range: in the order of a scan no long part is without one.
    order = [json.dumps(item["pk"]) for item in table.items().values()]
    places = sorted(order.index(json.dumps(item["pk"])) for item in first)
    assert max(b - a for a, b in itertools.pairwise([0, *places, 800])) < 200

    assert cli.resume("r").code == 0
    before.assert_fired()

    again = make_table(("pk", "S"))
    again.fill(hash_rows(800))
    before = Snapshot.of(again)
    result = cli.refire(again.name, "--canary", "40", "--segments", "8", "--yes", "--verify")
    assert (result.code, result.json["touched"]) == (0, 800), result.stderr
    assert json.loads(result.stdout.splitlines()[-2])["once"] == 800
    before.assert_fired()


@on_one_backend
def test_a_canary_that_is_not_clean_stops_the_run(cli: Cli, make_table: MakeTable) -> None:
    """With and without --yes, with 5, resumable. Here without a stream, so that nothing can be proved."""
    table = make_table(("pk", "S"), stream=False)
    table.fill(hash_rows(100))
    ignored = ("--ignore", "stream-disabled", "--yes")
    result = cli.refire(table.name, "--canary", "10", *ignored)
    assert (result.code, result.json["touched"]) == (3, 10), result.stderr
    assert "the canary is not clean" in result.stderr
    whole = cli.refire(table.name, "--verify", *ignored)
    assert (whole.code, whole.json["touched"]) == (5, 100), whole.stderr
    assert "not verified: table" in whole.stderr

"""`refire verify`: what the stream shows of a run, on every backend, and what was planted is found."""

import json
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from refire_async.checkpoint.settled import pack
from tests.support.cli import Cli, Result
from tests.support.rows import composite_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]


def counts(result: Result) -> dict[str, int]:
    """The counts of a proof that are not 0, in the form that scripts rely on."""
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
    """Let the checkpoint say that the run has touched items which it has never met."""
    with sqlite3.connect(checkpoint) as db:
        db.execute("INSERT INTO settled (opened, items) VALUES (?, ?)", (0.0, pack(items)))
        db.execute("UPDATE settled SET opened = (SELECT MAX(opened) FROM settled)")
    db.close()


def test_a_run_is_proved_and_what_was_planted_is_found(cli: Cli, make_table: MakeTable) -> None:
    """2,000 items: each once. Then a second writer doubles 30, changes 40 otherwise, and 20 claims are made up."""
    table = make_table(("pk", "S"), ("sk", "N"))
    rows = composite_rows(2_000)
    table.fill(rows)
    assert cli.refire(table.name, "--run-id", "r").code == 0

    proved = cli.verify("r")
    assert (proved.code, counts(proved)) == (0, {"expected": 2_000, "once": 2_000}), proved.stderr
    assert proved.json["missing_keys_file"] is None

    write_again(table, rows[:30], "ADD revision :one")
    write_again(table, rows[100:140], "SET touched_by_others = :one")
    invented = [{"pk": {"S": f"nobody-{n}"}, "sk": {"N": "1"}, "revision": {"N": "4"}} for n in range(20)]
    plant_claims(str(cli.state / "refire" / "runs" / "r.refire"), invented)

    found = cli.verify("r")
    assert found.code == 5
    assert counts(found) == {"expected": 2_020, "once": 1_970, "missing": 20, "doubled": 30}
    listed = Path(found.json["missing_keys_file"])
    assert stat.S_IMODE(listed.stat().st_mode) == 0o600
    keys = [json.loads(line)["key"] for line in listed.read_text().splitlines()]
    assert keys == [table.key(item) for item in invented]

    table.fill(table.key(item) for item in invented)
    again = cli.refire(table.name, "--keys-file", str(listed), "--run-id", "again")
    assert (again.code, again.json["touched"]) == (0, 20), again.stderr

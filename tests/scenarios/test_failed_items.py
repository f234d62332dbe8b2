"""Items that cannot be touched are listed in a file with their reasons; the others are touched."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.backends import on_one_backend
from tests.support.cli import Cli
from tests.support.judge import Snapshot, assert_summary
from tests.support.rows import composite_rows
from tests.support.tables import Item, Table

MakeTable = Callable[..., Table]

ITEM_LIMIT = 409_600


def item_at_the_limit(pk: str, revision: str | None = None) -> Item:
    """A (`pk` S, `sk` N) item of exactly 400 KB (DynamoDB Developer Guide: Item sizes and formats).

    One more byte is refused, so a marker that is missing does not fit.
    """
    used = len("pk") + len(pk) + len("sk") + 2 + len("pad")
    item: Item = {"pk": {"S": pk}, "sk": {"N": "1"}}
    if revision is not None:
        item["revision"] = {"N": revision}
        used += len("revision") + 1 + (len(revision) + 1) // 2
    return {**item, "pad": {"S": "x" * (ITEM_LIMIT - used)}}


def fill_with_untouchables(table: Table) -> Snapshot:
    """300 ordinary items, one without room for a marker, and five whose `revision` cannot be incremented."""
    table.fill(composite_rows(300))
    table.fill([item_at_the_limit("full")])
    table.fill(
        {"pk": {"S": f"odd-{n}"}, "sk": {"N": "1"}, "revision": value}
        for n, value in enumerate(
            [{"S": "seven"}, {"S": "7"}, {"NULL": True}, {"L": [{"N": "1"}]}, {"BOOL": False}]
        )
    )
    return Snapshot.of(table)


def read_failed(path: str) -> list[dict[str, Any]]:
    """The lines of a failed-keys file."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.mark.on_account(3000)
@pytest.mark.parametrize("writer", ["partiql", "update"])
def test_untouchable_items(cli: Cli, make_table: MakeTable, writer: str) -> None:
    """Exit code 4; each failed key is listed with its reason; all others have fired; nothing else changed."""
    table = make_table(("pk", "S"), ("sk", "N"))
    before = fill_with_untouchables(table)
    ordinary = before.select(lambda item: item["pk"]["S"].startswith("customer"))

    result = cli.refire(table.name, "--writer", writer)

    assert result.code == 4, result.stderr
    assert_summary(result.json, status="complete", scanned=306, touched=300, failed=6)
    before.assert_fired(ordinary)
    path = result.json["failed_keys_file"]
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    failed = read_failed(path)
    assert {line["key"]["pk"]["S"] for line in failed} == {"full", *(f"odd-{n}" for n in range(5))}
    assert all(set(line["key"]) == {"pk", "sk"} for line in failed)
    reasons = {line["key"]["pk"]["S"]: line["reason"] for line in failed}
    assert all("number" in reasons[f"odd-{n}"] for n in range(5))
    assert "size" in reasons["full"].lower()
    assert path in result.stderr


@pytest.mark.on_account(3500)
def test_rerun_of_failed_keys(cli: Cli, make_table: MakeTable) -> None:
    """Once the items are corrected, the file of failed keys re-fires only them."""
    table = make_table(("pk", "S"), ("sk", "N"))
    fill_with_untouchables(table)
    first = cli.refire(table.name)
    assert first.code == 4, first.stderr
    table.fill({"pk": {"S": f"odd-{n}"}, "sk": {"N": "1"}, "revision": {"N": "7"}} for n in range(5))
    table.backend.dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": "full"}, "sk": {"N": "1"}})
    before = Snapshot.of(table)

    second = cli.refire(table.name, "--keys-file", first.json["failed_keys_file"])

    assert second.code == 0, second.stderr
    assert_summary(second.json, scanned=6, touched=5, vanished=1, failed=0, failed_keys_file=None)
    before.assert_fired(before.select(lambda item: item["pk"]["S"].startswith("odd-")))


@pytest.mark.on_account(1500)
def test_rerun_of_failed_keys_of_every_type(cli: Cli, make_table: MakeTable) -> None:
    """Binary keys are unchanged after the round trip."""
    table = make_table(("pk", "B"), ("sk", "B"))
    table.fill(
        {"pk": {"B": bytes([byte, 0])}, "sk": {"B": b"\xff"}, "revision": {"S": "no"}} for byte in range(256)
    )
    first = cli.refire(table.name)
    assert first.code == 4, first.stderr
    assert_summary(first.json, touched=0, failed=256)
    table.fill({"pk": {"B": bytes([byte, 0])}, "sk": {"B": b"\xff"}} for byte in range(256))
    before = Snapshot.of(table)

    second = cli.refire(table.name, "--keys-file", first.json["failed_keys_file"])

    assert second.code == 0, second.stderr
    before.assert_fired()


def test_item_at_the_size_limit(cli: Cli, make_table: MakeTable) -> None:
    """An item of exactly 400 KB whose revision can be incremented in place is no failure."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill([item_at_the_limit("full", revision="41")])
    before = Snapshot.of(table)

    result = cli.refire(table.name)

    assert result.code == 0, result.stderr
    before.assert_fired()


@on_one_backend
@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ("not json\n", "line 1"),
        ('{"pk": {"S": "a"}, "sk": {"N": "1"}}\n{"pk": {"S": "a"}}\n', "line 2"),
        ('{"pk": {"N": "1"}, "sk": {"N": "1"}}\n', "line 1"),
        (None, "no-such-file"),
    ],
    ids=["not JSON", "sort key missing", "wrong type", "no file"],
)
def test_bad_keys_file(cli: Cli, make_table: MakeTable, content: str | None, hint: str) -> None:
    """A bad line is a usage error with its number; nothing is written, not even for the good lines."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill([{"pk": {"S": "a"}, "sk": {"N": "1"}}])
    before = Snapshot.of(table)
    name = "no-such-file"
    if content is not None:
        name = "keys.jsonl"
        (cli.home / name).write_text(content)

    result = cli.refire(table.name, "--keys-file", name)

    assert result.code == 2
    assert len(result.error_lines) == 1, result.stderr
    assert hint in result.stderr
    before.assert_untouched()

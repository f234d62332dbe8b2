"""`refire plan` against what runs then take, and what it says to people."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refire_async.sandbox import SandboxConfig, SandboxProcess
from tests.support.backends import on_one_backend
from tests.support.cli import Cli
from tests.support.rows import composite_rows
from tests.support.tables import Index, Schema, Table

MakeTable = Callable[..., Table]

FIELDS = ["items", "item_bytes_mean", "wcu", "rcu", "seconds", "cost_usd", "records", "bound_by", "settings"]

SHAPES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "log-normal sizes": ({"Count": 20_000, "ItemBytes": {"Lognormal": [900, 0.9]}}, ()),
    "an index with the marker": (
        {"Count": 12_000, "HashKeys": 400, "ItemBytes": {"Uniform": [200, 3_000]}},
        (),
    ),
    "one hash key": (
        {"Count": 12_000, "HashKeys": 40, "Skew": {"HotKey": 0.3}, "ItemBytes": 300},
        ("--key-value", "0000000000"),
    ),
}


def table_of(generate: dict[str, Any]) -> dict[str, Any]:
    """A table with far more capacity than is needed, and an index that shows items whole if it has a sort key."""
    composite = "HashKeys" in generate
    names = ("pk", "sk") if composite else ("pk",)
    keys = [
        {"AttributeName": name, "KeyType": role} for name, role in zip(names, ("HASH", "RANGE"), strict=False)
    ]
    spec: dict[str, Any] = {
        "TableName": "planned",
        "KeySchema": keys,
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names],
        "ProvisionedThroughput": {"ReadCapacityUnits": 40_000, "WriteCapacityUnits": 40_000},
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        "Generate": generate,
    }
    if composite:
        spec["GlobalSecondaryIndexes"] = [
            {
                "IndexName": "by-sk",
                "KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
                "ProvisionedThroughput": {"ReadCapacityUnits": 40_000, "WriteCapacityUnits": 40_000},
            }
        ]
    return spec


@pytest.mark.parametrize("name", SHAPES)
def test_units_are_those_of_the_run(tmp_path: Path, name: str) -> None:
    """Write and read units of table and index within 5%, from a sample of less than half of the items."""
    generate, arguments = SHAPES[name]
    with SandboxProcess(SandboxConfig(tables=(table_of(generate),), burst_seconds=300.0)) as sandbox:
        cli = Cli(tmp_path, sandbox.url)
        planned = cli.run("plan", "--table", "planned", "--json", *arguments)
        done = cli.refire("planned", *arguments)
        cli.close()
    assert planned.code == 0, planned.stderr
    assert done.code == 0, done.stderr
    assert list(planned.json) == FIELDS
    assert planned.json["items"] == done.json["touched"]
    for units in ("wcu", "rcu"):
        assert planned.json[units] == pytest.approx(done.json[units], rel=0.05), units


def test_a_small_table(cli: Cli, make_table: MakeTable) -> None:
    """Read to its end, it is counted; an index shows in the units; nothing is written."""
    table = make_table(
        ("pk", "S"), ("sk", "N"), indexes=(Index("by-day", Schema(("day", "S")), projected=()),)
    )
    table.fill({**row, "day": {"S": f"d{n % 3}"}} for n, row in enumerate(composite_rows(90)))
    before = table.changes()

    planned = cli.run("plan", "--table", table.name, "--json")

    assert planned.code == 0, planned.stderr
    assert planned.json["items"] == 90
    assert planned.json["wcu"] == 180
    assert table.changes() == before


@on_one_backend
def test_one_hash_key_of_an_index(cli: Cli, make_table: MakeTable) -> None:
    """A selection is planned, not the table."""
    table = make_table(
        ("pk", "S"), ("sk", "N"), indexes=(Index("by-day", Schema(("day", "S")), projected=()),)
    )
    table.fill({**row, "day": {"S": f"d{n % 3}"}} for n, row in enumerate(composite_rows(90)))

    planned = cli.run("plan", "--table", table.name, "--index", "by-day", "--key-value", "d1", "--json")

    assert planned.code == 0, planned.stderr
    assert planned.json["items"] == 30


@on_one_backend
def test_without_a_table(cli: Cli) -> None:
    """No credentials, no network: the model alone. 2 WCU an item in the table and in each of two indexes."""
    env = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "REFIRE_ENDPOINT_URL": None}
    options = ("--items", "500M", "--item-size", "1.2KB", "--wcu", "40000", "--indexes", "2")
    planned = cli.run("plan", *options, "--json", env=env)
    assert planned.code == 0, planned.stderr
    assert planned.json["items"] == 500_000_000
    assert planned.json["wcu"] == 3_000_000_000
    assert planned.json["seconds"] == pytest.approx(25_000, rel=0.01)


@on_one_backend
def test_what_people_read(cli: Cli, tmp_path: Path) -> None:
    """80 columns, the backlog of slow consumers drawn, a picture where one is wanted."""
    picture = tmp_path / "plan.svg"
    options = ("--items", "2M", "--item-size", "900", "--wcu", "4000", "--consumer-rate", "500")
    planned = cli.run("plan", *options, "--plot", str(picture))
    assert planned.code == 0, planned.stderr
    assert max(map(len, planned.stdout.splitlines())) <= 80
    assert "backlog" in planned.stdout
    assert "█" in planned.stdout
    assert "--max-wcu 4000" in planned.stdout
    assert picture.read_text().lstrip().startswith("<?xml")


@on_one_backend
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--items"),
        (("--items", "many", "--item-size", "1KB"), "500M"),
        (("--items", "5", "--item-size", "0"), "1.2KB"),
        (("--table", "orders", "--wcu", "5"), "--wcu"),
        (("--items", "5", "--item-size", "1KB", "--prices", "prices.json"), "write_million"),
        (("--items", "5", "--item-size", "1KB", "--plot", "plan.txt"), ".svg"),
    ],
)
def test_bad_input(cli: Cli, options: tuple[str, ...], said: str) -> None:
    """One line that says what to do, exit code 2."""
    (cli.home / "prices.json").write_text(json.dumps({"writes": 1}))
    refused = cli.run("plan", *options)
    assert refused.code == 2
    (line,) = refused.error_lines
    assert said in line

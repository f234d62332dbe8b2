"""`refire plan` compared with runs, and its text."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refire_async.sandbox import SandboxConfig, SandboxProcess
from tests.support.backends import on_one_backend
from tests.support.cli import Cli, Result
from tests.support.exports import full_export
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
    """A table with ample capacity, with an index of whole items if it has a sort key."""
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


def assert_planned(planned: Result, done: Result) -> None:
    """Items are those that were touched, units within 5%."""
    assert planned.code == 0, planned.stderr
    assert done.code == 0, done.stderr
    assert planned.json["items"] == done.json["touched"]
    for units in ("wcu", "rcu"):
        assert planned.json[units] == pytest.approx(done.json[units], rel=0.05), units


@on_one_backend
def test_a_list_of_keys(cli: Cli, make_table: MakeTable) -> None:
    """Counted as by a run: compressed, some keys twice, some of deleted items. Sizes are the current ones."""
    table = make_table(("pk", "S"), ("sk", "N"))
    rows = [{**row, "text": {"S": "x" * (n * 97 % 9_000)}} for n, row in enumerate(composite_rows(600))]
    table.fill(rows)
    keys = [table.key(row) for row in [*rows[:400], *rows[:70]]]
    keys += [{**table.key(row), "sk": {"N": "987654"}} for row in rows[:40]]
    lines = "".join(json.dumps({"key": key}) + "\n" for key in keys)
    (cli.home / "keys").write_bytes(gzip.compress(lines.encode()))
    before = table.changes()

    planned = cli.run("plan", "--table", table.name, "--json", "--keys-file", "keys")
    assert table.changes() == before
    assert_planned(planned, cli.refire(table.name, "--keys-file", "keys"))
    assert planned.json["items"] == 400


@on_one_backend
def test_an_export(cli: Cli, make_table: MakeTable) -> None:
    """Read units only for later changes: a second attempt for changed and for deleted items."""
    table = make_table(("pk", "S"), ("sk", "N"))
    rows = composite_rows(300)
    table.fill(rows[:280])
    description = table.backend.dynamodb.describe_table(TableName=table.name)["Table"]
    folder = full_export(description, rows).write(cli.home)
    fresh = cli.run("plan", "--table", table.name, "--json", "--export", folder)
    assert fresh.code == 0, fresh.stderr
    assert (fresh.json["items"], fresh.json["rcu"]) == (280, 20)
    (cli.home / "some").write_text("".join(json.dumps(table.key(row)) + "\n" for row in rows[:100]))
    assert cli.refire(table.name, "--keys-file", "some").code == 0

    planned = cli.run("plan", "--table", table.name, "--json", "--export", folder)
    assert_planned(planned, cli.refire(table.name, "--export", folder))
    assert planned.json["wcu"] > 380


@on_one_backend
def test_an_index_that_does_not_project_whole_items(cli: Cli, make_table: MakeTable) -> None:
    """Its entries give the number, looked-up items the size; the run looks up every one."""
    table = make_table(("pk", "S"), ("sk", "N"), indexes=(Index("by-day", Schema(("day", "S"))),))
    table.fill(
        {**row, "day": {"S": f"d{n % 30}"}, "text": {"S": "x" * (n * 97 % 9_000)}}
        for n, row in enumerate(composite_rows(600))
        if n % 3
    )
    planned = cli.run("plan", "--table", table.name, "--json", "--index", "by-day")
    assert_planned(planned, cli.refire(table.name, "--index", "by-day"))


@on_one_backend
def test_bad_lists(cli: Cli, make_table: MakeTable) -> None:
    """One line each, and how to skip bad lines."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(rows := composite_rows(3))
    (cli.home / "bad").write_text(json.dumps(table.key(rows[0])) + "\nno key\n")
    plan = ("plan", "--table", table.name, "--json")
    for options, said in (
        (("--keys-file", "nothing"), "is not there"),
        (("--keys-file", "bad"), "line 2"),
        (("--export", "."), "manifest"),
    ):
        refused = cli.run(*plan, *options)
        assert refused.code == 2
        (line,) = refused.error_lines
        assert said in line
    assert cli.run(*plan, "--keys-file", "bad", "--ignore", "bad-lines").json["items"] == 1


@on_one_backend
def test_segments_are_those_of_the_run(cli: Cli, make_table: MakeTable) -> None:
    """Several hash keys are a segment each, for a table of any size."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(rows := composite_rows(60))
    keys = sorted({row["pk"]["S"] for row in rows})[:3]
    options = [word for key in keys for word in ("--key-value", key)]
    planned = cli.run("plan", "--table", table.name, "--json", *options)
    assert planned.code == 0, planned.stderr
    assert planned.json["settings"]["segments"] == len(keys) == 3


def test_a_small_table(cli: Cli, make_table: MakeTable) -> None:
    """Read to its end, it is counted exactly; an index adds units; nothing is written."""
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
    """The plan is for the selection, not the table."""
    table = make_table(
        ("pk", "S"), ("sk", "N"), indexes=(Index("by-day", Schema(("day", "S")), projected=()),)
    )
    table.fill({**row, "day": {"S": f"d{n % 3}"}} for n, row in enumerate(composite_rows(90)))

    planned = cli.run("plan", "--table", table.name, "--index", "by-day", "--key-value", "d1", "--json")

    assert planned.code == 0, planned.stderr
    assert planned.json["items"] == 30


@on_one_backend
def test_without_a_table(cli: Cli) -> None:
    """No credentials, no network: the model alone. 2 WCU per item in the table and in each of two indexes."""
    env = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "REFIRE_ENDPOINT_URL": None}
    options = ("--items", "500M", "--item-size", "1.2KB", "--wcu", "40000", "--indexes", "2")
    planned = cli.run("plan", *options, "--json", env=env)
    assert planned.code == 0, planned.stderr
    assert planned.json["items"] == 500_000_000
    assert planned.json["wcu"] == 3_000_000_000
    assert planned.json["seconds"] == pytest.approx(25_000 / 0.8, rel=0.01), (
        "80% of the capacity, as a run takes"
    )


@on_one_backend
@pytest.mark.parametrize(
    ("options", "seconds", "bound_by"),
    [
        (("--wcu-percent", "100"), 1_000.0, "100% of the table's provisioned capacity"),
        (("--wcu-percent", "25"), 4_000.0, "25% of the table's provisioned capacity"),
        (("--max-wcu", "500"), 2_000.0, "--max-wcu"),
        (("--max-wcu", "4000"), 1_000.0, "index 1"),
        (("--max-rate", "100"), 10_000.0, "--max-rate"),
        (("--max-rcu", "10"), 12_260.0, "the read budget"),
        (("--max-items", "100k", "--wcu-percent", "100"), 100.0, "100% of the table's provisioned capacity"),
    ],
)
def test_a_plan_without_a_table_uses_the_budget(
    cli: Cli, options: tuple[str, ...], seconds: float, bound_by: str
) -> None:
    """Every limit of a run limits its plan."""
    options = tuple(option.replace("100k", "100000") for option in options)
    thought_of = ("--items", "1M", "--item-size", "1000", "--wcu", "1000", "--indexes", "1")
    planned = cli.run("plan", *thought_of, *options, "--json")
    assert planned.code == 0, planned.stderr
    assert planned.json["seconds"] == pytest.approx(seconds, rel=0.01)
    assert planned.json["bound_by"] == bound_by


@on_one_backend
def test_text(cli: Cli, tmp_path: Path) -> None:
    """80 columns, a chart of the backlog of slow consumers, and a picture on request."""
    picture = tmp_path / "plan.svg"
    options = ("--items", "2M", "--item-size", "900", "--wcu", "4000", "--consumer-rate", "500")
    planned = cli.run("plan", *options, "--plot", str(picture))
    assert planned.code == 0, planned.stderr
    assert max(map(len, planned.stdout.splitlines())) <= 80
    assert "backlog" in planned.stdout
    assert "█" in planned.stdout
    assert "--max-wcu 3200" in planned.stdout
    (cost,) = [line.strip() for line in planned.stdout.splitlines() if line.startswith("  costs")]
    assert re.fullmatch(r"costs +no extra cost: \$\d+\.\d\d of capacity you already pay for", cost)
    assert picture.read_text().lstrip().startswith("<?xml")


@on_one_backend
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--items"),
        (("--items", "many", "--item-size", "1KB"), "500M"),
        (("--items", "5", "--item-size", "0"), "1.2KB"),
        (("--table", "orders", "--wcu", "5"), "--wcu"),
        (("--items", "5", "--item-size", "1KB", "--key-value", "a"), "needs a table to select from"),
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


@on_one_backend
def test_a_delivery_is_planned_without_a_table(cli: Cli) -> None:
    """Text and JSON agree; no request is sent, so there is no endpoint."""
    assumed = ("--records", "2M", "--function-ms", "300", "--function-memory", "1024", "--concurrency", "20")
    text = cli.run("plan", *assumed, "--endpoint-url", "http://127.0.0.1:9")
    assert text.code == 0, text.stderr
    assert "20,000, 20 at a time" in text.stdout
    assert "takes        5 min 00 s, bound by the function at this concurrency" in text.stdout
    made = cli.run("plan", *assumed, "--shards", "4", "--json").json
    assert (made["invocations"], made["concurrency"], made["seconds"]) == (20_000, 4, 1_500.0)
    assert made["cost"]["run_time"] == pytest.approx(20_000 * 0.3 * 16.6667e-6)


@on_one_backend
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--records", "2M", "--table", "orders"), "--table and --records cannot be combined"),
        (("--records", "2M", "--items", "5"), "--items and --records cannot be combined"),
        (("--table", "orders", "--shards", "2"), "--shards needs --records"),
        (("--records", "0"), "--records must be a number above 0"),
    ],
)
def test_a_plan_is_of_a_run_or_a_delivery(cli: Cli, options: tuple[str, ...], says: str) -> None:
    """One clear line for options of the other kind."""
    result = cli.run("plan", *options)
    assert result.code == 2
    (line,) = result.error_lines
    assert says in line

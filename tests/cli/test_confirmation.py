"""`run` asks on a terminal before its first write and after a canary; a no and a signal write nothing more."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from refire_async.cli.prompts import describe_outlook, describe_remaining
from refire_async.model.capacity import TABLE
from refire_async.planning.forecast.outlook import look_ahead
from tests.cli.test_terminal import terminal
from tests.preflight.tables import table_of
from tests.support.backends import REGION, Backend, on_one_backend
from tests.support.rows import hash_rows

SCRIPT = 'cd "$HOME"; shift 6; "$PYTHON" -m refire_async run --table "$TABLE" "$@"; echo "END $?"'


def revisions(backend: Backend, table: str) -> list[int]:
    """The marker of every item, 0 without one."""
    client = boto3.client(
        "dynamodb",
        endpoint_url=backend.url,
        region_name=REGION,
        aws_access_key_id=backend.access_key,
        aws_secret_access_key="scenario",
    )
    try:
        items = client.scan(TableName=table)["Items"]
    finally:
        client.close()
    return [int(item.get("revision", {"N": "0"})["N"]) for item in items]


def environment(backend: Backend, table: str) -> dict[str, str]:
    """What `SCRIPT` needs to run `refire` on a table."""
    return {
        "PYTHON": sys.executable,
        "TABLE": table,
        "REFIRE_ENDPOINT_URL": backend.url,
        "AWS_ACCESS_KEY_ID": backend.access_key,
        "AWS_SECRET_ACCESS_KEY": "scenario",
        "AWS_REGION": REGION,
    }


@on_one_backend
@pytest.mark.parametrize(
    ("keys", "options", "code", "touched"),
    [
        ("y\r", (), 0, 1),
        ("n\r", (), 10, 0),
        ("\r", (), 10, 0),
        ("\x03", (), 130, 0),
        (None, ("--yes",), 0, 1),
    ],
    ids=["yes", "no", "return", "Ctrl-C", "--yes"],
)
def test_question(  # noqa: PLR0917 - fixtures and parameters
    backend: Backend, make_table, tmp_path: Path, keys, options, code, touched
) -> None:
    """Only yes starts the run; the line before the question describes it."""
    table = make_table()
    table.fill(hash_rows(20))
    with terminal(tmp_path, SCRIPT, *options, env=environment(backend, table.name)) as screen:
        if keys is not None:
            seen = screen.read_until(r"Continue\? \[y/N\] ")
            assert "about 20 items" in seen.replace("\r\n", "")
            screen.type(keys)
        assert f"END {code}" in screen.read_until(r"END \d+")
        assert ("Continue?" in screen.written) is (keys is not None)
    assert revisions(backend, table.name) == [touched] * 20
    if not touched:
        assert not list(Path(tmp_path).glob("**/*.refire"))


@on_one_backend
@pytest.mark.parametrize(
    ("keys", "options", "asked", "code", "touched"),
    [
        ("y\r", (), r"the remaining 290 items \(about 1 s, \$0\.0002\)", 0, 300),
        ("n\r", (), r"the remaining 290 items \(about 1 s, \$0\.0002\)", 3, 10),
        ("y\r", ("--max-items", "40"), r"the remaining 30 items \(about 1 s, <\$0\.0001\)", 3, 40),
        (
            "n\r",
            ("--where", "attribute_exists(pk)"),
            r"the remaining items \(their number is not known until they are read\)",
            3,
            10,
        ),
    ],
    ids=["yes", "no", "limit", "filter"],
)
def test_question_after_a_canary(  # noqa: PLR0917 - fixtures and parameters
    backend: Backend, make_table, tmp_path: Path, keys, options, asked, code, touched
) -> None:
    """The question gives the number of items that remain, their time and their price, or says that it is unknown."""
    table = make_table()
    table.fill(hash_rows(300))
    more = ("--canary", "10", *options)
    with terminal(tmp_path, SCRIPT, *more, env=environment(backend, table.name)) as screen:
        seen = screen.read_until(r"\? \[y/N\] ").replace("\r\n", "")
        assert "Canary: 10 items touched, clean" in seen
        assert re.search(rf"Continue with {asked}\? \[y/N\] ", seen), seen
        screen.type(keys)
        assert f"END {code}" in screen.read_until(r"END \d+")
    assert sum(revisions(backend, table.name)) == touched


def test_remaining() -> None:
    """Rough figures; capacity that is paid for by the hour is no extra cost."""
    table = replace(table_of(), item_count=300_000, size_bytes=150_000_000)
    ahead = look_ahead(table, {TABLE: 2500.0}, 299_900, None)
    assert describe_remaining(ahead) == "the remaining 299,900 items (about 2 min, $0.19)"
    provisioned = look_ahead(replace(table, billing="PROVISIONED"), {TABLE: 2500.0}, 299_900, None)
    assert describe_remaining(provisioned) == (
        "the remaining 299,900 items (about 2 min, no extra cost: $0.0541 of capacity you already pay for)"
    )


def test_outlook() -> None:
    """Time at the scarcest budget, indexes in the price, and no figures if the number of items is unknown."""
    table = replace(table_of(), item_count=1_000_000, size_bytes=1_500_000_000, billing="PAY_PER_REQUEST")
    ahead = look_ahead(table, {TABLE: 1000.0, "by-day": 500.0}, 1_000_000, None)
    assert ahead.seconds == pytest.approx(4000.0)
    assert ahead.price is not None
    assert ahead.price.total == pytest.approx(4_000_000 * 0.625 / 1e6)
    assert ahead.price.extra
    assert "1,000,000 items" in describe_outlook(ahead)
    assert look_ahead(table, {TABLE: 1000.0}, 1_000_000, 100.0).seconds == pytest.approx(10_000.0)
    unknown = look_ahead(table, {TABLE: 1000.0}, None, None)
    assert (unknown.items, unknown.seconds, unknown.price) == (None, None, None)
    assert "number is not known until they are read" in describe_outlook(unknown)

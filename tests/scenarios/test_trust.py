"""A checkpoint is followed only if the user means it: its endpoint, its marker attribute, its owner."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.support.backends import Backend, on_one_backend
from tests.support.cli import Cli, Result
from tests.support.judge import Snapshot, assert_summary
from tests.support.proxy import Proxy, proxy_before
from tests.support.rows import hash_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]


def edit(checkpoint: Path, column: str, change: Callable[[dict[str, object]], object]) -> None:
    """Change a JSON column of the run's row, as an attacker or a user might."""
    db = sqlite3.connect(checkpoint)
    (text,) = db.execute(f"SELECT {column} FROM run").fetchone()
    data = orjson.loads(text)
    change(data)
    db.execute(f"UPDATE run SET {column} = ?", (orjson.dumps(data).decode(),))
    db.commit()
    db.close()


def stopped(cli: Cli, table: Table, *arguments: str, env: dict[str, str | None] | None = None) -> Path:
    """A run of a table of 300 items that was stopped half-way; its checkpoint."""
    result = cli.run(
        *("run", "--table", table.name, "--json", "--run-id", "the-run", "--max-items", "100", *arguments),
        env=env,
    )
    assert result.code == 3, result.stderr
    return Path(result.json["checkpoint"])


def elsewhere(cli: Cli, *arguments: str, env: dict[str, str | None] | None = None) -> Result:
    """`refire` as in another shell: only the checkpoint names the DynamoDB endpoint."""
    other = Cli(cli.home, None, cli.access_key)
    return other.run(*arguments, "--json", env=env)


def refused(result: Result, code: int, *words: str) -> None:
    assert result.code == code, result.stderr
    assert len(result.error_lines) == 1, result.stderr
    for word in words:
        assert word in result.stderr
    assert result.stdout == ""


@on_one_backend
def test_an_endpoint_that_only_the_checkpoint_names(
    cli: Cli, backend: Backend, make_table: MakeTable
) -> None:
    """No request is sent there, signed or not, until the user has confirmed."""
    table = make_table()
    table.fill(hash_rows(300))
    checkpoint = stopped(cli, table)
    with proxy_before(backend.url) as spy:
        edit(checkpoint, "connection", lambda saved: saved.update(endpoint_url=spy.url))
        for command in ("resume", "verify"):
            refused(elsewhere(cli, command, "the-run"), 2, spy.url, "yours: AWS itself", "--yes")
        assert spy.calls == []
        assert elsewhere(cli, "resume", "the-run", "--yes").code == 0
        assert spy.calls


@on_one_backend
def test_the_environment_of_the_run_is_in_its_checkpoint(
    cli: Cli, backend: Backend, make_table: MakeTable
) -> None:
    """Region, profile and endpoint of that shell: another shell uses the same, or reports the difference."""
    table = make_table()
    table.fill(hash_rows(300))
    before = Snapshot.of(table)
    config, credentials = cli.home / "config", cli.home / "credentials"
    config.write_text("[profile work]\nregion = eu-west-1\n[profile play]\nregion = eu-west-1\n")
    keys = f"aws_access_key_id = {cli.access_key}\naws_secret_access_key = not-much-of-one\n"
    credentials.write_text(f"[work]\n{keys}[play]\n{keys}")
    shell: dict[str, str | None] = {
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_SESSION_TOKEN": None,
        "AWS_REGION": None,
    }
    work = {**shell, "AWS_PROFILE": "work", "AWS_ENDPOINT_URL_DYNAMODB": backend.url}
    plain = Cli(cli.home, None, cli.access_key)
    checkpoint = stopped(plain, table, env=work)
    saved = orjson.loads(sqlite3.connect(checkpoint).execute("SELECT connection FROM run").fetchone()[0])
    assert saved == {"region": "eu-west-1", "profile": "work", "endpoint_url": backend.url}

    refused(
        elsewhere(cli, "resume", "the-run", env=shell),
        2,
        f"endpoint {backend.url} (yours: AWS itself), profile work (yours: none), region eu-west-1 (yours: none)",
    )
    refused(
        elsewhere(cli, "resume", "the-run", env={**work, "AWS_PROFILE": "play"}),
        2,
        "profile work (yours: play)",
    )
    before.assert_fired(before.select(lambda _: True) & _touched(table))
    assert elsewhere(cli, "resume", "the-run", "--max-items", "50", env=work).code == 3
    result = elsewhere(cli, "resume", "the-run", "--yes", env=shell)
    assert result.code == 0, result.stderr
    assert_summary(result.json, scanned=300, touched=300)
    before.assert_fired()


def _touched(table: Table) -> set[object]:
    return {identity for identity, item in table.items().items() if "revision" in item}


def stamp(saved: dict[str, object], attribute: str) -> None:
    saved["marker"] = {"kind": "stamp", "attribute": attribute, "run_id": "the-run"}


@on_one_backend
@pytest.mark.parametrize(
    ("attribute", "code", "words"),
    [
        ("payload", 10, "payload has values that are not run ids"),
        ("pk", 11, "its marker attribute is empty or a key"),
    ],
)
def test_a_marker_of_the_application(
    cli: Cli, make_table: MakeTable, attribute: str, code: int, words: str
) -> None:
    """Confirmed, and then checked as for a new run: no value of the application is overwritten."""
    table = make_table()
    table.fill(hash_rows(300))
    checkpoint = stopped(cli, table)
    edit(checkpoint, "spec", lambda saved: stamp(saved, attribute))
    before = Snapshot.of(table)
    if code == 10:
        refused(cli.resume("the-run"), 2, f"marker attribute {attribute} (yours: revision)", "--yes")
    refused(cli.resume("the-run", "--yes"), code, words)
    before.assert_untouched()


def test_a_marker_that_expires_items(cli: Cli, backend: Backend, make_table: MakeTable) -> None:
    """A touch of it would delete items."""
    table = make_table()
    table.fill({**row, "ends": {"N": "99999999999"}} for row in hash_rows(300))
    backend.dynamodb.update_time_to_live(
        TableName=table.name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ends"}
    )
    checkpoint = stopped(cli, table)
    edit(checkpoint, "spec", lambda saved: saved.update(marker=marker("ends")))
    before = Snapshot.of(table)
    result = cli.resume("the-run", "--yes")
    refused(result, 2, "ends is the TTL attribute of table")
    before.assert_untouched()


def marker(attribute: str) -> dict[str, str]:
    return {"kind": "revision", "attribute": attribute, "run_id": "the-run"}


@on_one_backend
def test_a_checkpoint_of_another_user(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """Refused before any request; status lists the others."""
    table = make_table()
    table.fill(hash_rows(300))
    checkpoint = stopped(proxied_cli, table)
    before = Snapshot.of(table)
    asked = len(proxy.calls)
    os.chown(checkpoint, 54_321, 54_321)
    refused(proxied_cli.resume("the-run", "--yes"), 11, "belongs to another user")
    os.chown(checkpoint, os.geteuid(), os.getegid())
    checkpoint.chmod(0o666)
    refused(proxied_cli.resume("the-run", "--yes"), 11, "chmod go-w")
    assert proxied_cli.run("status", "--json").json == {"runs": [], "deliveries": []}
    assert len(proxy.calls) == asked
    before.assert_untouched()
    checkpoint.chmod(0o600)
    assert proxied_cli.resume("the-run").code == 0
